"""What excites a unit: its exemplars cut to what it sees, sent back to pixels, and visualised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Figure
from generator.figures.mosaic import CONTACT_COLUMNS
from generator.models.layer import Layer
from generator.probes.backward import DECONVOLUTION as BY_DECONVOLUTION
from generator.probes.backward import GUIDED
from generator.probes.effective_field import typical
from generator.probes.exemplars import LayerExemplars
from generator.probes.tiles import TILE
from generator.run import PICTURES, Run, Section, Technique
from generator.techniques import features
from generator.techniques.deconvolution import DECONVOLUTION, sheets, strip
from generator.techniques.exemplars import EXEMPLARS, exemplars_of, needs_pool, one_a_thing
from generator.techniques.features import UnitView
from generator.techniques.pictures import pool_photograph
from generator.techniques.ties import Row, channels, neurons

_RULES = {BY_DECONVOLUTION: "deconvolution", GUIDED: "guided backpropagation"}


@dataclass(frozen=True)
class Crop:
    """A part of a pool picture, in pixels of what the network saw, and the unit's response to it.

    `entering` is what enters the activation, for a picture that is ranked by it.
    """

    picture: Figure
    label: str
    left: int
    top: int
    width: int
    height: int
    value: float
    entering: float | None


@dataclass(frozen=True)
class Tile:
    """One tile of a layer's sheet: its corner and side in the sheet's pixels."""

    sheet: Figure
    left: int
    top: int
    side: int


Rule = tuple[str, tuple[Tile, ...]]
"""What one backward rule, by its name, makes of the exemplars that were sent back: the first, or all."""


@dataclass(frozen=True)
class Backward:
    """A unit's exemplars sent back to pixels, and where the response depends on the picture.

    `effective` is left, top, width and height in pixels of what the network saw, UNKNOWN where that was not
    measured: `typical` says of how many units of the layer it was, and the medians of width and height.
    `strip` shows all exemplars under every rule, for a featured unit. `responds` says that there was a signal
    to send, `blind` that deconvolution is left out, since it would not depend on the picture.
    """

    rules: tuple[Rule, ...]
    responds: bool
    effective: tuple[int, int, int, int]
    typical: tuple[int, int, int]
    strip: Figure | None
    blind: bool


@dataclass(frozen=True)
class Excites:
    """The exemplars of a unit by its largest response (neurons) and by its mean response (channels).

    `things` is what must be said where several of the pictures show one thing.
    """

    size: int
    pictures: int
    things: str
    neurons: tuple[Crop, ...]
    neuron_ties: Row
    channels: tuple[Crop, ...]
    channel_ties: Row


@dataclass(frozen=True)
class View(Excites):
    """The exemplars of a channel, what is left of them in pixels, and its feature visualisation."""

    backward: Backward | None
    evolved: bool
    visualised: UnitView | None


def view(run: Run, layer: Layer, unit: int) -> View | None:
    """The section on a unit's page."""
    exemplars = exemplars_of(run, layer.name)
    if exemplars is None or layer.grid:
        return None
    return View(
        **vars(excites(run, layer, exemplars, unit)),
        backward=_backward(run, layer, exemplars, unit),
        evolved=bool(run[DECONVOLUTION].featured),
        visualised=features.unit_view(run, layer, unit),
    )


def excites(run: Run, layer: Layer, exemplars: LayerExemplars, unit: int) -> Excites:
    """The exemplars of a unit, with what must be said of those that tie."""
    by_mean = channels(layer, exemplars, unit)
    return Excites(
        run.vision.preprocessing.size,
        exemplars.pictures,
        one_a_thing(exemplars),
        crops(run, layer, exemplars, unit),
        neurons(layer, exemplars, unit),
        _whole(run, by_mean),
        by_mean,
    )


def crops(run: Run, layer: Layer, exemplars: LayerExemplars, unit: int) -> tuple[Crop, ...]:
    """The unit's strongest neurons, each cut to the exact receptive field, clipped at the border."""
    row, size = neurons(layer, exemplars, unit), run.vision.preprocessing.size
    return tuple(
        _crop(run, row, int(rank), layer.box(int(exemplars.place[unit, rank]), size))
        for rank in row.shown
    )


def _whole(run: Run, row: Row) -> tuple[Crop, ...]:
    """The pictures of a row, uncut."""
    size = run.vision.preprocessing.size
    return tuple(_crop(run, row, int(rank), (0, 0, size, size)) for rank in row.shown)


def _crop(run: Run, row: Row, rank: int, box: tuple[int, int, int, int]) -> Crop:
    chosen = run.inputs.pool[int(row.picture[rank])]
    picture = pool_photograph(run, chosen)
    return Crop(picture, chosen.label, *box, float(row.value[rank]), row.entering(rank))


def _backward(run: Run, layer: Layer, exemplars: LayerExemplars, unit: int) -> Backward | None:
    """None where no signal can be sent back through the network."""
    backs = run[DECONVOLUTION].of(layer.name)
    if backs is None:
        return None
    left, top, width, height = (int(edge) for edge in backs.effective[unit])
    row, column = divmod(unit, CONTACT_COLUMNS)
    rules = [
        (
            _RULES[rule],
            tuple(
                Tile(Figure(drawing, ""), column * TILE, row * TILE, TILE) for drawing in drawings
            ),
        )
        for rule, drawings in sheets(run, layer.name).items()
    ]
    responds = exemplars.neuron[unit, 0] >= 0 and float(exemplars.neuron_value[unit, 0]) > 0
    return Backward(
        tuple(rules),
        bool(np.bool_(responds)),
        (left, top, width, height),
        typical(backs.effective),
        _strip(run, layer, exemplars, unit),
        BY_DECONVOLUTION not in backs.tiles,
    )


def _strip(run: Run, layer: Layer, exemplars: LayerExemplars, unit: int) -> Figure | None:
    backs = run[DECONVOLUTION].unit(layer.name, unit)
    return strip(run, layer, exemplars, backs) if backs else None


UNIT_EXEMPLARS = Technique(
    name="unit_exemplars",
    title="What excites a unit",
    search="exemplars receptive field",
    reads=PICTURES,
    measure=EXEMPLARS.asked_of,
    why_not=needs_pool,
    sections=(Section("unit", "exemplars", "unit_exemplars.html", view),),
)
