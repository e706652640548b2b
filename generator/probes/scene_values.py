"""How each statistic is made of the weights on one input, with what it needs to know of that input.

Between two texts the place of a key says nothing of the place of a query: what is defined is how spread out
the weights are, how far from the diagonal, and whether they find the same token in the source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from generator.models.patches import PatchGrid
from generator.probes.attention import by_layer
from generator.probes.head_statistic import Compute, Scene
from generator.probes.heads import entropy, relative_entropy
from generator.probes.positions import delimiter_mass


def of_weights(function: Callable[[np.ndarray], np.ndarray]) -> Compute:
    """A function of the weights alone."""
    return lambda weights, _: function(weights)


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


def relative_spread(weights: np.ndarray, scene: Scene) -> np.ndarray:
    """Entropy of rows, relative to an even spread over visible keys."""
    if scene.source:
        return cross_relative_entropy(weights)
    return by_layer(
        lambda some, window: relative_entropy(some, scene.causal, window), weights, scene.windows
    )


def to_delimiters(weights: np.ndarray, scene: Scene) -> np.ndarray:
    """Weight on punctuation and special tokens."""
    return by_layer(
        lambda some, window: delimiter_mass(some, scene.delimiters, scene.causal, window),
        weights,
        scene.windows,
    )


def to_read(weights: np.ndarray, scene: Scene) -> np.ndarray:
    """Weight on the source tokens equal to the token just read."""
    return same_token(weights, scene.read, scene.source, scene.special)


def to_written(weights: np.ndarray, scene: Scene) -> np.ndarray:
    """Weight on the source tokens equal to the token to be written."""
    return same_token(weights, scene.written, scene.source, scene.special)


def distance_between_patches(weights: np.ndarray, scene: Scene) -> np.ndarray:
    """Expected distance to the patches that are looked at, in patches."""
    assert scene.grid is not None  # a picture
    return patch_distance(weights, scene.grid)


def to_tokens(kind: str) -> Compute:
    """Weight of patches on the tokens of a `kind`: class, distillation, register."""

    def compute(weights: np.ndarray, scene: Scene) -> np.ndarray | None:
        assert scene.grid is not None
        keys = [i for i, name in enumerate(scene.grid.special) if name.split()[0] == kind]
        from_patches = weights[..., len(scene.grid.special) :, keys]
        return from_patches.sum(-1).mean(-1) if keys else None

    return compute


def on_itself(name: str) -> Compute:
    """Weight of a token that stands for no patch on itself."""

    def compute(weights: np.ndarray, scene: Scene) -> np.ndarray | None:
        assert scene.grid is not None
        if name not in scene.grid.special:
            return None
        at = scene.grid.special.index(name)
        return weights[..., at, at].copy()

    return compute
