"""Architecture: the map of a network, its layers in a table, and what each position sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from generator.addresses import Link, layer_address
from generator.formatting import MINUS
from generator.models.layer import Layer
from generator.models.model import Model, VisionModel
from generator.models.seq2seq import CROSS_KIND
from generator.models.tokens import window_text
from generator.probes.flops import Flops
from generator.probes.signal import LayerSignal, Signal, exact_zeros
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique
from generator.table import Content, Table
from generator.techniques.flops import FLOPS
from generator.techniques.links import layer_page
from generator.techniques.map_colours import Colouring, colourings
from generator.techniques.map_here import map_file
from generator.techniques.map_layout import Map, draw_map
from generator.techniques.measured_stack import heads_of
from generator.techniques.signal import SIGNAL
from generator.uncertainty import sample_deviation

_LAYER_COLUMNS = (
    "layer", "kind", "shape", "parameters", "sparsity", "sparsity_sd", "near_zero", "near_zero_sd",
    "units", "activation",
)  # fmt: skip


def layer_rows(model: Model, found: Signal, flops: Flops) -> Content:
    """Each layer with what it is made of, what it costs, and its shares of zero and near zero."""
    vision = isinstance(model, VisionModel)
    extra = (
        (
            *("dead_units", "field_height", "field_width", "field_stride", "field_start"),
            "norm_parameters",
        )
        if vision
        else ("heads", "kv_groups", "stream_rms")
    )
    rows = []
    # Where MLPs are left out, what a block hands on is still known.
    blocks = [layer.name for layer in model.layers if layer.kind != CROSS_KIND]
    named = [one.layer for one in found.layers] or blocks
    places = {name: place for place, name in enumerate(named)}
    for layer in model.layers:
        place = places.get(layer.name)  # cross attention has no activations of its own
        signal = None if place is None or not found.layers else found.layers[place]
        size = "" if vision or place is None else found.stream[place].mean()
        more = (
            _vision_row(layer, signal)
            if vision and signal
            else (layer.heads, layer.kv_groups, size)
        )
        rows.append((*_layer_row(layer, signal), *more, flops.layers[layer.name]))
    return (*_LAYER_COLUMNS, *extra, "flops"), rows


def _layer_row(layer: Layer, signal: LayerSignal | None) -> tuple[Any, ...]:
    what = (
        layer.name,
        layer.kind,
        "x".join(str(side) for side in layer.shape),
        layer.parameters,
    )
    if signal is None:
        return (*what, "", "", "", "", "", "")
    return (
        *what,
        *(n for shares in (exact_zeros(layer, signal), signal.near_zero) for n in _both(shares)),
        len(signal.active),
        layer.activation or "",
    )


def _both(shares: np.ndarray) -> tuple[float, float]:
    return float(shares.mean()), float(sample_deviation(shares))


def _vision_row(layer: Layer, signal: LayerSignal) -> tuple[Any, ...]:
    norm = layer.norm_parameters
    dead: int | str = int((signal.maximum <= 0).sum()) if layer.rectified else ""
    if layer.receptive_field is None:
        return (dead, "", "", "", "", norm)
    vertical, horizontal = layer.receptive_field
    if vertical.whole:
        return (dead, "whole", "whole", "", "", norm)
    return (dead, vertical.size, horizontal.size, vertical.stride, vertical.start, norm)


@dataclass(frozen=True)
class Row:
    """One layer in the table of all; `link` is its page, None where it has none.

    `signal` is None of one without activations of its own.
    """

    layer: Layer
    link: Link | None
    signal: LayerSignal | None
    flops: int


@dataclass(frozen=True)
class View:
    """The map and the table. `seen` says that the model sees pictures, `sees` what is special of its heads.

    `what` is what a box stands for, `opens` whether anything can be opened, `joined` whether outputs of
    blocks are in the table.
    """

    title: str
    map: Map
    colours: tuple[Colouring, ...]
    rows: tuple[Row, ...]
    seen: bool
    joined: bool
    opens: bool
    what: str
    sees: str


@dataclass(frozen=True)
class FieldView:
    """The receptive field of a layer in a sentence, and the layers that a block consists of."""

    field: str
    inner: tuple[Link, ...]


def measure(run: Run) -> tuple[Layer, ...]:
    """The layers, in order."""
    return run.model.layers


def view(run: Run) -> View:
    """The section on the page of a model."""
    colours = _telling(colourings(run))
    drawn, seen = draw_map(run, colours), run.reads == PICTURES
    return View(
        run.model.title,
        drawn,
        colours,
        tuple(_rows(run)),
        seen,
        seen and any(layer.joins for layer in run.model.layers),
        any(row.opens for row in drawn.rows),
        _what(run, drawn),
        _sees(run),
    )


def _telling(colours: tuple[Colouring, ...]) -> tuple[Colouring, ...]:
    """The colourings, one first in which the layers differ: the page opens on it."""
    order = {letter: place for place, letter in enumerate("epfznvur")}
    known = sorted(colours, key=lambda one: order[one.letter])
    return tuple(sorted(known, key=lambda one: len(set(one.steps.values())) < 2))


def _what(run: Run, drawn: Map) -> str:
    found = ["a layer", "the output of a block"] if run.reads == PICTURES else ["a block"]
    if not any(layer.joins for layer in run.model.layers):
        found = found[:1]
    heads = any(line.small for row in drawn.rows for line in row.lines)
    every = [*found, *(["an attention head"] if heads else [])]
    return " or ".join([", ".join(every[:-1]), every[-1]] if len(every) > 1 else every)


def _rows(run: Run) -> Iterator[Row]:
    signals, flops = {one.layer: one for one in run[SIGNAL].layers}, run[FLOPS].layers
    for layer in run[ARCHITECTURE]:
        link = layer_page(run.model, layer)
        yield Row(layer, link, signals.get(layer.name), flops[layer.name])


def _sees(run: Run) -> str:
    """Sentences on heads that share keys, and on windows; "" where there is nothing to say."""
    if run.reads != TEXTS:
        return ""
    model, (stack,) = run.language, heads_of(run.model)
    shared = stack.heads // stack.kv_groups
    said = [f"{shared} heads in a row share one group of keys and values."] if shared > 1 else []
    parts = []
    for window in sorted(set(model.windows) - {0}):
        names = ", ".join(layer.name for layer in model.layers if layer.window == window)
        parts.append(f"{window_text(window, model.causal)} (layers {names})")
    rest = " The other layers see the whole text." if 0 in model.windows else ""
    return " ".join([*said, *([f"A token sees {'; '.join(parts)}.{rest}"] if parts else [])])


def field_view(run: Run, layer: Layer) -> FieldView | None:
    """The section on the page of a layer that sees pictures."""
    if run.reads != PICTURES:
        return None
    inner = (
        each
        for each in run[ARCHITECTURE]
        if each.name in run.vision.paged and each.name.startswith(f"{layer.name}.")
    )
    field = _field(layer, run.vision.preprocessing.size)
    links = (Link(layer_address(run.model.id, each.name), each.name) for each in inner)
    return FieldView(field, tuple(links))


def _field(layer: Layer, size: int) -> str:
    """The receptive field in a sentence; `size` is the side of a picture in pixels."""
    if layer.heads:
        return "Every token sees the whole picture: in each block attention can reach all patches."
    if layer.receptive_field is None:
        return "Not computed: an operation on the way to this layer is not understood."
    vertical, horizontal = layer.receptive_field
    if vertical.whole:
        return (
            "Every unit sees the whole picture, through an average over all positions or a matrix."
        )
    larger = " It is larger than the picture: units at the border see padding."
    start = f"{vertical.start}".replace("-", MINUS)
    return (
        f"{vertical.size} × {horizontal.size} px, one position every {vertical.stride} px; the field "
        f"of the first position starts at pixel {start}.{larger if vertical.size > size else ''}"
    )


def tables(run: Run) -> Iterator[Table]:
    """Every layer: what it is made of, what it costs, and its shares of zero and near zero."""
    yield Table("layers.csv", lambda: layer_rows(run.model, run[SIGNAL], run[FLOPS]))


ARCHITECTURE = Technique(
    name="architecture",
    title="Architecture",
    search="layers parameters shapes receptive field map flops",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
    tables=tables,
    scripts=map_file,
    sections=(
        Section("model", "architecture", "architecture.html", view),
        Section("layer", "field", "receptive_field.html", field_view),
    ),
)
