"""Figures of paired probes: leans of subjects, and what changes of a picture do to its class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from generator.figures.layout import SMALL
from generator.figures.style import (
    BLUE,
    ORANGE,
    QUIET,
    drawable,
    new_figure,
)

_POINTS = FuncFormatter(lambda value, _: f"{100 * value:g}")
_ROW, _FRAME = 30, 72  # CSS pixels: one row of dots, and what stands around a panel


def leans(
    titles: Sequence[str],
    rows: Sequence[tuple[int, str]],
    values: Sequence[np.ndarray],
    random: Sequence[np.ndarray],
    subjects: Sequence[Sequence[str]],
    unit: str,
    *,
    width: float,
) -> Figure:
    """A panel for each probe, a row for each group, a dot for each subject.

    `rows` are (probe, group) in order, `values`, `random` and `subjects` what belongs to each row. The
    dots of the random twin stand below, small and grey; a bar marks the mean.
    """
    heights = [_ROW * sum(probe == n for probe, _ in rows) + _FRAME for n in range(len(titles))]
    figure = new_figure(width, sum(heights))
    panels = figure.subplots(len(titles), 1, squeeze=False, height_ratios=heights)[:, 0]
    for number, (axes, title) in enumerate(zip(panels, titles, strict=True)):
        chosen = [place for place, (probe, _) in enumerate(rows) if probe == number]
        names = [rows[place][1] for place in chosen]
        for y, place in enumerate(chosen):
            colour = QUIET if y == len(chosen) - 1 else (BLUE, ORANGE)[y % 2]
            _dots(axes, y, values[place], random[place], colour)
            _names(axes, y, values[place], subjects[place])
        _frame(axes, names, drawable(title))
    panels[-1].set_xlabel(unit)
    return figure


def _dots(axes: Axes, y: int, values: np.ndarray, random: np.ndarray, colour: str) -> None:
    axes.plot(values, np.full(len(values), y - 0.08), "o", color=colour, markersize=5, alpha=0.75)
    axes.plot(random, np.full(len(random), y + 0.24), "o", color=QUIET, markersize=2.2, alpha=0.6)
    axes.vlines(values.mean(), y - 0.32, y + 0.12, color=colour, linewidth=2.4)


def _names(axes: Axes, y: int, values: np.ndarray, subjects: Sequence[str]) -> None:
    """Names beside the two subjects at the ends of a row: left of the lowest, right of the highest."""
    order = np.argsort(values, kind="stable")
    for place, side, align in ((order[0], -7, "right"), (order[-1], 7, "left")):
        axes.annotate(
            drawable(subjects[place]), (values[place], y - 0.08), (side, 0),
            textcoords="offset points", ha=align, va="center", fontsize=SMALL, color=QUIET,
        )  # fmt: skip


def _frame(axes: Axes, names: Sequence[str], title: str) -> None:
    axes.set_title(title)
    axes.set_yticks(range(len(names)), [drawable(name) for name in names])
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.axvline(0, color=QUIET, linewidth=0.9)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.16)


def changes(
    names: Sequence[str],
    moves: Sequence[np.ndarray],
    changed: Sequence[np.ndarray],
    *,
    width: float,
) -> Figure:
    """A row for each change, a dot for each picture: how far the probability of its class moved.

    `changed` says whose most probable class became another one: they are orange, and stand lower.
    """
    figure = new_figure(width, _ROW * len(names) + _FRAME)
    every = np.concatenate(moves)
    axes = figure.subplots()
    for y, (move, turned) in enumerate(zip(moves, changed, strict=True)):
        for chosen, colour, mark, lower in (
            (~turned, BLUE, "o", 0.0),
            (turned, ORANGE, "D", 0.2),
        ):
            place = np.full(int(chosen.sum()), y - 0.1 + lower)
            axes.plot(move[chosen], place, mark, color=colour, markersize=4, alpha=0.65)
        axes.vlines(move.mean(), y - 0.3, y + 0.3, color=QUIET, linewidth=2.4)
    axes.plot([], [], "o", color=BLUE, markersize=4, label="same class")
    axes.plot([], [], "D", color=ORANGE, markersize=4, label="another class")
    _frame(axes, names, "")
    axes.set_xlim(min(every.min(), -0.05) - 0.03, max(every.max(), 0.05) + 0.03)
    axes.set_xlabel("change of the probability of the first class, in points")
    axes.xaxis.set_major_formatter(_POINTS)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=SMALL)
    return figure
