"""Histograms of units' values that grow with their range: bins around zero, as wide as a power of two."""

from __future__ import annotations

import numpy as np

VERSION = 1
BINS = 32


class Histogram:
    """Counts (units, BINS) of values so far; bin b of unit u holds those in [(b - BINS / 2) * width[u], ...).

    Widths double until the largest value fits, so that the order in which values come changes nothing.
    """

    def __init__(self, units: int) -> None:
        self.counts = np.zeros((units, BINS), dtype=np.int64)
        self.width = np.full(units, 2.0**-8)

    def add(self, values: np.ndarray) -> None:
        """Count values (rows, units)."""
        if not len(values):
            return
        reach = np.abs(values).max(0)
        while (wide := reach >= self.width * (BINS // 2)).any():
            self.counts[wide] = _halved(self.counts[wide])
            self.width[wide] *= 2
        place = np.floor(values / self.width).astype(np.int64) + BINS // 2
        units = np.broadcast_to(np.arange(values.shape[1]), values.shape)
        np.add.at(self.counts, (units, place), 1)


def _halved(counts: np.ndarray) -> np.ndarray:
    """The same histogram in bins of twice the width, around the same zero."""
    paired = counts.reshape(len(counts), BINS // 2, 2).sum(-1)
    return np.pad(paired, ((0, 0), (BINS // 4, BINS // 4)))


def filled_bins(counts: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Counts (bins,) of one unit from the first bin that is filled to the last, and their edges."""
    filled = np.flatnonzero(counts)
    first, last = int(filled[0]), int(filled[-1]) + 1
    return counts[first:last], (np.arange(first, last + 1) - BINS // 2) * width
