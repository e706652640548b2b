"""Deep Dream: a photograph changed until a whole layer answers more strongly (Mordvintsev 2015).

No unit is named: whatever a layer already answers to is made stronger, a little at a time, first in
small copies of the picture and then in larger ones, so that large and small forms appear. It shows what
kind of thing a layer is ready to see, not what is in the photograph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from generator.models.intake import runnable
from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.probes.optvis.folding import Folded, Folding, foldable
from generator.probes.optvis.objectives import values, whole_layer
from generator.probes.optvis.parametrisation import COLOURS
from generator.probes.optvis.render import see
from generator.probes.optvis.wants import drawable_layers
from generator.store import Store, digest_of_value

VERSION = 1
OCTAVE = 1.4  # how much larger each copy is than the one before
RATE = 0.02  # of the range of a pixel, a step
JITTER = 32  # pixels
SMALLEST = 48  # pixels, the shorter side of the smallest copy
COVARIANCE = COLOURS @ COLOURS.T  # of photographs' colours: a step in it keeps them plausible
_BLURS = (0.7, 1.5, 3.0)  # pixels, standard deviations


@dataclass(frozen=True)
class Dream:
    """Frames (octaves + 1, height, width, 3) uint8, the photograph first, then after each octave.

    `answer` is the layer's mean square response to each frame, whole and without jitter.
    """

    layer: str
    frames: np.ndarray
    answer: np.ndarray


def dream_layers(model: VisionModel) -> tuple[Layer, ...]:
    """A lower and a higher layer to dream with; none in a network without layers of units."""
    layers = drawable_layers(model)
    places = sorted({round(share * (len(layers) - 1)) for share in (0.3, 0.65)})
    return tuple(layers[place] for place in places) if layers else ()


def dream(
    model: VisionModel,
    picture: np.ndarray,
    layer: Layer,
    *,
    octaves: int = 5,
    steps: int = 15,
    seed: int,
    store: Store,
) -> Dream:
    """Change a picture (height, width, 3) uint8 until a layer answers more, octave by octave.

    A picture too small for so many octaves gets fewer, one for a network that takes no other size.
    """
    room = 1 + int(np.log(max(1.0, min(picture.shape[:2]) / SMALLEST)) / np.log(OCTAVE))
    count = min(octaves, room)
    sides = [round(min(picture.shape[:2]) / OCTAVE**octave) for octave in range(1, count)]
    if any(runnable(model, side) != side for side in sides):
        count = 1

    def make() -> Dream:
        return _dream(model, picture, layer, count, steps, seed)

    parts = {
        "model": model.key,
        "picture": digest_of_value(picture),
        "layer": layer.name,
        "octaves": count,
        "steps": steps,
        "seed": seed,
    }
    return store.result("deep_dream", VERSION, parts, Dream, make)


def _dream(
    model: VisionModel, picture: np.ndarray, layer: Layer, octaves: int, steps: int, seed: int
) -> Dream:
    whole = torch.from_numpy(picture.copy()).to(model.device).movedim(-1, 0)[None].float() / 255
    random = torch.Generator().manual_seed(seed)
    folds = foldable(model)

    def answer(batch: Tensor) -> Tensor:
        return _answer(model, batch, layer, folds)

    added = torch.zeros_like(whole)
    frames = [whole]
    for octave in reversed(range(octaves)):
        size = [round(side / OCTAVE**octave) for side in whole.shape[-2:]]
        base = _resized(whole, size)
        start = (base + _resized(added, size)).clamp(0, 1)
        added = _ascend(start, answer, steps, random) - base
        frames.append((whole + _resized(added, list(whole.shape[-2:]))).clamp(0, 1))
    with torch.no_grad():
        answers = torch.stack([answer(frame) for frame in frames])
    shown = torch.cat(frames).movedim(1, -1).mul(255).round().to(torch.uint8)
    return Dream(layer.name, shown.cpu().numpy(), answers.cpu().numpy())


def _answer(model: VisionModel, batch: Tensor, layer: Layer, folds: Sequence[Folded]) -> Tensor:
    objectives = [whole_layer(layer.name)]
    with Folding(folds):
        return values(objectives, see(model, batch, objectives))[0]


def _ascend(
    start: Tensor, answer: Callable[[Tensor], Tensor], steps: int, random: torch.Generator
) -> Tensor:
    """Steps of even size along the gradient of pixels (1, 3, H, W) in (0, 1), each shifted anew."""
    current = start
    for _ in range(steps):
        limits = [min(JITTER, side // 2) for side in current.shape[-2:]]
        shift = [int(torch.randint(-far, far + 1, (1,), generator=random)) for far in limits]
        shifted = current.roll(shift, (2, 3)).detach().requires_grad_()
        (found,) = torch.autograd.grad(answer(shifted), shifted)
        natural = torch.einsum("rc,nchw->nrhw", COVARIANCE.to(found), found)
        uphill = even_gradient(natural).roll([-each for each in shift], (2, 3))
        current = (current + RATE * uphill).clamp(0, 1)
    return current


def even_gradient(gradient: Tensor) -> Tensor:
    """The gradient (1, 3, H, W) blurred at three widths, each brought to a mean size of 1, averaged.

    Coarse changes get the same share as fine ones, which would otherwise drown them in noise.
    """
    parts = [_blurred(gradient, width) for width in _BLURS]
    return torch.stack([part / (part.abs().mean() + 1e-12) for part in parts]).mean(0)


def _blurred(picture: Tensor, width: float) -> Tensor:
    reach = round(3 * width)
    places = torch.arange(-reach, reach + 1, device=picture.device).to(picture)
    weights = torch.softmax(-places.square() / (2 * width**2), dim=0)
    padded = functional.pad(picture, (reach,) * 4, mode="replicate")
    channels = picture.shape[1]
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        kernel = weights.reshape(shape).expand(channels, -1, -1, -1)
        padded = functional.conv2d(padded, kernel, groups=channels)
    return padded


def _resized(picture: Tensor, size: list[int]) -> Tensor:
    return functional.interpolate(
        picture, size, mode="bicubic", align_corners=False, antialias=True
    )
