"""Photographs and maps side by side, each with what it is above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from generator.figures.layout import (
    LABEL,
    SMALL,
    TITLE,
    axes_at,
    canvas,
    fitted,
    heights,
    inks,
    length,
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
    tops, total = _tops(rows, side)
    figure = canvas(left + across * (side + gap) - gap + right, total)
    ink, quiet = inks(dark=dark)
    for number, (row, top) in enumerate(zip(rows, tops, strict=True)):
        head, high = _head(row, side), _height(row, side)
        if names:
            label = "\n".join(wrapped(names[number], left - 10, LABEL, 3))
            write(figure, 0, top + head + high / 2 - 8, label, ink)
        notes = _most_lines(row, side)[1]
        for column, panel in enumerate(row):
            place = left + column * (side + gap)
            _words(figure, panel, (place, top + head), side, notes, (ink, quiet))
            axes = axes_at(figure, place, top + head, side, high)
            show_pixels(axes, panel.pixels, pixelated=panel.pixelated)
    if scale:
        first, high = tops[0] + _head(rows[0], side), _height(rows[0], side)
        _draw_scale(figure, scale, left + across * (side + gap), first, high, (ink, quiet))
    return figure


def _tops(rows: Sequence[Sequence[Panel]], side: float) -> tuple[list[float], float]:
    tops, place = [], 0.0
    for row in rows:
        tops.append(place)
        place += _head(row, side) + _height(row, side) + ROW_GAP
    return tops, place - ROW_GAP


def _height(row: Sequence[Panel], side: float) -> float:
    return max(side * panel.pixels.shape[0] / panel.pixels.shape[1] for panel in row)


def _head(row: Sequence[Panel], side: float) -> float:
    """The height of the words above a row."""
    titles, notes = _most_lines(row, side)
    most = heights(titles, TITLE) + heights(notes, SMALL)
    return most + ABOVE + 3 if most else 0.0  # ascenders reach a little higher


def _most_lines(row: Sequence[Panel], side: float) -> tuple[int, int]:
    words = [_lines(panel, side) for panel in row]
    return max(len(title) for title, _ in words), max(len(note) for _, note in words)


def _lines(panel: Panel, side: float) -> tuple[list[str], list[str]]:
    title = wrapped(panel.title, side, TITLE, bold=True) if panel.title else []
    return title, wrapped(panel.note, side, SMALL) if panel.note else []


def _words(
    figure: Figure,
    panel: Panel,
    place: tuple[float, float],
    side: float,
    notes: int,
    colours: tuple[str, str],
) -> None:
    """Title and note above a panel at a place; titles of a row stand on one line, notes below it."""
    left, bottom = place
    title, note = _lines(panel, side)
    middle = bottom - ABOVE - heights(notes, SMALL)
    if title:
        top = middle - heights(len(title), TITLE)
        write(figure, left, top, "\n".join(title), colours[0], TITLE, bold=True)
    if note:
        write(figure, left, middle, "\n".join(note), colours[1], SMALL)


def _scale_width(scale: Scale) -> float:
    text = max(length(each, SMALL) for each in (scale.low, scale.high))
    return 10 + BAR + 6 + text + 10 + SMALL * 1.8


def _draw_scale(
    figure: Figure, scale: Scale, left: float, top: float, high: float, colours: tuple[str, str]
) -> None:
    axes = axes_at(figure, left, top, BAR, high)
    show_pixels(axes, scale.colours[::-1, None], pixelated=True)
    beside = left + BAR + 6
    write(figure, beside, top, scale.high, colours[1], SMALL)
    write(figure, beside, top + high - heights(1, SMALL), scale.low, colours[1], SMALL)
    text = max(length(each, SMALL) for each in (scale.low, scale.high))
    label = fitted(scale.label, high, SMALL)
    write(
        figure, beside + text + 6 + SMALL * 0.8, top + high / 2, label, colours[1], SMALL,
        align="center", turned=True,
    )  # fmt: skip
