"""What the deconvolutions of all units of a layer cost, beside the passes back that they need.

EfficientNet-Lite0 (random weights), the 40 units of blocks.2.1 and their strongest of 16 pictures: one
pass back for each rule and unit, in batches as large as ours. The passes forward are on our side only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from networks import lite0, noise
from turns import Measured, ratio, take_turns, told

from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.models.tap import responses
from generator.probes.deconvolution import measure_deconvolution
from generator.probes.exemplars import PoolImage, find_exemplars
from generator.store import Store

LAYER = "blocks.2.1"
BATCH = 4
RULES = 2  # guided backpropagation and the plain gradient; there is no max pooling


def bare_passes(model: VisionModel, layer: Layer) -> Callable[[], None]:
    """As many plain passes back as there are units and rules, from noise."""
    pixels = torch.from_numpy(noise(BATCH)).requires_grad_()
    with torch.enable_grad():
        given = pixels.clone(memory_format=torch.channels_last)
        response = responses(model, given, (layer,))[LAYER]
    seed = torch.zeros_like(response)
    seed[:, 0, 5, 5] = 1

    def work() -> None:
        for _ in range(layer.units * RULES // BATCH):
            torch.autograd.grad(response, pixels, seed, retain_graph=True)

    return work


def measure(runs: int = 3, pictures: int = 16) -> list[Measured]:
    model, pixels = lite0(), noise(pictures)
    model = replace(model, with_units=frozenset({LAYER}))
    pool = [PoolImage(str(i), str(i), partial(pixels.__getitem__, i)) for i in range(pictures)]
    layer = next(layer for layer in model.layers if layer.name == LAYER)
    with tempfile.TemporaryDirectory() as folder:
        exemplars = find_exemplars(model, pool, Store(Path(folder)), lambda _: None)

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            given = {"full": False, "store": Store(Path(folder)), "step": lambda _: None}
            measure_deconvolution(model, pool, exemplars, {}, **given)

    times = take_turns(runs, {"bare": bare_passes(model, layer), "ours": ours})
    told(times)
    what = f"deconvolution of the {layer.units} units of {LAYER} over bare passes back"
    return [Measured(what, ratio(times, "ours", "bare"), 1.3)]
