"""What is drawn and what is said of it: drawings, and the figures that pages make of their pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from generator.figures.drawing import PHOTOGRAPHS, Drawing

__all__ = ["Drawing", "Figure", "on_page", "placed", "published"]


PAGE = 1100  # CSS pixels, the width of a page


@dataclass(frozen=True, eq=False)
class Figure:
    """One picture of a drawing, and what is said of it. Many figures may share a drawing.

    `kind` is that of the figures of a technique, by which articles ask for it and the gallery lists it. `ink`
    marks a drawing that turns light on the dark palette. `source` is what it was measured on.
    """

    drawing: Drawing
    alt: str
    caption: str = ""
    number: int = 0
    kind: str = ""
    ink: bool = False
    pixelated: bool = False
    source: str = ""

    @property
    def path(self) -> str:
        """Where in the site the picture lies."""
        return self.drawing.paths[self.number]

    def save(self, file: str | Path, width: float = 680, dpi: int = 300) -> None:
        """Write a figure as PDF, SVG, PNG or HTML, by the ending, `width` CSS pixels wide (96 an inch).

        Raises UsageError for another ending.
        """
        from generator.figures import alone, paper  # matplotlib is slow to import

        said = alone.Said(self.alt, self.caption, self.source)
        paper.save(self.drawing, said, Path(file), width, dpi)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from generator.figures import paper

        return paper.as_html(self.drawing, self.alt, self.caption)


def published(
    design: str | Callable[..., Any], arguments: Mapping[str, Any], alt: str, caption: str
) -> Figure:
    """A figure in one of the designs, or by a function of one's own, for pages, articles and papers.

    Such a function takes `arguments` and a `width` in CSS pixels, and returns a matplotlib figure. The figure
    is drawn as wide as it is shown, so that its width and its place come with the page.
    """
    kind, own = ("own", design) if callable(design) else (design, None)
    return Figure(Drawing(kind, arguments, (), own), alt, caption, ink=kind != PHOTOGRAPHS)


def placed(figure: Figure, path: str, width: float) -> Figure:
    """A figure of an article at its width, below `path` without its ending.

    One with photographs is drawn twice, for a light and a dark ground.
    """
    paths = (f"{path}.svg",) if figure.ink else (f"{path}.webp", f"{path}-dark.webp")
    return _drawn(figure, paths, width)


def on_page(figure: Figure, path: str, kind: str, width: float = PAGE) -> Figure:
    """A figure of some `kind` on a page: a chart as `path` ends, photographs on a dark plate."""
    return replace(_drawn(figure, (path,), width), kind=kind)


def _drawn(figure: Figure, paths: tuple[str, ...], width: float) -> Figure:
    arguments = {**figure.drawing.arguments, "width": float(width)}
    return replace(figure, drawing=replace(figure.drawing, arguments=arguments, paths=paths))
