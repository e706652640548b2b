"""How a picture is stored while it is optimised: a Fourier spectrum of decorrelated colours.

Steps of gradient ascent on pixels end in high-frequency noise. Here frequencies are scaled about as
they are in photographs, by 1 / f, and colours are mixed as they vary together there, so
that a step moves a picture as a whole (Olah 2017, "Preconditioning and parameterization").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# A square root of the colour covariance of ImageNet, as Lucid states it; rows are R, G, B, and the
# columns, by falling variance, lightness, warm against cold, green against magenta.
_ROOT = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLOURS = _ROOT / _ROOT.norm(dim=0).max()
START = 0.01  # standard deviation of the spectrum that a picture starts from
CONTRAST = 4.0  # divides the picture, so that a rate of 0.05 suits the spectrum


def frequencies(size: int) -> Tensor:
    """Cycles a pixel at each place of a half spectrum, shape (size, size // 2 + 1)."""
    rows = torch.fft.fftfreq(size)[:, None]
    columns = torch.fft.rfftfreq(size)[None]
    return (rows.square() + columns.square()).sqrt()


def spectrum_scale(
    size: int, decay: float = 1.0, cut: float = math.inf, lead: float = 1.0
) -> Tensor:
    """The factor of each frequency f: size / f ** decay * exp(-(f / cut) ** 2).

    That of the mean is `lead` times that of one cycle a picture. Adam steps all frequencies alike, and where
    a unit wants one brightness or colour everywhere, a mean no faster than they are is helped by them:
    together they raise the whole picture at the cost of one spot, which gets the contrary.

    A `cut`, in cycles a pixel, keeps down the dots and stripes of two or three pixels that strided
    convolutions answer to and no photograph has.
    """
    found = frequencies(size).clamp_min(1 / size)
    scale = size / found**decay * torch.exp(-((found / cut) ** 2))
    scale[0, 0] *= lead
    return scale


def random_spectra(
    seeds: Sequence[int], channels: int, size: int, deviation: float = START
) -> Tensor:
    """Normal noise (N, channels, size, size // 2 + 1, 2), each sample from its own seed."""
    shape = (channels, size, size // 2 + 1, 2)
    drawn = [torch.randn(shape, generator=torch.Generator().manual_seed(s)) for s in seeds]
    return deviation * torch.stack(drawn)


def to_planes(spectra: Tensor, scale: Tensor) -> Tensor:
    """The pictures (N, channels, size, size) of spectra scaled by frequency, mean zero at the start."""
    size = spectra.shape[2]
    scaled = torch.view_as_complex(spectra * scale[..., None])
    return torch.fft.irfft2(scaled, s=(size, size)) / CONTRAST


def to_rgb(planes: Tensor) -> Tensor:
    """Decorrelated colours (N, 3, H, W) as RGB in (0, 1); one plane (N, 1, H, W) as grey."""
    if planes.shape[1] == 1:
        return planes.sigmoid().expand(-1, 3, -1, -1)
    mixed = torch.einsum("rc,nchw->nrhw", COLOURS.to(planes), planes)
    return mixed.sigmoid()


class Pictures:
    """Pictures to be optimised: `spectra` is the tensor to step, calling it gives pixels.

    Pixels are (N, 3, size, size) in (0, 1), and with `alpha` (N, 4, size, size). With `grey` the three
    colours are one.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        size: int,
        *,
        device: torch.device,
        decay: float = 1.0,
        cut: float = math.inf,
        lead: float = 1.0,
        alpha: bool = False,
        grey: bool = False,
    ) -> None:
        self._colours = 1 if grey else 3
        drawn = random_spectra(seeds, self._colours + alpha, size)
        self.spectra = drawn.to(device).requires_grad_()
        self._scale = spectrum_scale(size, decay, cut, lead).to(device)

    def __call__(self, samples: Sequence[int] | None = None) -> Tensor:
        """The pixels of some or all samples, with their gradient."""
        chosen = self.spectra if samples is None else self.spectra[samples]
        planes = to_planes(chosen, self._scale)
        pixels, *alpha = planes.split(self._colours, dim=1)
        return torch.cat([to_rgb(pixels), *(plane.sigmoid() for plane in alpha)], dim=1)


def grounds(seeds: Sequence[int], size: int) -> Tensor:
    """Random soft pictures (N, 3, size, size) in (0, 1) to put behind transparent ones."""
    spectra = random_spectra(seeds, 3, size, deviation=0.2)
    return to_rgb(to_planes(spectra, spectrum_scale(size, decay=1.5)))


def over(pictures: Tensor, ground: Tensor) -> Tensor:
    """Pictures (N, 4, H, W) laid over a ground (N, 3, H, W)."""
    alpha = pictures[:, 3:]
    return alpha * pictures[:, :3] + (1 - alpha) * ground
