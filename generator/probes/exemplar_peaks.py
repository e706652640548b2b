"""The largest response of every unit to each thing of a pool, of which exemplars keep the strongest only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from generator.models.model import VisionModel
from generator.probes.exemplars import CHUNK, PoolImage, chunk_of, find_exemplars, searched_units
from generator.probes.things import in_order
from generator.store import Store

VERSION = 1


def peaks_over(
    model: VisionModel, pool: Sequence[PoolImage], store: Store, step: Callable[[str], None]
) -> tuple[tuple[np.ndarray, ...], tuple[int, ...]]:
    """The peaks of every unit on each thing, (things, units) a layer, and a picture of each thing.

    That of a thing is the largest over its pictures. All are held at once: for a pool that is no larger than
    names need.
    """
    searched = searched_units(model)
    things = [image.thing or f"its own {n}" for n, image in enumerate(pool)]
    order = in_order(things)
    parts = [
        [pool[n] for n in order[start : start + CHUNK]] for start in range(0, len(pool), CHUNK)
    ]
    find_exemplars(model, pool, store, step)
    chunks = [chunk_of(model, searched, part, store).layers for part in parts]
    starts = [n for n, at in enumerate(order) if n == 0 or things[at] != things[order[n - 1]]]
    peaks = (np.concatenate([one.peak for one in layer]) for layer in zip(*chunks, strict=True))
    found = tuple(np.maximum.reduceat(each, starts, axis=0) for each in peaks)
    return found, tuple(order[start] for start in starts)
