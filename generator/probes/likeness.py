"""Heads that behave alike, and where a head stands among all heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generator.probes.attention import Attention, visible

NEAREST = 5


@dataclass(frozen=True)
class Likeness:
    """The heads whose maps resemble each head's most.

    `others` (layers, heads, NEAREST, 2) are (layer, head), the most alike first; `correlation`
    (layers, heads, NEAREST) is Pearson's over all weights, on all texts or pictures, that one of both can
    have; NaN for a head whose weights never vary.
    """

    others: np.ndarray
    correlation: np.ndarray


def alike_heads(attentions: Sequence[Attention]) -> Likeness:
    """For each head the others with the most similar attention maps on the same texts.

    Compared are the weights of pairs of tokens that at least one of two heads can see: what lies beyond both
    their windows would make any two alike.
    """
    layers, heads = attentions[0].weights.shape[:2]
    windows = attentions[0].windows
    correlation = row_correlation(_visible(attentions))
    width = np.repeat([window or np.inf for window in windows], heads)
    # Of two heads the farther sighted one decides, so that narrower ones are compared anew among themselves.
    for window in sorted({window for window in windows if window}, reverse=True):
        near = np.flatnonzero(width <= window)
        maps = _visible(attentions, window)[near]
        correlation[np.ix_(near, near)] = row_correlation(maps)
    return nearest_heads(correlation, layers, heads)


def row_correlation(maps: np.ndarray) -> np.ndarray:
    """Pearson's correlation of rows; NaN for one that never varies."""
    centred = maps - maps.mean(-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    unit = np.divide(centred, length, out=np.full_like(centred, np.nan), where=length > 0)
    return unit @ unit.T


def nearest_heads(correlation: np.ndarray, layers: int, heads: int) -> Likeness:
    """For each head the others that correlate with it most, from all correlations (heads, heads)."""
    known = np.where(np.isnan(correlation), -np.inf, correlation.round(6))
    np.fill_diagonal(known, -np.inf)
    count = min(NEAREST, len(correlation) - 1)
    order = np.argsort(-known, axis=-1, kind="stable")[:, :count]
    others = np.stack(np.unravel_index(order, (layers, heads)), axis=-1)
    values = np.take_along_axis(correlation, order, axis=1)
    return Likeness(others.reshape(layers, heads, count, 2), values.reshape(layers, heads, count))


def _visible(attentions: Sequence[Attention], window: int = 0) -> np.ndarray:
    """All weights that a mask leaves, as rows (layers * heads, weights), in double precision."""
    parts = []
    for one in attentions:
        seen = visible(len(one.tokens), one.causal, window, len(one.keys))
        parts.append(one.weights[..., seen].reshape(-1, int(seen.sum())))
    return np.concatenate(parts, axis=1).astype(np.float64)


def percentile(values: np.ndarray) -> np.ndarray:
    """Percentage of the other heads that lie below each head; equal ones count half. NaN stays NaN."""
    flat = values.ravel()
    known = flat[np.isfinite(flat)]
    if len(known) < 2:
        return np.full(values.shape, np.nan)
    below = (known[None, :] < flat[:, None]).sum(-1)
    equal = (known[None, :] == flat[:, None]).sum(-1) - 1
    found = 100 * (below + equal / 2) / (len(known) - 1)
    return np.where(np.isfinite(flat), found, np.nan).reshape(values.shape)
