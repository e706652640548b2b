"""How a head stands among all heads in each statistic, and where it looks most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.addresses import Link
from generator.inputs.texts import readable
from generator.probes.attention import Attention
from generator.probes.head_statistic import HeadStatistic
from generator.probes.heads import Statistic
from generator.techniques.measured_stack import MeasuredStack

LINKS, LEADING = 5, 3


@dataclass(frozen=True)
class Standing:
    """One statistic of one head, and where it stands among all heads of the model.

    `percentile` is the percentage of the other heads below it. `twin` and `twin_highest` are mean and
    largest value among the heads of the same network with random weights.
    """

    definition: HeadStatistic
    value: float
    spread: float
    uniform: float
    percentile: float
    twin: float
    twin_highest: float
    probes: int
    rank: int
    heads: int
    lowest: float
    highest: float

    @property
    def ranked(self) -> bool:
        """Whether it was measured of this head, and differs between heads."""
        return self.highest > self.lowest and bool(np.isfinite(self.value))

    @property
    def place(self) -> float:
        """Position between the lowest (0) and the highest (1) head."""
        reach = self.highest - self.lowest
        return (self.value - self.lowest) / reach if reach > 0 else 0.0


def standings(stack: MeasuredStack, layer: int, head: int) -> tuple[Standing, ...]:
    """All statistics of one head."""
    return tuple(
        Standing(
            definition=stack.definitions[one.name],
            value=float(one.mean[layer, head]),
            spread=float(one.spread[layer, head]),
            uniform=one.uniform_in(layer),
            percentile=float(stack.percentiles[one.name][layer, head]),
            twin=stack.control.mean(one.name),
            twin_highest=stack.control.highest(one.name),
            probes=one.probes,
            rank=int(stack.ranks[one.name][layer, head]),
            heads=one.measured.size,
            lowest=float(one.measured.min()),
            highest=float(one.measured.max()),
        )
        for one in stack.statistics
    )


@dataclass(frozen=True)
class Leader:
    """A statistic, and the three heads that lead in it, with their values."""

    definition: HeadStatistic
    heads: tuple[tuple[Link, float], ...]
    uniform: float
    probes: int
    twin: float
    twin_highest: float


def leaders(stack: MeasuredStack) -> list[Leader]:
    """The heads that lead in each statistic, beside what an even spread and random weights would give."""
    return [_leader(stack, statistic) for statistic in stack.statistics]


def _leader(stack: MeasuredStack, statistic: Statistic) -> Leader:
    name, mean = statistic.name, statistic.mean
    best = best_heads(mean, LEADING) if float(statistic.measured.max()) > 0 else []
    return Leader(
        definition=stack.definitions[name],
        heads=tuple((stack.link(*at), float(mean[at])) for at in best),
        uniform=statistic.uniform,
        probes=statistic.probes,
        twin=stack.control.mean(name),
        twin_highest=stack.control.highest(name),
    )


def best_heads(values: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Layer and head of the largest values, equal ones in order."""
    order = np.argsort(-values, axis=None, kind="stable")[:count]
    return [(int(place) // values.shape[1], int(place) % values.shape[1]) for place in order]


def highest(values: np.ndarray) -> tuple[int, int]:
    """Layer and head of the largest value, the first of equal ones."""
    layer, head = np.unravel_index(int(np.nanargmax(values)), values.shape)
    return int(layer), int(head)


@dataclass(frozen=True)
class StrongLink:
    """A large attention weight, between two readable tokens."""

    query: str
    query_place: int
    key: str
    key_place: int
    weight: float


def strong_links(attention: Attention, layer: int, head: int) -> list[StrongLink]:
    """The largest weights of a head on a text, those on the first token left out."""
    weights = attention.weights[layer, head].copy()
    weights[:, 0] = -1
    flat = _largest(weights.ravel(), min(LINKS, weights.size))
    tokens, keys = ([readable(one) for one in side] for side in (attention.tokens, attention.keys))
    found = []
    for place in flat:
        query, key = (int(i) for i in np.unravel_index(place, weights.shape))
        if weights[query, key] > 0:
            weight = float(weights[query, key])
            found.append(StrongLink(tokens[query], query, keys[key], key, weight))
    return found


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Places of the `count` largest values, equal ones in order: of a long text few need sorting."""
    least = np.partition(values, -count)[-count]
    places = np.flatnonzero(values >= least)
    return places[np.argsort(-values[places], kind="stable")[:count]]
