"""What it costs to listen to every layer during a forward pass, beside the bare pass.

Prints the ratio for EfficientNet-Lite0 (random weights) on one 224 px picture, reading each response.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from generator.exhibit import ModelSpec
from generator.models.load import load_model
from generator.models.model import VisionModel
from generator.paths import cache_root, data_root

RUNS = 20


def best(run) -> float:
    run()
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    spec = ModelSpec(id="lite0", source="timm:tf_efficientnet_lite0", weights="random")
    model = load_model(spec, data_root(), cache_root())
    assert isinstance(model, VisionModel)
    pixels = np.random.default_rng(0).normal(size=(3, 224, 224)).astype(np.float32)
    batch = torch.from_numpy(pixels)[None]

    def bare() -> None:
        with torch.no_grad():
            model.module(batch)

    def listening() -> None:
        model.run(pixels, lambda _layer, response: response.sum())

    plain, heard = best(bare), best(listening)
    print(
        f"bare pass {1000 * plain:.1f} ms, listening to {len(model.layers)} layers {1000 * heard:.1f} ms"
    )
    print(f"ratio {heard / plain:.2f}")


if __name__ == "__main__":
    main()
