"""The largest response of every unit to each thing of a pool, of which exemplars keep the strongest only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from generator.models.model import VisionModel
from generator.probes.exemplars import PoolImage, chunks, things_of
from generator.store import Store

VERSION = 1


def peaks_over(
    model: VisionModel, pool: Sequence[PoolImage], store: Store, step: Callable[[str], None]
) -> tuple[tuple[np.ndarray, ...], tuple[int, ...]]:
    """The peaks of every unit on each thing, (things, units) a layer, and a picture of each thing.

    That of a thing is the largest over its pictures. All are held at once: for a pool that is no larger than
    names need.
    """
    things, found = things_of(pool), list(chunks(model, pool, store, step))
    order = [place for places, _ in found for place in places]
    starts = [n for n, at in enumerate(order) if n == 0 or things[at] != things[order[n - 1]]]
    layers = zip(*(responses for _, responses in found), strict=True)
    peaks = (np.concatenate([one.peak for one in layer]) for layer in layers)
    of_things = tuple(np.maximum.reduceat(each, starts, axis=0) for each in peaks)
    return of_things, tuple(order[start] for start in starts)
