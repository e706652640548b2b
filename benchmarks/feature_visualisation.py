"""What a feature visualisation costs: beside bare passes, and beside one picture at a time.

EfficientNet-Lite0 (random weights) and units of blocks.3.2: a step of 16 pictures of 128 px over the bare
forward and backward pass that it needs, and a picture made alone, as ports of Lucid to PyTorch make it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from networks import lite0
from torch import Tensor, nn
from torch.nn import functional
from turns import Measured, ratio, take_turns, told

from generator.models.model import VisionModel
from generator.models.tap import responses
from generator.probes.optvis.folding import Folding, foldable
from generator.probes.optvis.objectives import channel
from generator.probes.optvis.parametrisation import COLOURS
from generator.probes.optvis.render import Recipe, normalised, optimise

LAYER = "blocks.3.2"
SIZE = 128
BATCH = 16
MEASURED = 4  # steps timed in one go


def bare_pass(model: VisionModel, *, lean: bool) -> Callable[[], None]:
    """Forward to the layer and back to the pixels, and nothing else."""
    layers = [layer for layer in model.layers if layer.name == LAYER]
    pixels = torch.rand(BATCH, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    order = torch.channels_last if lean else torch.contiguous_format
    pixels = pixels.contiguous(memory_format=order).requires_grad_()
    folds = foldable(model) if lean else ()

    def work() -> None:
        for _ in range(MEASURED):
            if lean:
                with Folding(folds):
                    found = responses(model, pixels, layers)[LAYER]
            else:
                found = responses(model, pixels, layers)[LAYER]
            torch.autograd.grad(found[:, 0].mean((1, 2)).sum(), pixels)

    return work


def ours(model: VisionModel) -> Callable[[], None]:
    """As many steps of 16 pictures as are timed."""
    folds, recipe = foldable(model), Recipe(size=SIZE, steps=MEASURED)
    objectives = [channel(LAYER, unit) for unit in range(BATCH)]
    return lambda: optimise(model, objectives, recipe, list(range(BATCH)), folds) and None


class OneAtATime:
    """A step of one picture, as ports of Lucid make it: a transform after the other, all layers hooked."""

    def __init__(self, model: VisionModel) -> None:
        self._model = model
        self._random = np.random.default_rng(0)
        self._kept: dict[str, Tensor] = {}
        for name, module in model.module.named_modules():
            module.register_forward_hook(self._keeper(name))
        self._spectrum = (0.01 * torch.randn(1, 3, SIZE, SIZE // 2 + 1, 2)).requires_grad_()
        rows, columns = torch.fft.fftfreq(SIZE)[:, None], torch.fft.rfftfreq(SIZE)[None]
        frequency = (rows**2 + columns**2).sqrt().clamp_min(1 / SIZE)
        self._scale = (SIZE / frequency)[..., None]
        self._adam = torch.optim.Adam([self._spectrum], lr=0.05)

    def _keeper(self, name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            self._kept[name] = output

        return hook

    def __call__(self) -> None:
        for _ in range(MEASURED):
            self._adam.zero_grad()
            scaled = torch.view_as_complex(self._spectrum * self._scale)
            planes = torch.fft.irfft2(scaled, s=(SIZE, SIZE)) / 4
            mixed = torch.einsum("rc,nchw->nrhw", COLOURS, planes)
            self._model.module(normalised(self._model, self._shaken(mixed.sigmoid())))
            (-self._kept[LAYER][:, 0].mean()).backward()
            self._adam.step()

    def _shaken(self, picture: Tensor) -> Tensor:
        padded = functional.pad(picture, (16,) * 4, mode="constant", value=0.5)
        scale = 1 + (self._random.integers(11) - 5) / 50
        sized = functional.interpolate(
            self._jittered(padded, 8), scale_factor=scale, mode="bilinear", align_corners=False
        )
        turn = math.radians(self._random.integers(-10, 11))
        cosine, sine = math.cos(turn), math.sin(turn)
        maps = torch.tensor([[[cosine, -sine, 0.0], [sine, cosine, 0.0]]])
        grid = functional.affine_grid(maps, list(sized.shape), align_corners=False)
        turned = functional.grid_sample(sized, grid, align_corners=False)
        shifted = self._jittered(turned, 4)
        spare = [side - SIZE for side in shifted.shape[-2:]]
        top, left = (max(0, each // 2) for each in spare)
        return shifted[..., top : top + SIZE, left : left + SIZE]

    def _jittered(self, picture: Tensor, reach: int) -> Tensor:
        top, left = self._random.integers(reach, size=2)
        height, width = (side - reach for side in picture.shape[-2:])
        return picture[..., top : top + height, left : left + width]


def measure(runs: int = 6) -> list[Measured]:
    model, other = lite0(), lite0()  # the other one for the hooks of the baseline
    works: dict[str, Callable[[], object]] = {
        "bare": bare_pass(model, lean=True),
        "as loaded": bare_pass(model, lean=False),
        "ours": ours(model),
        "alone": OneAtATime(other),
    }
    times = take_turns(runs, works)
    told(times, MEASURED)
    loaded, alone = ratio(times, "ours", "as loaded"), BATCH * ratio(times, "alone", "ours")
    print(f"  over bare passes as loaded, norms not folded: {loaded:.2f}")
    print(f"  a picture made in such batches: {alone:.1f} times as fast as one made alone")
    what = f"a step of visualising {BATCH} units over bare passes, norms folded"
    return [Measured(what, ratio(times, "ours", "bare"), 1.3)]
