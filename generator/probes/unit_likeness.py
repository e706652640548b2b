"""Which units of a layer respond alike: correlations of their peak responses over a pool.

The responses are those that leave the layer, as the rest of the network reads them. Ties at the limit of
an activation need no order here: a correlation does not depend on the order of the pictures.
"""

from __future__ import annotations

import numpy as np


def correlation(sums: np.ndarray, products: np.ndarray, count: int) -> np.ndarray:
    """Correlation of the units' peaks over the pool; nan for a unit that never changes."""
    covariance = products - np.outer(sums, sums) / count
    scale = np.sqrt(np.clip(np.diag(covariance), 0, None))
    scale = np.where(scale > 1e-9 * max(1.0, float(scale.max(initial=0))), scale, np.nan)
    # Threads add up in their own order: what differs in the last bits must not decide an order.
    return np.round(covariance / np.outer(scale, scale), 6)


def most_alike(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The five units with the highest correlation, and the correlations; -1 and nan fill up."""
    others = np.where(np.isnan(correlation), -np.inf, correlation)
    np.fill_diagonal(others, -np.inf)
    order = np.argsort(-others, axis=1, kind="stable")[:, :5]
    values = np.take_along_axis(others, order, axis=1)
    usable = np.isfinite(values)
    return np.where(usable, order, -1), np.where(usable, values, np.nan)


def seriation(correlation: np.ndarray) -> np.ndarray:
    """Units sorted along the leading eigenvector of their correlations."""
    vectors = np.linalg.eigh(np.nan_to_num(correlation))[1]
    leading = np.round(vectors[:, -1], 6)
    leading = leading * np.sign(leading[np.abs(leading).argmax()])
    return np.argsort(-leading, kind="stable")
