"""What is drawn and what is said of it: drawings, and the figures that pages make of their pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "publication-"  # of the kinds of drawing that are figures for articles


@dataclass(frozen=True, eq=False)
class Drawing:
    """Pictures that are drawn in one go.

    `kind` names the function that draws them from `arguments`, arrays and plain values; `paths` says where in
    the site each of them goes, in the order in which the function returns them.
    """

    kind: str
    arguments: Mapping[str, Any]
    paths: tuple[str, ...]


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


def published(design: str, arguments: Mapping[str, Any], alt: str, caption: str) -> Figure:
    """A labelled figure for articles and papers, in one of their designs.

    It is drawn as wide as it is shown, so that its width and its place come with the page.
    """
    return Figure(Drawing(f"{PREFIX}{design}", arguments, ()), alt, caption)
