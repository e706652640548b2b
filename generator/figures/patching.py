"""Grids of what patching one activation restores or destroys: layers across, tokens or heads downwards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator

from generator.figures.heads import SHARES
from generator.figures.layout import (
    LABEL,
    SMALL,
    axes_at,
    canvas,
    fitted,
    length,
    plain,
    write,
)
from generator.figures.style import INK, QUIET, RULE
from generator.formatting import fixed

_CELL, _HEADER, _LONGEST = 20.0, 26.0, 150.0  # CSS pixels
_BAR = 62.0  # a scale and its numbers
_PERCENT = FuncFormatter(lambda value, _: f"{fixed(100 * value, 0)} %")


def patching_grids(
    ways: Sequence[str],
    parts: Sequence[str],
    labels: Sequence[Sequence[str]],
    values: Sequence[np.ndarray],
    *,
    width: float,
) -> Figure:
    """A row of panels for each part, one panel for each way; `values` are (ways, layers, rows) of a part.

    `labels` name the rows of each part. The panels of one part share a scale, symmetric about zero.
    """
    left = 10 + min(_LONGEST, max(length(one, SMALL) for each in labels for one in each))
    gap = 14.0
    wide = (width - left - _BAR - gap * len(ways)) / len(ways)
    tall = [_CELL * len(each) for each in labels]
    figure = canvas(width, sum(tall) + (_HEADER + 6) * len(parts) + 62)
    for column, way in enumerate(ways):
        text = fitted(way, wide, SMALL)
        write(figure, left + column * (wide + gap), 3, text, QUIET, SMALL)
    top = 20.0
    for part, names, shares, high in zip(parts, labels, values, tall, strict=True):
        write(
            figure,
            left,
            top + 4,
            fitted(part, width - left, LABEL, bold=True),
            INK,
            LABEL,
            bold=True,
        )
        top += _HEADER
        most = float(np.abs(shares).max()) or 1.0
        for column, each in enumerate(shares):
            axes = axes_at(figure, left + column * (wide + gap), top, wide, high)
            drawn = _heatmap(axes, each, most, last=part == parts[-1])
        for row, name in enumerate(names):
            middle = top + (row + 0.5) * _CELL - SMALL * 0.85
            text = fitted(name, left - 10, SMALL)
            write(figure, left - 8, middle, text, INK, SMALL, align="right")
        _scale(drawn, axes_at(figure, width - _BAR + 4, top, 9, high), int(high // 28))
        top += high + 6
    return figure


def _heatmap(axes: Axes, shares: np.ndarray, most: float, *, last: bool) -> AxesImage:
    """One panel; the `last` below each other says what its columns are."""
    drawn = axes.imshow(
        shares.T, cmap=SHARES, vmin=-most, vmax=most, aspect="auto", interpolation="nearest"
    )
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    axes.tick_params(axis="x", labelbottom=last)
    axes.set_xlabel("layer" if last else "")
    plain(axes)
    return drawn


def _scale(drawn: AxesImage, place: Axes, steps: int) -> None:
    bar = drawn.axes.figure.colorbar(drawn, cax=place, format=_PERCENT)
    bar.outline.set_edgecolor(RULE)
    bar.ax.tick_params(labelsize=SMALL, length=2)
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=max(2, steps), symmetric=True))
