"""The neurons of a layer that reads texts: those that have a page, and the names that were tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from generator.addresses import Link
from generator.models.layer import Layer
from generator.probes.unit_choice import LARGEST
from generator.probes.unit_names import LEAST, Names
from generator.run import Run
from generator.techniques.neuron_facts import Effect, effect_of, neuron_link, strongest
from generator.techniques.neurons import NEURONS, chosen_of, is_decoder, named_units, neurons_of

LISTED = 6  # named neurons of a class


@dataclass(frozen=True)
class Listed:
    """A neuron on the page of its layer; the strongest tokens, each between what stands around it."""

    link: Link
    why: str
    name: str
    tokens: tuple[tuple[str, str, str], ...]
    own: Effect | None
    others: Effect | None


@dataclass(frozen=True)
class NamedClass:
    """Neurons named after one class: how many, and the first with their AUROC."""

    name: str
    count: int
    units: tuple[tuple[Link, float], ...]


@dataclass(frozen=True)
class LayerView:
    """The neurons of a layer: those that have a page, and the names, beside those of random weights."""

    units: int
    passages: int
    listed: tuple[Listed, ...]
    named: tuple[NamedClass, ...]
    having: int
    random: int
    tests: tuple[tuple[str, Names], ...]
    least: float
    loss: bool
    estimated: str


def layer_view(run: Run, layer: Layer) -> LayerView | None:
    """The neurons on the page of their layer."""
    found = neurons_of(run, layer)
    if found is None:
        return None
    units, place = found
    pool, random = run[NEURONS].pool, run.control[NEURONS].pool
    chosen = chosen_of(run, layer)
    named = named_units(run, place)
    listed = tuple(
        Listed(
            neuron_link(run, layer.name, unit),
            _why(why, run[NEURONS].estimated),
            named.get(unit, ("", 0.0))[0],
            strongest(run, units, unit, 3),
            *effect_of(run, place, row),
        )
        for row, (unit, why) in enumerate(zip(chosen.units, chosen.why, strict=True))
    )
    return LayerView(
        units=units.units,
        passages=units.passages,
        listed=listed,
        named=_classes(run, layer, named),
        having=len(named),
        random=len({int(u) for one in (random.tokens, random.kinds) for u in _named(one, place)}),
        tests=(("tokens", pool.tokens), ("passages", pool.kinds)),
        least=LEAST,
        loss=is_decoder(run),
        estimated=run[NEURONS].estimated,
    )


def _why(why: str, estimated: str) -> str:
    return "largest write" if why == LARGEST and estimated else why


def _named(names: Names, place: int) -> Sequence[int]:
    return [] if names.reason else list(names.named(place))


def _classes(run: Run, layer: Layer, named: dict[int, tuple[str, float]]) -> tuple[NamedClass, ...]:
    """The named neurons of a layer by class, the largest class first."""
    by_name: dict[str, list[tuple[int, float]]] = {}
    for unit, (name, area) in named.items():
        by_name.setdefault(name, []).append((unit, area))
    found = []
    for name, units in sorted(by_name.items(), key=lambda one: (-len(one[1]), one[0])):
        best = sorted(units, key=lambda one: -one[1])[:LISTED]
        links = tuple((neuron_link(run, layer.name, unit), area) for unit, area in best)
        found.append(NamedClass(name, len(units), links))
    return tuple(found)
