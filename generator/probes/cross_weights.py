"""What a head of cross attention does, in numbers: weights from the tokens of one text to those of another.

The place of a key says nothing of the place of a query; what is defined is how spread out the weights are,
how far from the diagonal, and whether they find the same token in the source.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from generator.probes.heads import entropy


def peak(weights: np.ndarray) -> np.ndarray:
    """Mean over queries of the largest weight: 1 if each query looks at one key alone."""
    return weights.max(-1).mean(-1)


def cross_relative_entropy(weights: np.ndarray) -> np.ndarray:
    """Entropy relative to an even spread over all keys; NaN for a source of one token."""
    keys = weights.shape[-1]
    if keys < 2:
        return np.full(weights.shape[:-2], np.nan)
    return entropy(weights) / np.log(keys)


def off_diagonal(weights: np.ndarray) -> np.ndarray:
    """Mean distance from the diagonal, with both texts scaled to length 1.

    Mean over queries i of sum_j A |i / (m - 1) - j / (n - 1)|: 0 for a head that walks through the
    source as the target is written. NaN if a text has one token.
    """
    queries, keys = weights.shape[-2:]
    if queries < 2 or keys < 2:
        return np.full(weights.shape[:-2], np.nan)
    apart = np.abs(np.linspace(0, 1, queries)[:, None] - np.linspace(0, 1, keys)[None, :])
    return (weights * apart).sum(-1).mean(-1)


def same_token(
    weights: np.ndarray, wanted: Sequence[int], source: Sequence[int], special: frozenset[int]
) -> np.ndarray:
    """Mean weight on the source tokens that equal the query's `wanted` token.

    Over the queries whose token stands in the source; `special` tokens are left out. NaN without any.
    """
    same = np.array([[one == other and one not in special for other in source] for one in wanted])
    there = same.any(-1)
    if not there.any():
        return np.full(weights.shape[:-2], np.nan)
    return (weights * same).sum(-1)[..., there].mean(-1)
