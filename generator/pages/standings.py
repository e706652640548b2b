"""How a head stands among all heads in each statistic, and where it looks most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link
from generator.figures.attention import grain
from generator.inputs.texts import readable
from generator.pages.definitions import Definition
from generator.probes.attention import Attention
from generator.probes.heads import Statistic, rank
from generator.probes.likeness import percentile

LINKS = 5


@dataclass(frozen=True)
class Standing:
    """One statistic of one head, and where it stands among all heads of the model.

    `percentile` is the percentage of the other heads below it. `twin` and `twin_highest` are mean and
    largest value among the heads of the same network with random weights.
    """

    definition: Definition
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
    def place(self) -> float:
        """Position between the lowest (0) and the highest (1) head."""
        reach = self.highest - self.lowest
        return (self.value - self.lowest) / reach if reach > 0 else 0.0


@dataclass(frozen=True)
class Order:
    """Where every head stands: ranks and percentiles (layers, heads) of each statistic, by name."""

    ranks: dict[str, np.ndarray]
    percentiles: dict[str, np.ndarray]


def order_heads(statistics: Sequence[Statistic]) -> Order:
    """Ranks and percentiles of all heads in all statistics."""
    known = {statistic.name: statistic.mean for statistic in statistics}
    return Order(
        {name: rank(mean) for name, mean in known.items()},
        {name: percentile(mean) for name, mean in known.items()},
    )


def standings(
    statistics: Sequence[Statistic],
    twin: Mapping[str, np.ndarray],
    order: Order,
    layer: int,
    head: int,
    words: Mapping[str, Definition],
) -> list[Standing]:
    """All statistics of one head, defined in `words`. `twin` has those of the random twin's heads."""
    found = []
    for statistic in statistics:
        name, mean, spread = statistic.name, statistic.mean, statistic.spread
        found.append(
            Standing(
                definition=words[name],
                value=float(mean[layer, head]),
                spread=float(spread[layer, head]),
                uniform=statistic.uniform_in(layer),
                percentile=float(order.percentiles[name][layer, head]),
                twin=float(twin[name].mean()) if name in twin else float("nan"),
                twin_highest=float(twin[name].max()) if name in twin else float("nan"),
                probes=statistic.probes,
                rank=int(order.ranks[name][layer, head]),
                heads=mean.size,
                lowest=float(mean.min()),
                highest=float(mean.max()),
            )
        )
    return found


def leader(
    statistic: Statistic,
    twin: Mapping[str, np.ndarray],
    link: Callable[[int, int], Link],
    words: Mapping[str, Definition],
) -> dict[str, object]:
    """The three heads that lead in a statistic, beside what an even spread would give."""
    name, mean = statistic.name, statistic.mean
    heads = []
    for place in np.argsort(-mean, axis=None, kind="stable")[:3]:
        layer, head = (int(i) for i in np.unravel_index(place, mean.shape))
        heads.append((link(layer, head), float(mean[layer, head])))
    return {
        "definition": words[name],
        "heads": heads if float(mean.max()) > 0 else [],
        "uniform": statistic.uniform,
        "probes": statistic.probes,
        "twin": float(twin[name].mean()) if name in twin else float("nan"),
        "twin_highest": float(twin[name].max()) if name in twin else float("nan"),
    }


@dataclass(frozen=True)
class StrongLink:
    """A large attention weight, between two readable tokens."""

    query: str
    query_place: int
    key: str
    key_place: int
    weight: float


def grain_note(attention: Attention) -> str:
    """What a drawn map shows of a long text; empty for any other."""
    block = grain(len(attention.tokens), len(attention.keys))
    return f" Each cell is the largest of {block} × {block} weights." if block > 1 else ""


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
    found: np.ndarray = places[np.argsort(-values[places], kind="stable")[:count]]
    return found
