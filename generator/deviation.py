"""The one convention for how far values lie apart: the sample standard deviation."""

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
