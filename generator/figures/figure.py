"""What is drawn and what is said of it: drawings, and the figures that pages make of their pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from generator.figures.drawing import PREFIX, Drawing

__all__ = ["PREFIX", "Drawing", "Figure", "placed", "published"]


@dataclass(frozen=True, eq=False)
class Figure:
    """One picture of a drawing, and what is said of it. Many figures may share a drawing.

    `kind` is that of the figures of a technique, by which articles ask for it and the gallery lists it. `ink`
    marks a drawing that turns light on the dark palette.
    """

    drawing: Drawing
    alt: str
    caption: str = ""
    number: int = 0
    kind: str = ""
    ink: bool = False
    pixelated: bool = False

    @property
    def path(self) -> str:
        """Where in the site the picture lies."""
        return self.drawing.paths[self.number]

    def save(self, file: str | Path, width: float = 680, dpi: int = 300) -> None:
        """Write a figure for papers as PDF, SVG or PNG, by the ending, `width` CSS pixels wide (96 an inch).

        Raises UsageError for another ending.
        """
        from generator.figures import paper  # matplotlib is slow to import

        paper.save(self.drawing, Path(file), width, dpi)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from generator.figures import paper

        return paper.as_html(self.drawing, self.alt, self.caption)


def published(
    design: str | Callable[..., Any], arguments: Mapping[str, Any], alt: str, caption: str
) -> Figure:
    """A labelled figure for articles and papers, in one of their designs or by a function of one's own.

    Such a function takes `arguments` and a `width` in CSS pixels, and returns a matplotlib figure. The figure
    is drawn as wide as it is shown, so that its width and its place come with the page.
    """
    if callable(design):
        return Figure(Drawing(f"{PREFIX}own", arguments, (), design), alt, caption)
    return Figure(Drawing(f"{PREFIX}{design}", arguments, ()), alt, caption)


def placed(figure: Figure, path: str, width: float, *, photographs: bool) -> Figure:
    """A figure for articles at its width, below `path` without its ending.

    One with photographs is drawn twice, for a light and a dark ground.
    """
    drawing = figure.drawing
    paths = (f"{path}.webp", f"{path}-dark.webp") if photographs else (f"{path}.svg",)
    arguments = {"width": float(width), **drawing.arguments}
    return replace(
        figure, drawing=replace(drawing, arguments=arguments, paths=paths), ink=not photographs
    )
