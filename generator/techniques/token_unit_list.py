"""Units of a layer in a list: those that have a page, and the names that were tested."""

from __future__ import annotations

from dataclasses import dataclass

from generator.addresses import Link
from generator.probes.unit_choice import LARGEST
from generator.probes.unit_names import LEAST, Names
from generator.techniques.token_unit_facts import Effect, effect_of, strongest
from generator.techniques.token_units import Shown, loses

LISTED = 6  # named units of a class


@dataclass(frozen=True)
class Listed:
    """A unit in a list; the strongest tokens, each between what stands around it."""

    link: Link
    why: str
    name: str
    tokens: tuple[tuple[str, str, str], ...]
    own: Effect | None
    others: Effect | None


@dataclass(frozen=True)
class NamedClass:
    """Units named after one class: how many, and the first with their AUROC."""

    name: str
    count: int
    units: tuple[tuple[Link, float], ...]


@dataclass(frozen=True)
class ListView:
    """The units of a layer: those that have a page, and the names, beside those of random weights."""

    word: str
    units: int
    passages: int
    listed: tuple[Listed, ...]
    named: tuple[NamedClass, ...]
    having: int
    random: int | None
    tests: tuple[tuple[str, Names], ...]
    least: float
    loss: bool
    estimated: str


def list_view(shown: Shown, place: int) -> ListView:
    """The units of a layer."""
    run, found, units = shown.run, shown.found, shown.layer(place)
    chosen, named = found.chosen[place], found.names(place)
    listed = tuple(
        Listed(
            shown.link(units.layer, unit),
            _why(why, found.estimated),
            named.get(unit, ("", 0.0))[0],
            strongest(run, units, unit, 3),
            *effect_of(found, place, row),
        )
        for row, (unit, why) in enumerate(zip(chosen.units, chosen.why, strict=True))
    )
    return ListView(
        word=shown.word,
        units=units.units,
        passages=units.passages,
        listed=listed,
        named=_classes(shown, place, named),
        having=len(named),
        random=None if shown.random is None else len(shown.random.names(place)),
        tests=(("tokens", found.pool.tokens), ("passages", found.pool.kinds)),
        least=LEAST,
        loss=loses(run),
        estimated=found.estimated,
    )


def _why(why: str, estimated: str) -> str:
    return "largest write" if why == LARGEST and estimated else why


def _classes(
    shown: Shown, place: int, named: dict[int, tuple[str, float]]
) -> tuple[NamedClass, ...]:
    """The named units of a layer by class, the largest class first."""
    layer = shown.layer(place).layer
    by_name: dict[str, list[tuple[int, float]]] = {}
    for unit, (name, area) in named.items():
        by_name.setdefault(name, []).append((unit, area))
    found = []
    for name, units in sorted(by_name.items(), key=lambda one: (-len(one[1]), one[0])):
        best = sorted(units, key=lambda one: -one[1])[:LISTED]
        links = tuple((shown.link(layer, unit), area) for unit, area in best)
        found.append(NamedClass(name, len(units), links))
    return tuple(found)
