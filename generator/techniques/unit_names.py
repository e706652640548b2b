"""Names of the units of a layer that were tested, beside those of random weights, as a section shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from generator.addresses import Link
from generator.probes.unit_names import ALPHA, LEAST, PERMUTATIONS, Names

LISTED = 6  # named units of a class
Named = Mapping[int, tuple[str, float]]
"""The name of units and its AUROC, by unit."""


NamedClass = tuple[str, int, tuple[tuple[Link, float], ...]]
"""A class that units are named after: how many, and the first with their AUROC."""


@dataclass(frozen=True)
class NamesView:
    """The names of a layer's units; `random` is how many have one with random weights, None where unknown.

    `word` is what a unit is called, `inputs` what it was tested on; `tests` are named by what is told apart.
    Their bar is what the null stays below in `held` of the `permutations`.
    """

    word: str
    inputs: str
    units: int
    named: tuple[NamedClass, ...]
    having: int
    random: int | None
    tests: tuple[tuple[str, Names], ...]
    least: float = LEAST
    held: int = round((1 - ALPHA) * PERMUTATIONS)
    permutations: int = PERMUTATIONS


def names_in(tests: Sequence[Names], place: int) -> dict[int, tuple[str, float]]:
    """The units of a layer that have a name by one of some tests, by unit; of two names the surer."""
    best: dict[int, tuple[str, float]] = {}
    for names in tests:
        for unit in [] if names.reason else names.named(place).tolist():
            area = float(names.tested[place][unit])
            if unit not in best or area > best[unit][1]:
                best[unit] = names.names[int(names.best[place][unit])], area
    return dict(sorted(best.items()))


def classes(named: Named, link: Callable[[int], Link]) -> tuple[NamedClass, ...]:
    """Named units by class, the largest class first."""
    by_name: dict[str, list[tuple[int, float]]] = {}
    for unit, (name, area) in named.items():
        by_name.setdefault(name, []).append((unit, area))
    found = []
    for name, units in sorted(by_name.items(), key=lambda one: (-len(one[1]), one[0])):
        best = sorted(units, key=lambda one: -one[1])[:LISTED]
        found.append((name, len(units), tuple((link(unit), area) for unit, area in best)))
    return tuple(found)
