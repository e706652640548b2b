"""What an attention head does, in numbers. Every function takes weights A[..., query, key].

Rows of A sum to 1. Definitions: entropy, previous and next token after Clark et al. 2019; mean
distance after Vig & Belinkov 2019; sink mass after Xiao et al. 2023; duplicate token after Wang et
al. 2022; induction after Olsson et al. 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from generator.probes.attention import (
    visible,
    visible_keys,
)
from generator.uncertainty import sample_deviation

VERSION = 2


def entropy(weights: np.ndarray) -> np.ndarray:
    """Mean over queries of the entropy of a row, in nats."""
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    return 0.0 - (weights * logs).sum(-1).mean(-1)  # a bare minus makes a negative zero


def relative_entropy(weights: np.ndarray, causal: bool, window: int = 0) -> np.ndarray:
    """Mean over queries of row entropy / ln(visible keys); queries that see one key are left out."""
    seen = visible_keys(weights.shape[-1], causal, window)
    several = seen > 1
    if not several.any():
        return np.full(weights.shape[:-2], np.nan)
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    rows = 0.0 - (weights * logs).sum(-1)[..., several]
    return (rows / np.log(seen[several])).mean(-1)


def mean_distance(weights: np.ndarray) -> np.ndarray:
    """Mean over queries of the expected distance to the key, in tokens."""
    place = np.arange(weights.shape[-1])
    distance = np.abs(place[:, None] - place[None, :])
    return (weights * distance).sum(-1).mean(-1)


def previous_token(weights: np.ndarray) -> np.ndarray:
    """Mean weight from a query to the token just before it."""
    return _mean_diagonal(weights, -1)


def next_token(weights: np.ndarray) -> np.ndarray:
    """Mean weight from a query to the token just after it; zero under a causal mask."""
    return _mean_diagonal(weights, 1)


def sink_mass(weights: np.ndarray) -> np.ndarray:
    """Mean weight on the first token, over all later queries."""
    if weights.shape[-2] < 2:
        return np.full(weights.shape[:-2], np.nan)
    return weights[..., 1:, 0].mean(-1)


def duplicate_token(weights: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """Mean over repeated tokens of the mass on earlier copies of the same token."""
    names = np.asarray(ids)
    earlier = (names[:, None] == names[None, :]) & np.tri(len(names), k=-1, dtype=bool)
    repeated = earlier.any(-1)
    if not repeated.any():
        return np.full(weights.shape[:-2], np.nan)
    return (weights * earlier).sum(-1)[..., repeated].mean(-1)


def induction(weights: np.ndarray, second: slice, period: int) -> np.ndarray:
    """Mean weight, over queries q in the `second` copy, on the key q - period + 1.

    That key is the token that followed the same token the first time.
    """
    queries = np.arange(weights.shape[-2])[second]
    return weights[..., queries, queries - period + 1].mean(-1)


def _mean_diagonal(weights: np.ndarray, offset: int) -> np.ndarray:
    diagonal = np.diagonal(weights, offset=offset, axis1=-2, axis2=-1)
    if not diagonal.shape[-1]:
        return np.full(weights.shape[:-2], np.nan)
    return diagonal.mean(-1)


@dataclass(frozen=True)
class Statistic:
    """One statistic of all heads. `values` has shape (probes, layers, heads).

    A statistic that is taken of all texts at once has one value, and `error` (layers, heads), its standard
    error over `drawn` texts. `control` is what an even spread over visible keys gives, (probes,), or
    (probes, layers) where layers differ in how far they see. `asked` (layers, heads) says of which heads it
    was measured, None of all: the others have no value.
    """

    name: str
    values: np.ndarray
    control: np.ndarray
    error: np.ndarray | None = None
    drawn: int = 0
    asked: np.ndarray | None = None

    @cached_property
    def measured(self) -> np.ndarray:
        """The means of all heads on which it was measured, in a row."""
        mean = self.mean
        return mean.ravel() if self.asked is None else mean[self.asked]

    def was_asked(self, head: tuple[int, int]) -> bool:
        """Whether it was measured of a head (layer, head)."""
        return self.asked is None or bool(self.asked[head])

    @cached_property
    def _whole(self) -> np.ndarray:
        """The values of the probes that have one for every head asked."""
        flat = self.values.reshape(len(self.values), -1)
        asked = flat if self.asked is None else flat[:, self.asked.ravel()]
        return self.values[np.isfinite(asked).all(-1)]

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean over the probe texts or sequences, shape (layers, heads)."""
        if self.asked is None:
            return _over_probes(np.nanmean, self.values)
        whole = self._whole
        return whole.mean(0) if len(whole) else np.full(self.asked.shape, np.nan)

    @cached_property
    def spread(self) -> np.ndarray:
        """Sample standard deviation over the probe texts or sequences, shape (layers, heads).

        NaN where the statistic is defined on one alone.
        """
        return sample_deviation(self._whole)

    @property
    def probes(self) -> int:
        """On how many texts or sequences the statistic is defined."""
        return len(self._whole)

    def lower(self, level: float) -> np.ndarray:
        """One-sided lower bound of the mean (layers, heads) if inputs are drawn at random (Student's t).

        The mean itself where there is one input only.
        """
        count = self.drawn or self.probes
        if count < 2:
            return self.mean
        error = sample_deviation(self._whole) / np.sqrt(count) if self.error is None else self.error
        return self.mean - scipy.stats.t.ppf(1 - level, count - 1) * error

    @property
    def uniform(self) -> float:
        """The same statistic for a head that spreads its weight evenly: the control.

        The mean over layers where they differ in how far they see.
        """
        return float(np.mean(_over_probes(np.nanmean, self.control)))

    def uniform_in(self, layer: int) -> float:
        """The control of one layer's heads."""
        if self.control.ndim < 2:
            return self.uniform
        return float(_over_probes(np.nanmean, self.control)[layer])


