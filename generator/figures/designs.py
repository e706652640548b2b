"""The designs that figures are laid out in, each a function of arrays and a width, and their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from generator.figures import (
    charts,
    comparing,
    heads,
    maps,
    passages,
    patching,
    tokens,
    training,
)
from generator.figures.drawing import PHOTOGRAPHS, Drawing
from generator.figures.panels import GROUND, panels
from generator.figures.style import Picture, as_pixels, as_raster, as_svg, styled

# Every design with its version: raise it when the same arrays draw another picture.
DESIGNS: Mapping[str, tuple[int, Callable[..., Figure]]] = {
    PHOTOGRAPHS: (3, panels),
    "attention_map": (2, maps.attention_map),
    "attention_grid": (4, maps.attention_grid),
    "head_scatter": (1, heads.head_scatter),
    "head_grid": (1, heads.head_grid),
    "shares": (1, heads.shares),
    "lens_course": (1, heads.lens_course),
    "sparsity": (2, charts.sparsity),
    "text_signal": (1, charts.text_signal),
    "activity": (2, charts.activity),
    "histogram": (1, charts.histogram),
    "course": (1, charts.course),
    "birth": (1, training.birth),
    "context": (1, tokens.context),
    "arrows": (1, tokens.arrows),
    "lens": (2, tokens.lens),
    "words": (2, tokens.words),
    "patching_grids": (1, patching.patching_grids),
    "lit": (2, passages.lit),
    "deletion": (1, passages.deletion),
    "leans": (1, charts.leans),
    "changes": (1, charts.changes),
    "small_courses": (2, training.small_courses),
    "position_losses": (2, training.position_losses),
    "alignment": (1, comparing.alignment),
    "unit_courses": (1, comparing.unit_courses),
    "weight_courses": (1, comparing.weight_courses),
}


def laid_out(drawing: Drawing, **given: Any) -> Figure:
    """The matplotlib figure of a drawing; what is `given` stands above its own arguments."""
    draw = drawing.draw or DESIGNS[drawing.kind][1]
    return draw(**{**drawing.arguments, **given})


def pictures(drawing: Drawing) -> list[Picture]:
    """A laid-out drawing as its paths ask for it.

    A chart is SVG or, where its path ends so, WebP. Of photographs there is one picture for a light and one
    for a dark ground, or a single one that has a dark ground of its own.
    """
    with styled():
        if drawing.kind != PHOTOGRAPHS:
            encode = as_svg if drawing.paths[0].endswith(".svg") else as_pixels
            return [encode(laid_out(drawing))]
        if len(drawing.paths) == 1:
            return [as_raster(laid_out(drawing, dark=True), GROUND)]
        return [as_raster(laid_out(drawing, dark=dark)) for dark in (False, True)]
