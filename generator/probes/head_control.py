"""What the heads of the same network show with random weights: what training did not make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RandomControl:
    """Each statistic of all heads of the random twin, (layers, heads), by name.

    Heads of two networks do not correspond: compare a head with all heads of the twin, by their mean
    and their largest value. A statistic that cannot be had is missing. `labelled` of the twin's heads get
    a role by the same rules, `asked` were tested for one; its own highest heads are no bar.
    """

    seed: int
    values: Mapping[str, np.ndarray]
    asked: int = 0
    labelled: int = 0

    def mean(self, name: str) -> float:
        """Mean over the twin's heads; NaN if the statistic is missing."""
        return float(self._measured(name).mean()) if name in self.values else float("nan")

    def highest(self, name: str) -> float:
        """The largest value among the twin's heads; NaN if the statistic is missing."""
        return float(self._measured(name).max()) if name in self.values else float("nan")

    def _measured(self, name: str) -> np.ndarray:
        """The values of the heads on which a statistic was measured: not all are silenced in a large twin."""
        values, there = self.values[name], np.isfinite(self.values[name])
        return values[there] if there.any() and not there.all() else values
