"""Attention as maps: one with its tokens, or many side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from generator.figures.attention import NORM, TICKS, short
from generator.figures.layout import (
    LABEL,
    PIXEL,
    SMALL,
    TITLE,
    Box,
    axes_at,
    canvas,
    columns_for,
    extent,
    fitted,
    heights,
    length,
    plane,
    show_pixels,
    write,
)
from generator.figures.style import INK, MASKED, QUIET, RULE, WEIGHTS

_LONGEST = 60  # tokens that get a name
_LEAST, _LINE = 84.0, 12.5  # the least side of a small map, and of a cell whose token is named
_BAR, _LEAST_BAR, _BESIDE = 10.0, 60.0, 66.0  # the bar, and what it takes with its numbers
_SLIMMEST = 0.4  # a map is drawn no lower or narrower than this share of its other side
_ADVANCE = 0.602  # of DejaVu Sans Mono, in ems


def attention_map(
    tokens: Sequence[str],
    keys: Sequence[str],
    weights: np.ndarray,
    *,
    causal: bool,
    bar: str = "weight",
    width: float,
) -> Figure:
    """One map (queries, keys) with its `tokens` beside it and its `keys` above.

    The colour is the square root of the weight.
    """
    sides = [[short(token) for token in side] for side in (tokens, keys)]
    cell = float(np.clip((width - 190) / max(len(tokens), len(keys)), 4, 30))
    size = float(np.clip(cell * 0.62, 5.5, LABEL))
    named = max(len(tokens), len(keys)) <= _LONGEST
    reach = [max(_room(name, size) for name in side) + 8 if named else 4.0 for side in sides]
    left, top = max(reach[0], 48.0), reach[1] + 16
    wide, high = len(keys) * cell, len(tokens) * cell
    tall = max(high, _LEAST_BAR)
    figure = canvas(left + wide + 66, top + tall + 4)
    axes = axes_at(figure, left, top, wide, high)
    _cells(axes, weights, causal)
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if named:
        font: Any = {"fontsize": size, "color": INK, "family": ["DejaVu Sans Mono", "DejaVu Sans"]}
        axes.xaxis.tick_top()
        axes.set_xticks(range(len(keys)), sides[1], rotation=90, **font)
        axes.set_yticks(range(len(tokens)), sides[0], **font)
        axes.tick_params(length=0, pad=4)
    write(figure, 0, 0, "looks ↓   at →", QUIET, SMALL)
    _bar(figure, plane(figure), left + wide + 14, top, min(tall, 200), bar)
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
) -> Figure:
    """Maps (count, queries, keys) side by side, each with its title.

    With `rows` there are `columns` in a row, and each row has a name and shows the same titles. `tokens`
    are written beside the first map of each row, where there is room for them.
    """
    count, gap, head = len(weights), 10.0, heights(1, TITLE)
    # Tokens are named where the maps of a row, two where that is open, are large enough for them.
    named, least_across = _LINE * len(tokens), columns or 2
    fits = least_across * named < width - 2 * _BESIDE
    names = [short(token) for token in tokens] if fits else []
    left = max((length(name, SMALL) + 7 for name in (*rows, *names)), default=2)
    least = max(_LEAST, named) if names else _LEAST
    across = columns or columns_for(count, width - left - _BESIDE, least + gap)
    room = (width - left - _BESIDE - (across - 1) * gap) / across
    side = min(room, max(240.0, least))
    high = side * float(np.clip(weights.shape[1] / weights.shape[2], _SLIMMEST, 1 / _SLIMMEST))
    down = -(-count // across)
    step = high + gap + (0 if rows else head)
    first = head if rows else 0.0
    tall = max(first + down * step, head + _LEAST_BAR)
    figure = canvas(left + across * (side + gap) - gap + _BESIDE, tall)
    axes = plane(figure)
    for place in range(count):
        row, column = divmod(place, across)
        x, y = left + column * (side + gap), first + row * step
        if not rows or row == 0:
            write(figure, x, y - first, fitted(titles[place], side, LABEL), INK, LABEL)
        if rows and column == 0:
            write(figure, 0, y + high / 2 - 6, rows[row], INK, SMALL)
        at = y if rows else y + head
        _cells(axes, weights[place], causal, (x, at, side, high))
        axes.add_patch(Rectangle((x, at), side, high, fill=False, edgecolor=RULE, linewidth=0.8))
        for line, name in enumerate(names if column == 0 else ()):
            middle = at + (line + 0.5) * high / len(names) - SMALL * 0.85
            write(figure, x - 5, middle, name, INK, SMALL, align="right")
    right, above = left + across * (side + gap) - gap + 14, first or head
    _bar(figure, axes, right, above, min(tall - above, 160), "weight")
    return figure


def _cells(axes: Axes, weights: np.ndarray, causal: bool, box: Box | None = None) -> None:
    shown = np.ma.masked_array(weights, ~np.tri(len(weights), dtype=bool) if causal else False)
    colours = WEIGHTS.with_extremes(bad=MASKED)
    place = extent(box) if box else None
    axes.imshow(
        shown, cmap=colours, norm=NORM, interpolation="nearest", aspect="auto", extent=place
    )


def _room(name: str, size: float) -> float:
    """The width of a token in either face: which one draws it depends on its letters."""
    return max(length(name, size), 1.04 * _ADVANCE * size / PIXEL * len(name))


def _bar(figure: Figure, axes: Axes, left: float, top: float, high: float, label: str) -> None:
    """The colours of weights from 0 to 1, their marks at the square roots of what they say."""
    ramp = (WEIGHTS(np.linspace(1, 0, 128))[:, None, :3] * 255).round().astype(np.uint8)
    show_pixels(axes, (left, top, _BAR, high), ramp)
    marks = TICKS if high >= 110 else (0.05, 0.25, 1.0)
    for tick in marks:
        at = top + high * (1 - tick**0.5)
        # The highest mark stands a little lower, so that it is clear of the label.
        above = at - SMALL * 0.6 if tick < 1 else at - 2
        write(figure, left + _BAR + 5, above, f"{tick:g}", QUIET, SMALL)
    write(figure, left - 4, top - heights(1, SMALL) - 2, label, QUIET, SMALL)
