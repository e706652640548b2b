"""What a unit is connected to: classes that it moves, units that it listens to, feeds and resembles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link, unit_address
from generator.models.layer import Layer
from generator.probes.exemplars import LayerExemplars, unit_layers
from generator.probes.layer_weights import Wires, feeds, listens, strongest
from generator.run import PICTURES, Run, Section, Technique
from generator.table import Table
from generator.techniques.effects import UnitEffects, effects_of
from generator.techniques.exemplars import exemplars_of, needs_pool
from generator.techniques.neuron_choice import paged_units

Connections = dict[str, tuple[Wires | None, Wires | None]]


Wire = tuple[Link, float]
"""One strong weight, to or from another unit, or how alike that is; no target where it has no page."""


@dataclass(frozen=True)
class Direction:
    """The strongest weights in one direction, positive ones and negative ones."""

    heading: str
    layer: str
    added: tuple[str, ...]
    groups: tuple[tuple[Wire, ...], ...]


@dataclass(frozen=True)
class View:
    """Effects on classes, weights before and behind, and units that respond alike, with correlations."""

    effects: UnitEffects | None
    directions: tuple[Direction, ...]
    alike: tuple[Wire, ...]


def measure(run: Run) -> Connections:
    """The weights by which each layer with unit pages is read, and reads, by its name."""
    model = run.vision
    return {
        layer.name: (listens(model, layer), feeds(model, layer)) for layer in unit_layers(model)
    }


def view(run: Run, layer: Layer, unit: int) -> View | None:
    """The section on a unit's page."""
    exemplars = exemplars_of(run, layer.name)
    if exemplars is None:
        return None
    before, behind = run[CONNECTIONS].get(layer.name, (None, None))
    directions = (
        _direction(run, "Listens to", before, unit, ()),
        _direction(run, "Feeds", behind, unit, run.vision.labels),
    )
    return View(
        effects_of(run, layer, unit),
        tuple(one for one in directions if one is not None),
        _alike(run, layer, exemplars, unit),
    )


def _direction(
    run: Run, heading: str, wires: Wires | None, unit: int, names: Sequence[str]
) -> Direction | None:
    if wires is None:
        return None
    weights = wires.weights[unit]
    labels = names if len(names) == len(weights) else ()
    target = _paged_name(run, wires.layer)
    groups = tuple(
        tuple(_wire(run, other, weights, labels, target) for other in group)
        for group in strongest(weights)
    )
    return Direction(heading, wires.layer, wires.added, groups)


def _paged_name(run: Run, layer: str) -> str | None:
    """The layer whose pages show these units: itself, or the block that returns the same."""
    paged = {each.name: each for each in unit_layers(run.vision)}
    if layer in paged:
        return layer
    same = (name for name, block in paged.items() if block.reads == (layer,))
    return next((name for name in same if paged[name].kind == "block"), None)


def _wire(
    run: Run, other: int, weights: np.ndarray, labels: Sequence[str], layer: str | None
) -> Wire:
    name = labels[other] if labels else f"unit {other}"
    target = unit_address(run.model.id, layer, other) if layer else ""
    return Link(target, name), float(weights[other])


def _alike(run: Run, layer: Layer, exemplars: LayerExemplars, unit: int) -> tuple[Wire, ...]:
    pairs = zip(exemplars.alike[unit], exemplars.alike_value[unit], strict=True)
    paged, found = paged_units(run, layer), []
    for other, value in pairs:
        if other >= 0:
            target = unit_address(run.model.id, layer.name, int(other)) if other in paged else ""
            found.append((Link(target, f"unit {other}"), float(value)))
    return tuple(found)


def tables(run: Run) -> Iterator[Table]:
    """The strongest weights of every unit that has a page."""
    yield Table("wires.csv", lambda: (_HEADER, _rows(run)))


_HEADER = ("layer", "unit", "direction", "other_layer", "other_unit", "weight")


def _rows(run: Run) -> Iterator[Sequence[object]]:
    for layer in unit_layers(run.vision):
        directions = zip(("listens", "feeds"), run[CONNECTIONS][layer.name], strict=True)
        for direction, wires in directions:
            if wires is not None:
                yield from _weights(layer, direction, wires)


def _weights(layer: Layer, direction: str, wires: Wires) -> Iterator[Sequence[object]]:
    for unit in range(layer.units):
        up, down = strongest(wires.weights[unit])
        for other in (*up, *down):
            yield (layer.name, unit, direction, wires.layer, other, wires.weights[unit, other])


CONNECTIONS = Technique(
    name="connections",
    title="Connections of units",
    search="weights wires circuits",
    reads=PICTURES,
    measure=measure,
    why_not=needs_pool,
    tables=tables,
    sections=(Section("unit", "wires", "connections.html", view),),
)
