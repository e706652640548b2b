"""What it costs to listen to every layer during a forward pass, beside the bare pass.

EfficientNet-Lite0 (random weights) on one 224 px picture; each response is read once, by its sum.
"""

from __future__ import annotations

import torch
from networks import lite0, noise
from turns import Measured, ratio, take_turns, told


def measure(runs: int = 20) -> list[Measured]:
    model, pixels = lite0(), noise(1)[0]
    batch = torch.from_numpy(pixels)[None]

    def bare() -> None:
        with torch.no_grad():
            model.module(batch)

    def listening() -> None:
        model.run(pixels, lambda _layer, response: response.sum())

    times = take_turns(runs, {"bare": bare, "listening": listening})
    told(times)
    what = f"listening to all {len(model.layers)} layers over a bare pass"
    return [Measured(what, ratio(times, "listening", "bare"), 1.15)]
