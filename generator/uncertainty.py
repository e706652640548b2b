"""How far values lie apart, and how far a share that was counted can be trusted."""

from __future__ import annotations

import warnings

import numpy as np


def sample_deviation(values: np.ndarray) -> np.ndarray:
    """Standard deviation over the first axis, with n - 1 in the denominator, NaN left out.

    NaN where fewer than two values are defined: one value says nothing of how far values lie apart.
    """
    if len(values) < 2:
        return np.full(np.shape(values)[1:], np.nan)[()]
    with warnings.catch_warnings():
        # NumPy warns where fewer than two values are defined; NaN says so already.
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanstd(values, axis=0, ddof=1))[()]


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is finite; NaN where nothing is."""
    there = np.isfinite(values)
    count = there.sum(0)
    total = np.where(there, values, 0).sum(0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def share_error(right: int, of: int) -> float:
    """Standard error of a share, with two right and two wrong added (Agresti & Coull 1998).

    The plain binomial error is zero where all are right, which would say that the share is certain. nan
    where nothing was counted.
    """
    if not of:
        return float("nan")
    share = (right + 2) / (of + 4)
    return float((share * (1 - share) / (of + 4)) ** 0.5)


_Z = 1.959964  # 95 % of a normal distribution lie within


def share_interval(share: float, of: int) -> tuple[float, float]:
    """95 % interval of a share of `of` independent cases (Wilson 1927); it never leaves 0 to 1.

    Wide where few were counted, and lopsided close to 0 and 1. nan where nothing was counted.
    """
    if not of:
        return float("nan"), float("nan")
    middle = share + _Z**2 / (2 * of)
    half = _Z * float(max(0.0, share * (1 - share) / of + _Z**2 / (4 * of**2)) ** 0.5)
    low, high = ((middle + side) / (1 + _Z**2 / of) for side in (-half, half))
    return max(0.0, low), min(1.0, high)