def _over_probes(function: Callable[..., np.ndarray], values: np.ndarray) -> np.ndarray:
    defined = values[np.isfinite(values).reshape(len(values), -1).all(-1)]
    return function(defined, axis=0) if len(defined) else np.full(values.shape[1:], np.nan)


def uniform_attention(length: int, causal: bool, window: int = 0) -> np.ndarray:
    """The weights of a head that looks at all visible keys alike, shape (queries, keys)."""
    seen = visible(length, causal, window).astype(np.float64)
    return (seen / seen.sum(-1, keepdims=True)).astype(np.float32)


def even_weights(length: int, causal: bool, windows: Sequence[int] = ()) -> np.ndarray:
    """The same for all layers (queries, keys), or (layers, queries, keys) where some have a window."""
    if not any(windows):
        return uniform_attention(length, causal)
    return np.stack([uniform_attention(length, causal, window) for window in windows])


def rank(values: np.ndarray) -> np.ndarray:
    """Rank among all heads, 1 for the largest; equal values share the better rank."""
    flat = values.ravel()
    above = (flat[None, :] > flat[:, None]).sum(-1)
    return (above + 1).reshape(values.shape)


@dataclass(frozen=True)
class RandomControl:
    """Each statistic of all heads of the random twin, (layers, heads), by name.

    Heads of two networks do not correspond: compare a head with all heads of the twin, by their mean
    and their largest value. A statistic that cannot be had is missing. Where not all were silenced, those
    `drawn` at random, (layer, head), stand for the mean. `labelled` of the twin's heads get a role by the
    same rules, `asked` were tested for one; its own highest heads are no bar.
    """

    seed: int
    values: Mapping[str, np.ndarray]
    asked: int = 0
    labelled: int = 0
    drawn: tuple[tuple[int, int], ...] = ()

    def mean(self, name: str) -> float:
        """Mean over the twin's heads; NaN if the statistic is missing."""
        if name not in self.values:
            return float("nan")
        measured = self._measured(name)
        if self.drawn and measured.size < self.values[name].size:
            measured = self.values[name][tuple(zip(*self.drawn, strict=True))]
        return float(measured.mean())

    def highest(self, name: str) -> float:
        """The largest value among the twin's heads; NaN if the statistic is missing."""
        return float(self._measured(name).max()) if name in self.values else float("nan")

    def _measured(self, name: str) -> np.ndarray:
        """The values of the heads on which a statistic was measured: not all are silenced in a large twin."""
        values, there = self.values[name], np.isfinite(self.values[name])
        return values[there] if there.any() and not there.all() else values
