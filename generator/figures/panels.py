"""Photographs and maps side by side, each with what it is above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from generator.figures.layout import (
    LABEL,
    SMALL,
    TITLE,
    Box,
    canvas,
    fitted,
    heights,
    inks,
    length,
    plane,
    show_pixels,
    wrapped,
    write,
)

GAP, ROW_GAP, ABOVE, BAR = 12.0, 14.0, 4.0, 12.0
GROUND = "#1f2328"  # of photographs that have one of their own, on every page


@dataclass(frozen=True)
class Panel:
    """A raster (h, w, 3 or 4) uint8 with a title and a note above it.

    `pixelated` keeps the squares of a small raster.
    """

    pixels: np.ndarray
    title: str = ""
    note: str = ""
    pixelated: bool = False


@dataclass(frozen=True)
class Scale:
    """What colours mean: `colours` (n, 3) uint8 from the lowest to the highest, and both ends in words."""

    colours: np.ndarray
    low: str
    high: str
    label: str


def in_rows(panels: Sequence[Panel], columns: int) -> tuple[tuple[Panel, ...], ...]:
    """Panels in rows of at most `columns`."""
    starts = range(0, len(panels), columns)
    return tuple(tuple(panels[start : start + columns]) for start in starts)


def even_rows(panels: Sequence[Panel], most: int) -> tuple[tuple[Panel, ...], ...]:
    """Panels in rows of at most `most`, no row much longer than another."""
    return in_rows(panels, -(-len(panels) // -(-len(panels) // most)))


def panels(
    rows: Sequence[Sequence[Panel]],
    *,
    names: Sequence[str] = (),
    scale: Scale | None = None,
    widest: float = 260.0,
    gap: float = GAP,
    width: float,
    dark: bool = False,
) -> Figure:
    """Panels in rows, all of one width; `names` stand before the rows. `widest` bounds a panel."""
    across = max(len(row) for row in rows)
    left = min(max((length(n, LABEL) for n in names), default=0) + 10, width * 0.22) if names else 0
    right = _scale_width(scale) if scale else 0.0
    side = min(widest, (width - left - right - (across - 1) * gap) / across)
    laid = [_laid(row, side) for row in rows]
    total = sum(row.head + row.high + ROW_GAP for row in laid) - ROW_GAP
    figure = canvas(left + across * (side + gap) - gap + right, total)
    axes, colours, top = plane(figure), inks(dark=dark), 0.0
    for number, row in enumerate(laid):
        top += row.head
        if names:
            label = "\n".join(wrapped(names[number], left - 10, LABEL, 3))
            write(figure, 0, top + row.high / 2 - 8, label, colours[0])
        for column, panel in enumerate(row.panels):
            place = left + column * (side + gap)
            _write_words(figure, row, column, (place, top), colours)
            box = place, top, side, row.high
            show_pixels(axes, box, panel.pixels, pixelated=panel.pixelated)
        top += row.high + ROW_GAP
    if scale:
        beside = left + across * (side + gap)
        _draw_scale(figure, axes, scale, (beside, laid[0].head, BAR, laid[0].high), colours)
    return figure


@dataclass(frozen=True)
class _Row:
    """Panels with the lines of words above each; heights of words, of notes alone and of pictures."""

    panels: Sequence[Panel]
    titles: Sequence[Sequence[str]]
    notes: Sequence[Sequence[str]]
    head: float
    below: float
    high: float


def _laid(row: Sequence[Panel], side: float) -> _Row:
    titles = [wrapped(one.title, side, TITLE, bold=True) if one.title else [] for one in row]
    notes = [wrapped(one.note, side, SMALL) if one.note else [] for one in row]
    below = heights(max(map(len, notes)), SMALL)
    words = heights(max(map(len, titles)), TITLE) + below
    head = words + ABOVE + 3 if words else 0.0  # ascenders reach a little higher
    high = max(side * one.pixels.shape[0] / one.pixels.shape[1] for one in row)
    return _Row(row, titles, notes, head, below, high)


def _write_words(
    figure: Figure, row: _Row, column: int, place: tuple[float, float], colours: tuple[str, str]
) -> None:
    """Title and note above a panel at a place; titles of a row stand on one line, notes below it."""
    title, note, middle = row.titles[column], row.notes[column], place[1] - ABOVE - row.below
    top = middle - heights(len(title), TITLE)
    write(figure, place[0], top, "\n".join(title), colours[0], TITLE, bold=True)
    write(figure, place[0], middle, "\n".join(note), colours[1], SMALL)


def _scale_width(scale: Scale) -> float:
    text = max(length(each, SMALL) for each in (scale.low, scale.high))
    return 10 + BAR + 6 + text + 10 + SMALL * 1.8


def _draw_scale(
    figure: Figure, axes: Axes, scale: Scale, box: Box, colours: tuple[str, str]
) -> None:
    show_pixels(axes, box, scale.colours[::-1, None], pixelated=True)
    left, top, _, high = box
    beside = left + BAR + 6
    write(figure, beside, top, scale.high, colours[1], SMALL)
    write(figure, beside, top + high - heights(1, SMALL), scale.low, colours[1], SMALL)
    text = max(length(each, SMALL) for each in (scale.low, scale.high))
    label = fitted(scale.label, high, SMALL)
    write(
        figure, beside + text + 6 + SMALL * 0.8, top + high / 2, label, colours[1], SMALL,
        align="center", turned=True,
    )  # fmt: skip
