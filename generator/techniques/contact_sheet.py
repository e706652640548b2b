"""The contact sheet of a layer: every unit as its best exemplar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from generator.addresses import Link, unit_address
from generator.errors import UsageError
from generator.figures.figure import Drawing, Figure
from generator.figures.mosaic import CONTACT, CONTACT_COLUMNS, FEW
from generator.models.layer import Layer
from generator.probes.exemplars import LayerExemplars
from generator.run import PICTURES, Run, Section, Technique
from generator.techniques.deconvolution import sheets
from generator.techniques.exemplars import EXEMPLARS, exemplars_of, needs_pool, patch
from generator.techniques.naming import layer_of
from generator.techniques.neuron_choice import paged_units
from generator.techniques.pictures import pool_square
from generator.techniques.signal import SIGNAL
from generator.techniques.telling_units import strength_of
from generator.techniques.ties import neurons
from generator.widget import Widget


@dataclass(frozen=True)
class Order:
    """One of the orders that the tiles can be put in: what it is called, and the places of tiles in it."""

    key: str
    name: str
    units: tuple[int, ...]


@dataclass(frozen=True)
class View:
    """The sheet, rows of links that lie over it, and the orders that the tiles can be put in.

    `sprites` are other sheets laid out alike: what the patches become when they are sent back to pixels.
    `from_pool` are the places in the pool of the pictures on the sheet.
    """

    figure: Figure
    sprites: tuple[tuple[str, Figure], ...]
    rows: tuple[tuple[Link, ...], ...]
    orders: tuple[Order, ...]
    from_pool: tuple[int, ...]


def view(run: Run, layer: Layer) -> View | None:
    """The section on a layer's page; None where the pool was not searched for the layer."""
    exemplars = exemplars_of(run, layer.name)
    units = paged_units(run, layer)
    if exemplars is None or not units:
        return None
    links = [Link(unit_address(run.model.id, layer.name, unit), str(unit)) for unit in units]
    columns = min(len(units), CONTACT_COLUMNS)
    counted, chosen, around = f"the {layer.units} units", "", ""
    if layer.grid:
        counted = f"{len(units)} of the {layer.units:,} neurons"
        chosen = (
            f"{len(units)} of {layer.units:,} neurons of this MLP have a page: in turn one that writes much, "
            "a sparse one, a dense one and one at random. "
        )
        around = ", with those around it"
    figure = Figure(
        _drawing(run, layer, exemplars, units),
        f"The best exemplar of each of {counted} of {layer.name}.",
        f"{chosen}Each tile is the patch of {exemplars.pictures} pictures that excites the unit most"
        f"{around}{_ranked(layer, exemplars, units)}.",
    )
    sent_back = sheets(run, layer.name)
    return View(
        figure,
        tuple((rule, Figure(drawings[0], "")) for rule, drawings in sent_back.items()),
        tuple(tuple(links[start : start + columns]) for start in range(0, len(links), columns)),
        _on_sheet(_orders(run, layer, exemplars), units),
        tuple(int(n) for n in np.unique(exemplars.neuron[list(units), 0]) if n >= 0),
    )


def _on_sheet(orders: Iterable[Order], units: Sequence[int]) -> tuple[Order, ...]:
    """The orders of all units as orders of the tiles of some."""
    place = {unit: n for n, unit in enumerate(units)}
    return tuple(
        replace(order, units=tuple(place[unit] for unit in order.units if unit in place))
        for order in orders
    )


def widget(run: Run, layer: str) -> Widget:
    """The units of a layer, each as its best exemplar, in any order."""
    about = layer_of(run.vision, layer)
    shown = view(run, about)
    if shown is None:
        raise UsageError(f"the pool was not searched for {about.name} of {run.model.id}.")

    return Widget(
        "unit_sheet",
        "sheet",
        f"{run.model.title}: {shown.figure.alt}",
        shown.figure.caption,
        lambda _: shown,
        (),
        ("contact",),
        drawings=(shown.figure.drawing, *(one.drawing for _, one in shown.sprites)),
        wide=True,
    )


def _orders(run: Run, layer: Layer, exemplars: LayerExemplars) -> tuple[Order, ...]:
    active, pool = run[SIGNAL].of(layer.name).active, run.inputs.pool
    shown = [pool[int(best)] if best >= 0 else None for best in exemplars.neuron[:, 0]]
    groups = [(one.group or one.label) if one else "" for one in shown]
    units = range(layer.units)
    return (
        Order("number", "by number", tuple(units)),
        Order("active", "most often active first", tuple(np.argsort(-active, kind="stable"))),
        *_by_effect(run, layer),
        Order("alike", "units alike together", tuple(exemplars.order.tolist())),
        Order(
            "class",
            "by what the best exemplar shows",
            tuple(sorted(units, key=lambda unit: (groups[unit], unit))),
        ),
    )


def _by_effect(run: Run, layer: Layer) -> Iterator[Order]:
    """The units on which most hangs first, where that was measured of any."""
    moves = strength_of(run, layer).moves
    if np.isfinite(moves).any():
        order = np.argsort(-np.nan_to_num(moves, nan=-1.0), kind="stable")
        yield Order("effect", "most hangs on it first", tuple(order))


def _drawing(run: Run, layer: Layer, exemplars: LayerExemplars, units: Sequence[int]) -> Drawing:
    best = exemplars.neuron[list(units), 0]
    seen = {int(n): pool_square(run, int(n)) for n in best if n >= 0}
    side = CONTACT if len(units) > FEW else 2 * CONTACT
    tiles = [patch(layer, exemplars, unit, 0, seen, side) for unit in units]
    path = f"{run.folder}/layers/{layer.name}/units.webp"
    arguments = {"tiles": np.stack(tiles), "columns": min(len(units), CONTACT_COLUMNS)}
    return Drawing("tile_sheet", arguments, (path,))


def _ranked(layer: Layer, exemplars: LayerExemplars, units: Sequence[int]) -> str:
    """What must be added where the tiles of some units are those of a tie."""
    rows = [neurons(layer, exemplars, unit) for unit in units]
    by_input = sum(bool(row.at_limit[0]) for row in rows)
    none = sum(not len(row.shown) for row in rows)
    words = (
        f"; for {by_input:,} units whose best tie, by what enters {layer.activation}"
        if by_input
        else ""
    )
    return words + (
        f"; grey for {none:,} units that no picture excites more than others" if none else ""
    )


CONTACT_SHEET = Technique(
    name="contact_sheet",
    title="Units at a glance",
    search="contact sheet units",
    reads=PICTURES,
    measure=EXEMPLARS.asked_of,
    why_not=needs_pool,
    widgets={"unit_sheet": widget},
    sections=(Section("layer", "units", "contact_sheet.html", view),),
)
