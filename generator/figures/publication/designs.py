"""The designs that figures of articles are drawn in, and how a drawn one becomes a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from generator.figures import probes
from generator.figures.drawing import PREFIX, Drawing
from generator.figures.publication import attention, charts, tokens
from generator.figures.publication.base import as_raster
from generator.figures.publication.panels import panels
from generator.figures.style import Picture, as_svg, styled


@dataclass(frozen=True)
class Design:
    """A function that draws, with its version; `photographs` are never turned over."""

    draw: Callable[..., Figure]
    version: int = 1
    photographs: bool = False


DESIGNS: Mapping[str, Design] = {
    "panels": Design(panels, photographs=True),
    "attention_map": Design(attention.attention_map, version=2),
    "attention_grid": Design(attention.attention_grid),
    "head_scatter": Design(charts.head_scatter),
    "head_grid": Design(charts.head_grid),
    "sparsity": Design(charts.sparsity),
    "histogram": Design(charts.histogram),
    "course": Design(charts.course),
    "shares": Design(charts.shares),
    "context": Design(tokens.context),
    "arrows": Design(tokens.arrows),
    "lens": Design(tokens.lens),
    "words": Design(tokens.words),
    "leans": Design(probes.leans),
    "changes": Design(probes.changes),
}


def as_pictures(design: Design, **arguments: Any) -> list[Picture]:
    """A figure as encoded pictures: a chart as SVG, photographs for a light and a dark ground."""
    with styled():
        if not design.photographs:
            return [as_svg(design.draw(**arguments))]
        return [
            as_raster(design.draw(**arguments)),
            as_raster(design.draw(**arguments, dark=True)),
        ]


def as_pixels(design: Design, **arguments: Any) -> bytes:
    """A figure as an encoded raster, whatever its design."""
    with styled():
        return as_raster(design.draw(**arguments)).data


def design_of(drawing: Drawing) -> Design:
    """The design of a figure for articles."""
    if drawing.draw is not None:
        return Design(drawing.draw)
    return DESIGNS[drawing.kind.removeprefix(PREFIX)]


KINDS = {
    f"{PREFIX}{name}": (design.version, partial(as_pictures, design))
    for name, design in DESIGNS.items()
}
