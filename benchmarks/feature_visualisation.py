"""What a feature visualisation costs: beside bare passes, and beside one picture at a time.

Prints two ratios for EfficientNet-Lite0 (random weights) and a unit of blocks.3.2:
a step of 16 pictures of 128 px over the bare forward and backward pass that it needs, and the seconds
of a picture of 128 px in 256 steps when made alone, as ports of Lucid to PyTorch make it, over ours.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.exhibit import ModelSpec
from generator.models.load import load_model
from generator.models.model import VisionModel
from generator.models.tap import responses
from generator.paths import cache_root, data_root
from generator.probes.optvis.lean import Lean, foldable
from generator.probes.optvis.objectives import channel
from generator.probes.optvis.parametrisation import COLOURS
from generator.probes.optvis.render import Recipe, normalised, optimise

LAYER = "blocks.3.2"
SIZE = 128
STEPS = 256
BATCH = 16
MEASURED = 4  # steps timed in one go
RUNS = 6


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
                with Lean(folds):
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


def main() -> None:
    spec = ModelSpec(id="lite0", source="timm:tf_efficientnet_lite0", weights="random")
    model = load_model(spec, data_root(), cache_root())
    other = load_model(spec, data_root(), cache_root())  # for the hooks of the baseline
    assert isinstance(model, VisionModel) and isinstance(other, VisionModel)
    works: dict[str, Callable[[], None]] = {
        "bare": bare_pass(model, lean=True),
        "as loaded": bare_pass(model, lean=False),
        "ours": ours(model),
        "alone": OneAtATime(other),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for run in range(RUNS + 1):  # they take turns, so that a busy machine hits all alike
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if run:
                times[name].append(time.perf_counter() - started)
    step = {name: min(found) / MEASURED for name, found in times.items()}
    print(f"a step of {BATCH} pictures {1000 * step['ours']:.0f} ms, bare passes of the same")
    print(f"network {1000 * step['bare']:.0f} ms: ratio {step['ours'] / step['bare']:.2f}")
    print(f"bare passes as loaded, norms not folded {1000 * step['as loaded']:.0f} ms: ", end="")
    print(f"ratio {step['ours'] / step['as loaded']:.2f}")
    alone, image = STEPS * step["alone"], STEPS * step["ours"] / BATCH
    print(f"a picture in {STEPS} steps: alone {alone:.1f} s, ours {image:.1f} s, ", end="")
    print(f"{alone / image:.1f} times as fast")


if __name__ == "__main__":
    main()
