"""The activity of a layer: histogram of its activations, densest, sparsest and dead units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generator.figures.figure import PAGE, Drawing, Figure
from generator.formatting import number, percent
from generator.models.layer import Layer
from generator.probes.signal import LayerSignal
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique
from generator.techniques.signal import SIGNAL

LISTED = 12  # units in each of the two tables


@dataclass(frozen=True)
class Unit:
    """How active one unit is; `name` is that of its class, in the layer that answers."""

    unit: int
    name: str
    active: float
    mean: float
    maximum: float


@dataclass(frozen=True)
class View:
    """The activity of one layer; `dead` is None where no unit can be."""

    figure: Figure
    pictures: int
    dead: tuple[int, ...] | None
    densest: tuple[Unit, ...]
    sparsest: tuple[Unit, ...]


def signed(run: Run, layer: str) -> bool:
    """Whether a layer's activations go below zero."""
    return bool(run[SIGNAL].of(layer).minimum.min() < 0)


def _drawn(run: Run, signal: LayerSignal, start: str, text: str, *, dead: bool) -> Figure:
    """Histogram of the activations and share of active positions; `dead` counts dead units."""
    arguments = {
        "counts": signal.counts,
        "edges": signal.edges,
        "active": signal.active,
        "dead": int((signal.maximum <= 0).sum()) if dead else 0,
        "width": float(PAGE),
    }
    # Every layer has one: outlines of letters would make them the heaviest charts of a site.
    path = f"{run.folder}/layers/{signal.layer}/activity.webp"
    drawing = Drawing("activity", arguments, (path,))
    return Figure(drawing, f"{start} {text}", text, kind="sparsity", ink=True)


def text_view(run: Run, layer: Layer) -> Figure | None:
    """The section on the page of a layer with an MLP that reads texts."""
    if run.reads == PICTURES:
        return None
    signal = next((one for one in run[SIGNAL].layers if one.layer == layer.name), None)
    return _text_figure(run, layer, signal) if signal else None


def _text_figure(run: Run, layer: Layer, signal: LayerSignal) -> Figure:
    zeros = f"; {percent(float(signal.zero.mean()))} are exactly zero" if layer.rectified else ""
    text = (
        f"Left: activations of the MLP that are not exactly zero, from {number(float(signal.edges[0]))} to "
        f"{number(float(signal.edges[-1]))}{zeros}. Right: its {len(signal.active)} hidden units, most often "
        f"above zero first; the median unit is above zero at "
        f"{percent(float(np.median(signal.active)))} of tokens."
    )
    start = f"Histogram of the MLP activations of layer {layer.name} and share of active tokens."
    return _drawn(run, signal, start, text, dead=False)


def view(run: Run, layer: Layer) -> View | None:
    """The section on the page of a layer that sees pictures."""
    if run.reads != PICTURES:
        return None
    signal, labels = run[SIGNAL].of(layer.name), run.vision.labels
    order = np.argsort(-signal.active, kind="stable")
    names = labels if layer is run.model.layers[-1] and layer.units == len(labels) else ()
    dead = tuple(int(unit) for unit in np.flatnonzero(signal.maximum <= 0))
    return View(
        _figure(run, layer, signal),
        len(run.inputs.images),
        dead if layer.rectified else None,
        tuple(_unit(signal, int(unit), names) for unit in order[:LISTED]),
        tuple(_unit(signal, int(unit), names) for unit in order[::-1][:LISTED]),
    )


def _unit(signal: LayerSignal, unit: int, names: Sequence[str]) -> Unit:
    active, mean, maximum = (
        float(values[unit]) for values in (signal.active, signal.mean, signal.maximum)
    )
    return Unit(unit, names[unit] if names else "", active, mean, maximum)


def _figure(run: Run, layer: Layer, signal: LayerSignal) -> Figure:
    zeros = f" ({percent(float(signal.zero.mean()))} of all are)" if layer.rectified else ""
    low, high = number(float(signal.edges[0])), number(float(signal.edges[-1]))
    text = (
        f"Left: {int(signal.counts.sum()):,} activations that are not exactly zero{zeros}, from "
        f"{low} to {high}. Right: the {len(signal.active)} units, most often active first; the median "
        f"unit is above zero at {percent(float(np.median(signal.active)))} of positions."
    )
    start = (
        f"Histogram of the activations of {layer.name} and share of active positions of each unit."
    )
    return _drawn(run, signal, start, text, dead=layer.rectified)


ACTIVITY = Technique(
    name="activity",
    title="Activity",
    search="activations histogram dead units",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=SIGNAL.asked_of,
    sections=(
        Section("layer", "activity", "activity.html", view),
        Section("layer", "activity", "text_activity.html", text_view),
    ),
)
