"""Features of pictures, averaged over positions, as a linear classifier is taught on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.probes.exemplars import (
    BATCH,
    CHUNK,
    PoolImage,
    batches,
    chunks,
    searched_units,
)
from generator.store import Store

VERSION = 2


@dataclass(frozen=True)
class _Means:
    """Means over positions of every unit of a layer, (pictures, units)."""

    values: np.ndarray


def features_of(
    model: VisionModel,
    layer: Layer,
    pool: Sequence[PoolImage],
    taken: Sequence[int],
    store: Store,
    step: Callable[[str], None],
) -> np.ndarray:
    """Features (pictures, units) of a layer, of the pictures at the places `taken` of a pool.

    Where the units of the layer are searched in the pool, the same pass has found them. Others are kept in
    chunks: a larger pool adds to what is known.
    """
    if layer.name in {units.name for units in searched_units(model)}:
        return _searched(model, layer, pool, store, step)[list(taken)]
    found, pictures = [], [pool[place] for place in taken]
    for start in range(0, len(pictures), CHUNK):
        part = pictures[start : start + CHUNK]
        keys = [image.key for image in part]
        parts = {"model": model.key, "layer": layer.name, "pictures": keys, "batch": BATCH}

        def make(part: Sequence[PoolImage] = part) -> _Means:
            return _Means(pooled(model, layer, part))

        found.append(store.result("pooled_features", VERSION, parts, _Means, make).values)
        step(f"{model.id}: learned classes {start + len(part)} of {len(pictures)}")
    return np.concatenate(found)


def _searched(
    model: VisionModel,
    layer: Layer,
    pool: Sequence[PoolImage],
    store: Store,
    step: Callable[[str], None],
) -> np.ndarray:
    means = np.zeros((len(pool), layer.units))
    for places, layers in chunks(model, pool, store, step):
        means[places] = next(one.mean for one in layers if one.layer == layer.name)
    return means


def pooled(model: VisionModel, layer: Layer, pictures: Sequence[PoolImage]) -> np.ndarray:
    """The means over positions of a layer's feature maps, float64 of shape (pictures, units)."""
    rows: list[np.ndarray] = []

    def take(_layer: Layer, response: Tensor) -> None:
        rows.append(response.double().mean((2, 3)).cpu().numpy())

    for batch in batches(pictures, BATCH):
        model.run_batch(torch.from_numpy(np.stack(batch)), (layer,), take)
    return np.concatenate(rows)
