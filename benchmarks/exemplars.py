"""What a pass for exemplars costs, beside a bare forward pass over the same pictures.

Prints the ratio for EfficientNet-Lite0 (random weights), 64 pictures of 224 px, 3,120 units.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import torch

from generator.exhibit import ModelSpec
from generator.models.load import load_model
from generator.models.model import VisionModel
from generator.paths import cache_root, data_root
from generator.probes.exemplars import BATCH, PoolImage, batches, pass_over, searched_units

PICTURES = 64
RUNS = 5


def main() -> None:
    spec = ModelSpec(id="lite0", source="timm:tf_efficientnet_lite0", weights="random")
    model = load_model(spec, data_root(), cache_root())
    assert isinstance(model, VisionModel)
    random = np.random.default_rng(0)
    pixels = random.normal(size=(PICTURES, 3, 224, 224)).astype(np.float32)
    pool = [PoolImage(str(i), str(i), partial(pixels.__getitem__, i)) for i in range(PICTURES)]
    searched_layers = searched_units(model)

    def bare() -> None:
        with torch.no_grad():
            for batch in batches(pool, BATCH):
                model.module(torch.from_numpy(np.stack(batch)))

    def searching() -> None:
        pass_over(searched_layers, pool)

    times: dict[str, list[float]] = {"bare": [], "searching": []}
    for run in range(RUNS + 1):  # the two take turns, so that a busy machine hits both alike
        for name, work in (("bare", bare), ("searching", searching)):
            started = time.perf_counter()
            work()
            if run:
                times[name].append(time.perf_counter() - started)
    plain, searched = min(times["bare"]), min(times["searching"])
    units = sum(units.units for units in searched_layers)
    print(f"bare pass {plain:.2f} s, with the peaks of {units} units {searched:.2f} s")
    print(f"ratio {searched / plain:.2f}")


if __name__ == "__main__":
    main()
