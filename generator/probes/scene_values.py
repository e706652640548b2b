"""How each statistic is made of the weights on one input, with what it needs to know of that input."""

from __future__ import annotations

import numpy as np

from generator.probes.attention import by_layer
from generator.probes.cross_weights import cross_relative_entropy, off_diagonal, peak, same_token
from generator.probes.head_statistic import Compute, Scene
from generator.probes.heads import (
    entropy,
    mean_distance,
    next_token,
    previous_token,
    relative_entropy,
    sink_mass,
)
from generator.probes.patch_weights import mass_from_patches, patch_distance
from generator.probes.positions import delimiter_mass


def spread(weights: np.ndarray, _: Scene) -> np.ndarray:
    """Entropy of rows, in nats."""
    return entropy(weights)


def relative_spread(weights: np.ndarray, scene: Scene) -> np.ndarray:
    """Entropy of rows, relative to an even spread over visible keys."""
    if scene.source:
        return cross_relative_entropy(weights)
    return by_layer(
        lambda some, window: relative_entropy(some, scene.causal, window), weights, scene.windows
    )


def distance(weights: np.ndarray, _: Scene) -> np.ndarray:
    """Expected distance to the key, in tokens."""
    return mean_distance(weights)


def to_previous(weights: np.ndarray, _: Scene) -> np.ndarray:
    """Weight on the token before."""
    return previous_token(weights)


def to_next(weights: np.ndarray, _: Scene) -> np.ndarray:
    """Weight on the token after."""
    return next_token(weights)


def to_first(weights: np.ndarray, _: Scene) -> np.ndarray:
    """Weight on the first token."""
    return sink_mass(weights)


def to_delimiters(weights: np.ndarray, scene: Scene) -> np.ndarray:
    """Weight on punctuation and special tokens."""
    return by_layer(
        lambda some, window: delimiter_mass(some, scene.delimiters, scene.causal, window),
        weights,
        scene.windows,
    )


def largest(weights: np.ndarray, _: Scene) -> np.ndarray:
    """Largest weight of a query."""
    return peak(weights)


def apart(weights: np.ndarray, _: Scene) -> np.ndarray:
    """Distance from the diagonal, with both texts scaled to length 1."""
    return off_diagonal(weights)


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
        return mass_from_patches(weights, scene.grid, keys) if keys else None

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
