"""The weights of layers as pictures: colour filters, spatial kernels and matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from generator.errors import UsageError
from generator.figures.figure import Drawing, Figure, published
from generator.figures.mosaic import filter_sheet, matrix_step
from generator.figures.panels import Panel
from generator.formatting import number, percent
from generator.models.layer import Layer
from generator.probes.layer_weights import MATRIX_SIDE, Filters, read_filters
from generator.run import PICTURES, Run, Section, Technique
from generator.techniques.naming import layer_of

_MOST = 96  # filters in a figure
_TITLES = {"rgb": "Filters", "kernels": "Kernels", "matrix": "Weights"}


@dataclass(frozen=True)
class View:
    """The weights of one layer."""

    title: str
    figure: Figure


def measure(run: Run) -> Mapping[str, Filters]:
    """The filters of the layers that have pages, by name; only of those that have any."""
    model = run.vision
    paged = [layer for layer in model.layers if layer.name in model.paged]
    read = {layer.name: read_filters(model, layer) for layer in paged}
    return {name: filters for name, filters in read.items() if filters is not None}


def figure(run: Run, layer: str = "", count: int = _MOST) -> Figure:
    """The filters of a layer, each with its own scale: in colour over pixels, else zero in the middle."""
    chosen = layer_of(run.vision, layer or run.model.layers[0].name)
    filters = read_filters(run.vision, chosen)
    if filters is None or filters.kind == "matrix":
        raise UsageError(f"{chosen.name} of {run.model.id} has no filters over positions to draw.")
    values = filters.values[:count]
    sheet = filter_sheet(values, 48, max(1, round((len(values) * 2.2) ** 0.5)))
    some = "All " if len(values) == len(filters.values) else f"The first {len(values)} of "
    which = f"{some}{len(filters.values)} filters of {chosen.name}"
    side = f"{values.shape[1]} × {values.shape[2]}"
    how = "grey where a weight is zero" if filters.kind == "rgb" else "dark where a weight is zero"
    return published(
        "panels",
        {"rows": ((Panel(sheet, pixelated=True),),), "widest": 620.0},
        f"{which}, {side} weights each, as small squares.",
        f"{which}, {side} weights each, every one on its own scale, {how}.",
    )


def view(run: Run, layer: Layer) -> View | None:
    """The section on a layer's page."""
    filters = run[FILTERS].get(layer.name)
    if filters is None:
        return None
    return View(_TITLES[filters.kind], _figure(run, filters))


def _figure(run: Run, filters: Filters) -> Figure:
    words = {"rgb": _of_colours, "kernels": _of_kernels, "matrix": _of_matrix}[filters.kind]
    alt, caption = words(filters)
    return Figure(_drawing(run, filters), alt, caption, kind="filters", pixelated=True)


def _drawing(run: Run, filters: Filters) -> Drawing:
    paths = (f"{run.folder}/layers/{filters.layer}/filters.webp",)
    if filters.kind == "rgb":
        return Drawing("rgb_filters", {"filters": filters.values}, paths)
    if filters.kind == "kernels":
        return Drawing("kernel_sheet", {"kernels": filters.values}, paths)
    return Drawing("weight_matrix", {"matrix": filters.values, "side": MATRIX_SIDE}, paths)


def _of_colours(filters: Filters) -> tuple[str, str]:
    values = filters.values
    alt = f"{len(values)} filters of {values.shape[1]} by {values.shape[2]} pixels as colour tiles."
    caption = (
        f"All {len(values)} filters as colours, each scaled by its own largest weight; grey is zero. "
        "Red, green and blue are the weights on the picture's channels. Largest weight: "
        f"{number(float(np.abs(values).max()))}."
    )
    return alt, caption


def _of_kernels(filters: Filters) -> tuple[str, str]:
    values = filters.values
    alt = f"{len(values)} kernels of {values.shape[1]} by {values.shape[2]} weights as small tiles."
    chosen = (
        "one kernel a channel, since a depthwise convolution has no others"
        if not len(filters.chosen)
        else "for each filter the kernel on the input channel where its norm is largest, "
        f"{percent(filters.share)} of the squared norm of all weights"
    )
    caption = (
        f"Spatial kernels: {chosen}. Red is positive, blue negative, black zero; each is scaled by "
        "its own largest weight. These are weights on channels of the layer before, not on colours."
    )
    return alt, caption


def _of_matrix(filters: Filters) -> tuple[str, str]:
    rows, columns = filters.values.shape
    step = matrix_step(filters.values.shape, MATRIX_SIDE)
    square = (
        "one dot a weight"
        if step == 1
        else f"each dot is the weight of largest magnitude in a square of {step} × {step}"
    )
    caption = (
        f"The weights have no extent in space: a matrix of {rows} outputs (downwards) × {columns} inputs "
        f"(to the right), {square}. Red is positive, blue negative; the colours end at the 99.5 % "
        f"quantile. Largest magnitude: {number(float(np.abs(filters.values).max()))}."
    )
    return f"Weight matrix of {rows} outputs by {columns} inputs as red and blue dots.", caption


def filter_card(run: Run) -> Figure | None:
    """The picture of the model's card in the gallery: its first filters over colours, if it has any."""
    first = next((one for one in run[FILTERS].values() if one.kind == "rgb"), None)
    if first is None:
        return None
    drawing = Drawing("filter_card", {"filters": first.values}, (f"{run.folder}/card.webp",))
    return Figure(drawing, f"The first filters of {run.model.title} as small coloured squares.")


FILTERS = Technique(
    name="filters",
    title="Filters",
    search="weights kernels",
    reads=PICTURES,
    measure=measure,
    figures={"filters": figure},
    sections=(Section("layer", "filters", "filters.html", view),),
)
