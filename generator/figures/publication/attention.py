"""Attention as maps: one with its tokens, or many side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from generator.figures.attention import NORM, TICKS, short
from generator.figures.publication.base import (
    LABEL,
    PIXEL,
    SMALL,
    TITLE,
    axes_at,
    canvas,
    columns_for,
    fitted,
    heights,
    length,
    show_pixels,
    write,
)
from generator.figures.style import INK, MASKED, QUIET, RULE, WEIGHTS

_LONGEST = 60  # tokens that get a name
_FEW, _TINY = 24, 6.5  # tokens beside small maps, and their size
_BAR = 10.0
_ADVANCE = 0.602  # of DejaVu Sans Mono, in ems


def attention_map(
    tokens: Sequence[str],
    weights: np.ndarray,
    *,
    causal: bool,
    bar: str = "weight",
    width: float,
    dark: bool = False,
) -> Figure:
    """One map (queries, keys) with its tokens; the colour is the square root of the weight."""
    count = len(tokens)
    names = [short(token) for token in tokens]
    cell = float(np.clip((width - 190) / count, 4, 30))
    size = float(np.clip(cell * 0.62, 5.5, LABEL))
    named = count <= _LONGEST
    reach = max(_room(name, size) for name in names) + 8 if named else 4.0
    left, top, side = max(reach, 48.0), reach + 16, count * cell
    figure = canvas(left + side + 66, top + side + 4)
    axes = axes_at(figure, left, top, side, side)
    _cells(axes, weights, causal)
    if named:
        font: Any = {"fontsize": size, "color": INK, "family": ["DejaVu Sans Mono", "DejaVu Sans"]}
        axes.xaxis.tick_top()
        axes.set_xticks(range(count), names, rotation=90, **font)
        axes.set_yticks(range(count), names, **font)
        axes.tick_params(length=0, pad=4)
    write(figure, 0, 0, "looks ↓   at →", QUIET, SMALL)
    _bar(figure, left + side + 14, top, min(side, 200), bar)
    return figure


def attention_grid(
    titles: Sequence[str],
    weights: np.ndarray,
    *,
    causal: bool,
    rows: Sequence[str] = (),
    columns: int = 0,
    tokens: Sequence[str] = (),
    width: float,
    dark: bool = False,
) -> Figure:
    """Maps (count, queries, keys) side by side, each with its title.

    With `rows` there are `columns` in a row, and each row has a name and shows the same titles. `tokens`
    are written beside the first map, where there is room for them.
    """
    count = len(weights)
    left = max((length(row, SMALL) for row in rows), default=0) + 8 if rows else 2
    names = [short(token) for token in tokens] if len(tokens) <= _FEW else []
    left = max(left, *(length(name, _TINY) + 6 for name in names)) if names else left
    across = columns or columns_for(count, width - 70, 84, 12)
    gap, head = 10.0, heights(1, TITLE)
    side = min((width - left - 66 - (across - 1) * gap) / across, 240.0)
    down = -(-count // across)
    step = side + gap + (0 if rows else head)
    first = head if rows else 0.0
    figure = canvas(left + across * (side + gap) - gap + 66, first + down * step)
    for place in range(count):
        row, column = divmod(place, across)
        x, y = left + column * (side + gap), first + row * step
        if not rows or row == 0:
            write(figure, x, y - first, fitted(titles[place], side, LABEL), INK, LABEL)
        if rows and column == 0:
            write(figure, 0, y + side / 2 - 6, rows[row], INK, SMALL)
        at = y if rows else y + head
        axes = axes_at(figure, x, at, side, side)
        _cells(axes, weights[place], causal)
        axes.spines[:].set_color(RULE)
        axes.spines[:].set_visible(True)
        if names and place == 0 and side >= 8.5 * len(names):
            axes.set_yticks(range(len(names)), names, fontsize=_TINY, color=INK)
            axes.tick_params(length=0, pad=3)
    _bar(
        figure,
        left + across * (side + gap) - gap + 14,
        first or head,
        min(step * down - head, 160),
        "weight",
    )
    return figure


def _cells(axes: Axes, weights: np.ndarray, causal: bool) -> None:
    shown = np.ma.masked_array(weights, ~np.tri(len(weights), dtype=bool) if causal else False)
    colours = WEIGHTS.with_extremes(bad=MASKED)
    axes.imshow(shown, cmap=colours, norm=NORM, interpolation="nearest", aspect="auto")
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _room(name: str, size: float) -> float:
    """The width of a token in either face: which one draws it depends on its letters."""
    return max(length(name, size), 1.04 * _ADVANCE * size / PIXEL * len(name))


def _bar(figure: Figure, left: float, top: float, high: float, label: str) -> None:
    """The colours of weights from 0 to 1, their marks at the square roots of what they say."""
    axes = axes_at(figure, left, top, _BAR, high)
    ramp = (WEIGHTS(np.linspace(1, 0, 128))[:, None, :3] * 255).round().astype(np.uint8)
    show_pixels(axes, ramp)
    marks = TICKS if high >= 110 else (0.05, 0.25, 1.0)
    for tick in marks:
        at = top + high * (1 - tick**0.5)
        # The highest mark stands a little lower, so that it is clear of the label.
        above = at - SMALL * 0.6 if tick < 1 else at - 2
        write(figure, left + _BAR + 5, above, f"{tick:g}", QUIET, SMALL)
    write(figure, left - 4, top - heights(1, SMALL) - 2, label, QUIET, SMALL)
