"""Features, layer by layer: units of every layer, their patches, and what is left of them in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link, layer_address, unit_address
from generator.errors import UsageError
from generator.figures.figure import Figure, on_page, published
from generator.figures.mosaic import tiled, with_alpha
from generator.figures.panels import Panel, in_rows
from generator.models.layer import Layer
from generator.probes.deconvolution import Deconvolutions, UnitBacks
from generator.probes.exemplars import unit_layers
from generator.run import PICTURES, Run, Section, Technique
from generator.techniques.deconvolution import DECONVOLUTION, featured_patches
from generator.techniques.exemplars import (
    exemplars_of,
    labels_of,
    needs_pool,
    patches,
    searched,
)
from generator.techniques.naming import Names, evenly, listed


@dataclass(frozen=True)
class Row:
    """Some units of one layer; `field` is the side of the receptive field in pixels, None for the whole."""

    layer: Layer
    link: Link
    field: int | None
    figure: Figure
    units: tuple[Link, ...]


@dataclass(frozen=True)
class View:
    """One long plate, lower to higher; `backs` has by what rules it was made of `pictures`.

    `from_pool` are the places in the pool of those that are on it.
    """

    backs: Deconvolutions
    rows: tuple[Row, ...]
    pictures: int
    from_pool: tuple[int, ...]


def view(run: Run) -> View | None:
    """The section on the page of its own; None without featured units."""
    rows = []
    for layer in unit_layers(run.vision):
        backs = [one for one in run[DECONVOLUTION].featured if one.layer == layer.name]
        if backs:
            rows.append(_row(run, layer, backs))
    if not rows:
        return None
    return View(run[DECONVOLUTION], tuple(rows), len(run.inputs.pool), _from_pool(run))


def _from_pool(run: Run) -> tuple[int, ...]:
    """The places in the pool of what the featured units are shown with."""
    rows = [(exemplars_of(run, one.layer), one.unit) for one in run[DECONVOLUTION].featured]
    places = (found.neuron[unit] for found, unit in rows if found is not None)
    return tuple(sorted({int(place) for row in places for place in row if place >= 0}))


def _row(run: Run, layer: Layer, backs: Sequence[UnitBacks]) -> Row:
    model, field = run.model.id, layer.receptive_field
    path = f"{run.folder}/layers/{layer.name}/evolution.webp"
    figure = on_page(_plate(run, layer, backs), path, "evolution")
    return Row(
        layer,
        Link(layer_address(model, layer.name), layer.name),
        None if field is None or field[0].whole else field[0].size,
        figure,
        tuple(Link(unit_address(model, layer.name, one.unit), f"unit {one.unit}") for one in backs),
    )


def _plate(run: Run, layer: Layer, backs: Sequence[UnitBacks]) -> Figure:
    exemplars = exemplars_of(run, layer.name)
    assert exemplars is not None  # they were sent back
    panels: list[Panel] = []
    for one in backs:
        patches = featured_patches(run, layer, exemplars, one.unit)
        panels.append(Panel(_block(patches), f"unit {one.unit}", "patches"))
        panels.append(Panel(_block(one.tiles[:, 0]), "", "deconvolution"))
        panels.append(Panel(_block(one.tiles[:, 1]), "", "guided backpropagation"))
    return published(
        "panels",
        {"rows": in_rows(panels, 6), "gap": 8.0},
        f"{len(backs)} units of {layer.name}: the nine strongest patches of each, their deconvolutions and "
        "their guided backpropagations.",
        "",
    )


def _block(tiles: np.ndarray) -> np.ndarray:
    """Tiles (exemplars, side, side, 3), three in a row."""
    return tiled(with_alpha(tiles), 3, gap=4)


def figure(run: Run, layers: Names = (), units: int = 3) -> Figure:
    """Units of some layers, lower to higher: the best patch of each, its deconvolution and guided signal."""
    every = [one.name for one in unit_layers(run.vision)]
    rows, named = [], []
    for name in layers or [every[place] for place in evenly(len(every), 5)]:
        of_layer, exemplars = searched(run, name)
        if run[DECONVOLUTION].of(of_layer.name) is None:
            raise UsageError(f"no signal can be sent back from {of_layer.name} of {run.model.id}.")
        chosen = [one.unit for one in run[DECONVOLUTION].featured if one.layer == of_layer.name]
        row: list[Panel] = []
        for unit in chosen[:units]:
            tile = patches(run, of_layer, exemplars, unit, 1)[0]
            best = "".join(labels_of(run, exemplars, unit)[:1])
            row.append(Panel(tile, f"unit {unit}", best))
            sent_back = run[DECONVOLUTION].unit(of_layer.name, unit)
            assert sent_back is not None  # it is featured
            row.append(Panel(sent_back.tiles[0, 0], "", "deconvolution"))
            row.append(Panel(sent_back.tiles[0, 1], "", "guided"))
        if row:
            rows.append(tuple(row))
            named.append(f"{of_layer.name}: units {listed([str(one) for one in chosen[:units]])}")
    if not rows:
        raise UsageError(f"{run.model.id} has no units that are shown in every detail.")
    return published(
        "panels",
        {
            "rows": tuple(rows),
            "names": tuple(text.split(":")[0] for text in named),
            "widest": 130.0,
            "gap": 6.0,
        },
        f"Units of {len(rows)} layers, lower to higher, each with its best patch, its deconvolution and "
        f"guided backpropagation. {'; '.join(named)}.",
        "Units drawn by lot, first layers first: the patch that excites each most, its deconvolution and "
        "guided backpropagation.",
    )


EVOLUTION = Technique(
    name="evolution",
    title="Features, layer by layer",
    search="deconvolution guided backpropagation exemplars",
    reads=PICTURES,
    measure=DECONVOLUTION.asked_of,
    why_not=needs_pool,
    figures={"evolution": figure},
    sections=(Section("evolution", "reading", "evolution.html", view),),
)
