"""What a head over patches does, in numbers, of weights A[..., query, key] whose rows sum to 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from generator.models.patches import PatchGrid


def patch_distance(weights: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Mean over patches of the expected distance to the patches they look at, in patches.

    Rows and columns count one each. The weight on other tokens is left out; a patch that leaves no weight
    to patches counts as 0.
    """
    first = len(grid.special)
    row, column = np.divmod(np.arange(grid.patches), grid.columns)
    distance = np.hypot(row[:, None] - row[None, :], column[:, None] - column[None, :])
    among = weights[..., first:, first:].astype(np.float64)
    total = among.sum(-1)
    moved = (among * distance).sum(-1)
    return np.asarray(np.divide(moved, total, out=np.zeros(total.shape), where=total > 0).mean(-1))


def mass_from_patches(weights: np.ndarray, grid: PatchGrid, keys: Sequence[int]) -> np.ndarray:
    """Mean over patches of the weight that they put on some tokens."""
    return weights[..., len(grid.special) :, list(keys)].sum(-1).mean(-1)
