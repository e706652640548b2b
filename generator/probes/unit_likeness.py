"""Which units of a layer respond alike: correlations of their peak responses over a pool.

The responses are those that leave the layer, as the rest of the network reads them. Ties at the limit of
an activation need no order here: a correlation does not depend on the order of the pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

KEPT = 5


def correlation(sums: np.ndarray, products: np.ndarray, count: int) -> np.ndarray:
    """Correlation of the units' peaks over the pool; nan for a unit that never changes."""
    covariance = products - np.outer(sums, sums) / count
    scale = _scale(np.diag(covariance))
    # Threads add up in their own order: what differs in the last bits must not decide an order.
    return np.round(covariance / np.outer(scale, scale), 6)


def _scale(variance: np.ndarray) -> np.ndarray:
    scale = np.sqrt(np.clip(variance, 0, None))
    return np.where(scale > 1e-9 * max(1.0, float(scale.max(initial=0))), scale, np.nan)


def most_alike(
    correlation: np.ndarray, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The units with the highest correlation, and the correlations, (units, KEPT); -1 and nan fill up.

    With `rows` (n,) the correlations are those of these units alone, (n, units).
    """
    own = np.arange(len(correlation)) if rows is None else rows
    others = np.where(np.isnan(correlation), -np.inf, correlation)
    others[np.arange(len(own)), own] = -np.inf
    order = np.argsort(-others, axis=1, kind="stable")[:, :KEPT]
    values = np.take_along_axis(others, order, axis=1)
    usable = np.isfinite(values)
    return np.where(usable, order, -1), np.where(usable, values, np.nan)


def seriation(correlation: np.ndarray) -> np.ndarray:
    """Units sorted along the leading eigenvector of their correlations."""
    vectors = np.linalg.eigh(np.nan_to_num(correlation))[1]
    leading = np.round(vectors[:, -1], 6)
    leading = leading * np.sign(leading[np.abs(leading).argmax()])
    return np.argsort(-leading, kind="stable")


class Likeness:
    """Sums from which the correlations of peaks follow, while a pool is searched chunk by chunk.

    Of every unit with every other; with `rows`, of these units alone with every other: the MLPs of a large
    network have too many neurons for a matrix of all pairs.
    """

    def __init__(self, rows: Sequence[int] | None = None) -> None:
        self._rows = None if rows is None else list(rows)
        self._sums: np.ndarray | float = 0.0
        self._squares: np.ndarray | float = 0.0
        self._products: np.ndarray | float = 0.0

    def add(self, peaks: np.ndarray) -> None:
        """Add the peaks (pictures, units) of some pictures."""
        values = peaks.astype(np.float64)
        self._sums = self._sums + values.sum(0)
        if self._rows is None:
            self._products = self._products + values.T @ values
        else:
            self._products = self._products + values[:, self._rows].T @ values
            self._squares = self._squares + np.square(values).sum(0)

    def finish(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The most alike of each unit, how alike (units, KEPT), and an order; of `rows` alone, if given."""
        sums, products = np.asarray(self._sums), np.asarray(self._products)
        if self._rows is None:
            likeness = correlation(sums, products, count)
            return *most_alike(likeness), seriation(likeness)
        units, rows = len(sums), np.array(self._rows, dtype=np.int64)
        alike, value = np.full((units, KEPT), -1), np.full((units, KEPT), np.nan)
        if not len(rows):
            return alike, value, rows
        scale = _scale(np.asarray(self._squares) - np.square(sums) / count)
        covariance = products - np.outer(sums[rows], sums) / count
        likeness = np.round(covariance / np.outer(scale[rows], scale), 6)
        order = rows[seriation(likeness[:, rows])]
        found = most_alike(likeness, rows)
        width = found[0].shape[1]
        alike[rows, :width], value[rows, :width] = found
        return alike, value, order
