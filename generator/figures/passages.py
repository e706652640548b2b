"""Figures of texts: passages lit token by token, and what is lost as tokens are left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from generator.figures.heads import MARKS
from generator.figures.layout import (
    LABEL,
    PERCENT,
    SMALL,
    canvas,
    fitted,
    length,
    plain,
    plane,
    write,
)
from generator.figures.style import BLUE, INK, ORANGE, QUIET, drawable, new_figure

_LINE, _TITLE = 30.0, 22.0  # CSS pixels: a line of a passage, a title above it
_DASHES = ("-", "--", ":")

# The space before a token, its text, and how far it is lit, from -1 to 1.
Lit = tuple[str, str, float]


def lit(rows: Sequence[tuple[str, Sequence[Lit]]], *, width: float) -> Figure:
    """A passage in each row: blue with a solid line for, orange with a dashed line against."""
    placed, top = [], 0.0
    for title, tokens in rows:
        down, left = top + _TITLE, 0.0
        for space, text, value in tokens:
            word = drawable(text.replace("\n", ""))
            wide = length(word.replace(r"\$", "$"), LABEL) + 3
            left += 5.0 if space else 1.0
            if left + wide > width:
                down, left = down + _LINE, 0.0
            placed.append((left, down, wide, word, value))
            left += wide
        placed.append((0.0, top, 0.0, title, float("nan")))
        top = down + _LINE + 6
    figure = canvas(width, top)
    axes = plane(figure)
    for left, down, wide, word, value in placed:
        if np.isnan(value):
            write(figure, left, down, word, QUIET, SMALL)
            continue
        if value:
            _light(axes, left, down, wide, value)
        write(figure, left + 1.5, down, word, INK, LABEL)
    return figure


def _light(axes: Axes, left: float, down: float, wide: float, value: float) -> None:
    colour, dash = (BLUE, "-") if value > 0 else (ORANGE, (0, (2, 1)))
    strength = 0.42 * abs(value)
    axes.add_patch(Rectangle((left, down - 1), wide, 21, color=colour, alpha=strength, linewidth=0))
    ends, under = (left, left + wide), down + 20.6
    thick = 3 * abs(value)
    axes.plot(ends, (under, under), color=colour, lw=thick, ls=dash, solid_capstyle="butt")


def deletion(
    titles: Sequence[str],
    shares: Sequence[float],
    names: Sequence[str],
    falls: np.ndarray,
    random: np.ndarray,
    unit: str,
    *,
    width: float,
) -> Figure:
    """How far measures fall as tokens are left out: a panel each, a curve for each method.

    `falls` (panels, methods, shares) and `random` (panels, draws, shares), whose mean and whole range are
    grey.
    """
    figure = new_figure(width, max(190, 0.34 * width))
    panels = figure.subplots(1, len(titles), squeeze=False)[0]
    at = np.array([0.0, *shares])
    for axes, title, curves, drawn in zip(panels, titles, falls, random, strict=True):
        below, middle, above = (
            np.append(0.0, each) for each in (drawn.min(0), drawn.mean(0), drawn.max(0))
        )
        axes.fill_between(at, below, above, color=QUIET, alpha=0.18, linewidth=0)
        axes.plot(at, middle, color=QUIET, linewidth=1.2, label="random order")
        for number, (name, curve) in enumerate(zip(names, curves, strict=True)):
            axes.plot(
                at, np.append(0.0, curve), color=(BLUE, ORANGE, INK)[number % 3],
                linestyle=_DASHES[number % 3], marker=MARKS[number], markersize=4.5,
                linewidth=1.5, label=name,
            )  # fmt: skip
        axes.set(title=fitted(title, 0.62 * width / len(titles), LABEL), xlabel="tokens left out")
        axes.set_xticks(at)
        axes.xaxis.set_major_formatter(PERCENT)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    panels[0].set_ylabel(f"fall, {unit}")
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=SMALL)
    plain(*panels)
    return figure
