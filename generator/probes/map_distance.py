"""How far the attention maps of a head lie apart in two models, and how a map spreads over distances."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from generator.models.patches import PatchGrid
from generator.probes.patch_attention import block_shape

VERSION = 1
_STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def total_variation(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Mean over queries of half the sum of |A - B| over keys, (...) of weights (..., queries, keys).

    0 where two maps are equal, 1 where no key that one looks at is looked at by the other (Levin, Peres &
    Wilmer 2009, section 4.1).
    """
    apart = np.abs(after.astype(np.float64) - before.astype(np.float64))
    return np.asarray(apart.sum(-1).mean(-1) / 2)


def profile(weights: np.ndarray) -> np.ndarray:
    """How a map (..., tokens, tokens) of one text spreads over distances: (..., bins).

    Mean over queries but the first of the weight on the first token, then on the keys at each distance: back
    0, 1, 2, 3 to 4, 5 to 8 and so on, then as far ahead. The bins add up to 1; one that no query of this text
    has a key in is NaN.
    """
    tokens = weights.shape[-1]
    place = np.arange(tokens)
    back = place[1:, None] - place[None, :]
    first = np.broadcast_to(place[None, :] == 0, back.shape)
    masks = [first, *(mask & ~first for mask in _bins(back))]
    seen = weights[..., 1:, :].astype(np.float64)
    return np.stack([_mass(seen, mask) for mask in masks], axis=-1)


def patch_profile(weights: np.ndarray, grid: PatchGrid, block: int) -> np.ndarray:
    """How a map (..., tokens, tokens) over squares of patches spreads over distances: (..., bins).

    Mean over the squares that look of the weight on each special token, then on the squares at each distance
    (the longer of rows and columns).
    """
    rows, columns = block_shape(grid, block)
    special = len(grid.special)
    row, column = np.divmod(np.arange(rows * columns), columns)
    far = np.maximum(abs(row[:, None] - row), abs(column[:, None] - column))
    looks = weights[..., special:, :].astype(np.float64)
    over = looks[..., special:]
    on_special = [looks[..., key].mean(-1) for key in range(special)]
    return np.stack(
        [*on_special, *(_mass(over, mask) for mask in _bins(far) if mask.any())], axis=-1
    )


def _bins(distance: np.ndarray) -> Iterator[np.ndarray]:
    """Which pairs lie at 0, 1, 2, 3 to 4, 5 to 8, ..., then at as much below zero."""
    yield distance == 0
    for side in (distance, -distance):
        for low, high in pairwise(_STEPS):
            yield (side > low) & (side <= high)
        yield side > _STEPS[-1]


def _mass(weights: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean over queries of the weight on the keys of a mask (queries, keys); NaN where it has none."""
    if not mask.any():
        return np.full(weights.shape[:-2], np.nan)
    return np.asarray((weights * mask).sum((-2, -1)) / weights.shape[-2])
