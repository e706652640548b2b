"""What a pass for exemplars costs, beside bare forward passes over the same pictures.

EfficientNet-Lite0 (random weights), 64 pictures of 224 px, 3,120 units. A tuned pass has its norms folded
and works in channels-last order, as ours does.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from networks import lite0, noise
from turns import Measured, ratio, take_turns, told

from generator.probes.exemplars import BATCH, PoolImage, batches, pass_over, searched_units
from generator.probes.optvis.folding import Folding, foldable


def measure(runs: int = 5, pictures: int = 64) -> list[Measured]:
    model, pixels = lite0(), noise(pictures)
    pool = [PoolImage(str(i), str(i), partial(pixels.__getitem__, i)) for i in range(pictures)]
    searched, folds = searched_units(model), foldable(model)

    def bare(order: torch.memory_format) -> None:
        with torch.no_grad():
            for batch in batches(pool, BATCH):
                model.module(torch.from_numpy(np.stack(batch)).contiguous(memory_format=order))

    def tuned() -> None:
        with Folding(folds):
            bare(torch.channels_last)

    works = {
        "as loaded": lambda: bare(torch.contiguous_format),
        "tuned": tuned,
        "searching": lambda: pass_over(searched, pool, folds),
    }
    times = take_turns(runs, works)
    told(times, pictures)
    print(f"  over passes of the network as loaded: {ratio(times, 'searching', 'as loaded'):.2f}")
    what = f"exemplars of {sum(each.units for each in searched):,} units over bare tuned passes"
    return [Measured(what, ratio(times, "searching", "tuned"), 1.10)]
