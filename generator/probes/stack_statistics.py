"""The statistics of all heads of a stack on several inputs, each with that of an even spread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from generator.models.stacks import ONLY, Stack
from generator.probes.attention import Attention
from generator.probes.head_statistic import Scene
from generator.probes.head_statistics import HEAD_STATISTICS
from generator.probes.heads import Statistic, even_weights
from generator.probes.positions import delimiters, positional_statistic
from generator.probes.repeated_sequences import RepeatedSequences


def values_on(stack: Stack, weights: np.ndarray, scene: Scene) -> dict[str, np.ndarray]:
    """Each statistic that weights (..., queries, keys) on one input have, by column."""
    found = {
        one.column: one.compute(weights, scene)
        for one in HEAD_STATISTICS
        if one.compute is not None and one.applies(stack)
    }
    return {name: np.asarray(value) for name, value in found.items() if value is not None}


def statistics_on(
    stack: Stack,
    weights: Sequence[np.ndarray],
    even: Sequence[np.ndarray],
    scenes: Sequence[Scene],
) -> dict[str, Statistic]:
    """Each statistic over several inputs, by column; `even` are the weights of a head that spreads them."""
    pairs = list(zip(weights, even, scenes, strict=True))
    own = [values_on(stack, one, scene) for one, _, scene in pairs]
    control = [values_on(stack, one, scene) for _, one, scene in pairs]
    return {
        name: Statistic(
            name,
            np.stack([one[name] for one in own]),
            np.stack([one[name] for one in control]),
        )
        for name in own[0]
    }


def text_statistics(
    attentions: Sequence[Attention],
    special: Sequence[frozenset[int]],
    repeated: RepeatedSequences | None,
) -> dict[str, Statistic]:
    """All statistics of a stack that reads one text, by column, in the order of their list.

    `special` has the positions of special tokens of each text. `repeated` is None where no repeated random
    tokens fit: what is measured on them has no value.
    """
    causal, windows = attentions[0].causal, attentions[0].windows
    scenes = [
        Scene(causal, windows, delimiters(one.tokens, places))
        for one, places in zip(attentions, special, strict=True)
    ]
    even = [even_weights(len(one.tokens), causal, windows) for one in attentions]
    found = statistics_on(ONLY, [one.weights for one in attentions], even, scenes)
    found["positional"] = positional_statistic(attentions, even)
    if repeated is not None:
        found |= {
            "duplicate_token": Statistic(
                "duplicate_token", repeated.duplicate_token, repeated.control_duplicate
            ),
            "induction": Statistic("induction", repeated.induction, repeated.control_induction),
        }
    return {one.column: found[one.column] for one in HEAD_STATISTICS if one.column in found}


def defined(statistics: Iterable[Statistic]) -> tuple[Statistic, ...]:
    """Those that have a value for every head on which they were measured."""
    return tuple(one for one in statistics if np.isfinite(one.measured).all())
