"""Training of a model that reads: losses by step and by position, and small courses side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from generator.figures.heads import COLOURS, MARKS
from generator.figures.layout import (
    LABEL,
    SMALL,
    axes_at,
    canvas,
    columns_for,
    fitted,
    heights,
    length,
    plain,
    write,
)
from generator.figures.style import BLUE, INK, ORANGE, QUIET, RULE, drawable, new_figure

_STYLES: tuple[Literal["-", "--", "-.", ":"], ...] = ("-", "--", "-.", ":")
_GAP, _LEAST, _WIDEST = (
    14.0,
    104.0,
    300.0,
)  # CSS pixels: between two panels, the narrowest, the widest
_LOW, _HIGH, _LEFT, _BELOW = 76.0, 120.0, 40.0, 34.0
_SAMPLE = 62.0  # what an entry of the legend takes beside its name
_STATES = mpl.colormaps["viridis"]  # from the first state to the last


def small_courses(
    labels: Sequence[str],
    titles: Sequence[str],
    lines: Sequence[str],
    values: np.ndarray,
    bars: np.ndarray,
    *,
    columns: int = 0,
    unit: str = "",
    width: float,
) -> Figure:
    """A small chart for each thing: `values` (lines, things, states), on one scale for all.

    `bars` (lines,) are what random weights reach, dotted; NaN leaves one out. States stand at equal
    distances, whatever lies between them. `columns` says how many things stand in a row, where that means
    something.
    """
    across = columns_for(len(titles), width - _LEFT, _LEAST + _GAP)
    if columns and columns * (_LEAST + _GAP) <= width - _LEFT:
        across = columns
    wide = min((width - _LEFT) / across - _GAP, _WIDEST)
    down, head = -(-len(titles) // across), heights(1, LABEL) + 2
    top, high = heights(1, SMALL) + 12.0, float(np.clip(0.42 * wide, _LOW, _HIGH))
    step = high + head + _GAP
    names = [drawable(f"{name}, {unit}" if unit else name) for name in lines]
    named = sum(length(name, SMALL) + _SAMPLE for name in (*names, "random weights"))
    figure = canvas(max(_LEFT + across * (wide + _GAP), named), top + down * step + _BELOW)
    _key(figure, names, bars)
    limits = _limits(values, bars)
    for number, title in enumerate(titles):
        row, column = divmod(number, across)
        x, y = _LEFT + column * (wide + _GAP), top + row * step
        write(figure, x, y, fitted(title, wide, LABEL), INK, LABEL)
        axes = axes_at(figure, x, y + head, wide, high)
        _courses(axes, values[:, number], bars)
        axes.set(xlim=(-0.3, len(labels) - 0.7), ylim=limits)
        plain(axes)
        axes.set_xticks(range(len(labels)), [])
        axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
        if column:
            axes.set_yticklabels([])
        if number + across >= len(titles):
            _ends(figure, labels, x, y + head + high + 5, wide)
    return figure


def _limits(values: np.ndarray, bars: np.ndarray) -> tuple[float, float]:
    """One scale for all panels, with zero in it, and room above the highest."""
    known = np.concatenate([each[np.isfinite(each)] for each in (values.ravel(), bars.ravel())])
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    room = 0.08 * ((max(high, 0.0) - min(low, 0.0)) or 1.0)
    return (low - room if low < 0 else 0.0), max(high, 0.0) + room


def _courses(axes: Axes, values: np.ndarray, bars: np.ndarray) -> None:
    for line, (course, bar) in enumerate(zip(values, bars, strict=True)):
        colour = COLOURS[line % len(COLOURS)]
        axes.plot(
            range(len(course)), course, _STYLES[line % len(_STYLES)], color=colour, linewidth=1.4,
            marker=MARKS[line % len(MARKS)], markersize=2.8, clip_on=False,
        )  # fmt: skip
        if np.isfinite(bar):
            axes.axhline(bar, color=colour, linewidth=0.8, linestyle=":", alpha=0.8)


def _key(figure: Figure, names: Sequence[str], bars: np.ndarray) -> None:
    """The names of the lines, above all panels."""
    handles = [
        Line2D(
            [], [], color=COLOURS[n % len(COLOURS)], linestyle=_STYLES[n % len(_STYLES)],
            marker=MARKS[n % len(MARKS)], markersize=3.4, linewidth=1.4,
            label=name,
        )
        for n, name in enumerate(names)
    ]  # fmt: skip
    if np.isfinite(bars).any():
        dotted = Line2D([], [], color=QUIET, linestyle=":", linewidth=1, label="random weights")
        handles.append(dotted)
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, 1), fontsize=SMALL,
        ncols=len(handles), borderpad=0, borderaxespad=0, handlelength=2.2, columnspacing=1.4,
    )  # fmt: skip


def _ends(figure: Figure, labels: Sequence[str], left: float, top: float, wide: float) -> None:
    """The first and the last state below a panel, as far as there is room."""
    last = fitted(labels[-1], wide * 0.6, SMALL)
    first = fitted(labels[0], wide - length(last, SMALL) - 8, SMALL)
    write(figure, left, top, first, QUIET, SMALL)
    if len(labels) > 1:
        write(figure, left + wide, top, last, QUIET, SMALL, align="right")


def position_losses(
    labels: Sequence[str],
    texts: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    gain: np.ndarray,
    gain_error: np.ndarray,
    chance: float,
    *,
    width: float,
) -> Figure:
    """Loss by position, a curve a state, (states, positions): on texts, on both copies of random tokens.

    `gain` (states,) is what the second copy gains, with its standard error; `chance` the loss of holding all
    tokens equally likely. What has no value has no panel.
    """
    copied, read = bool(np.isfinite(second).any()), bool(np.isfinite(texts).any())
    count = int(read) + 2 * int(copied)
    figure = new_figure(width if count > 1 else 0.62 * width, 190 + 0.13 * width)
    panels = list(figure.subplots(1, count, squeeze=False)[0])
    shades = [_STATES(0.88 * n / max(1, len(labels) - 1)) for n in range(len(labels))]
    if read:
        axes = panels.pop(0)
        for row, shade in zip(texts, shades, strict=True):
            axes.plot(range(len(row)), row, color=shade, linewidth=1.1)
        axes.set(title="loss on texts, nats", xlabel="position in the text")
        _chance(axes, chance)
    if copied:
        _both_copies(panels.pop(0), first, second, shades, chance)
        _gain(panels.pop(0), labels, gain, gain_error)
    plain(*figure.axes)
    wide = figure.get_size_inches()[0] * 96
    handles = [
        Line2D([], [], color=shade, linewidth=2, label=drawable(label))
        for label, shade in zip(labels, shades, strict=True)
    ]
    figure.legend(
        handles=handles, loc="outside lower left", fontsize=SMALL, borderpad=0, handlelength=1.2,
        ncols=max(1, int(wide // (54 + max(length(one, SMALL) for one in labels)))),
    )  # fmt: skip
    return figure


def _both_copies(
    axes: Axes,
    first: np.ndarray,
    second: np.ndarray,
    shades: Sequence[tuple[float, ...]],
    chance: float,
) -> None:
    for one, other, shade in zip(first, second, shades, strict=True):
        axes.plot(range(len(one)), one, color=shade, linewidth=1.1, linestyle="--")
        axes.plot(range(len(other)), other, color=shade, linewidth=1.5)
    axes.set(title="first copy (dashed) and second, nats", xlabel="position in the copy")
    _chance(axes, chance)


def _gain(axes: Axes, labels: Sequence[str], gain: np.ndarray, error: np.ndarray) -> None:
    """What the second copy gains, state by state, with standard errors."""
    axes.errorbar(
        range(len(gain)), gain, yerr=error, color=ORANGE, marker="o", markersize=4, capsize=3,
        linewidth=1.4,
    )  # fmt: skip
    axes.axhline(0, color=QUIET, linewidth=0.8)
    axes.set(title="what the second copy gains, nats")
    axes.set_xticks(
        range(len(labels)), [drawable(label) for label in labels], rotation=35, ha="right",
        rotation_mode="anchor",
    )  # fmt: skip


def _chance(axes: Axes, chance: float) -> None:
    """The loss of one who holds all tokens equally likely, from zero up."""
    axes.axhline(chance, color=BLUE, linewidth=0.9, linestyle=":")
    axes.set_ylim(0, 1.12 * max(chance, axes.get_ylim()[1]))
    axes.spines[:].set_color(RULE)


def birth(
    names: Sequence[str],
    steps: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    born: np.ndarray,
    chance: float,
    *,
    width: float,
) -> Figure:
    """Losses (trainings, measurements) on the first copy, dashed, and on the second; NaN is not born."""
    figure = new_figure(width, 190 + 0.2 * width)
    axes = figure.subplots()
    axes.axhline(chance, color=QUIET, linewidth=1.0, label="even guess")
    for place, name in enumerate(names):
        colour = (BLUE, ORANGE)[place % 2]
        axes.plot(
            steps, first[place], color=colour, linewidth=1.1, linestyle="--",
            label=f"{name}, first copy",
        )  # fmt: skip
        axes.plot(steps, second[place], color=colour, linewidth=1.8, label=f"{name}, second copy")
        if np.isfinite(born[place]):
            axes.axvline(born[place], color=colour, linewidth=0.9, linestyle=":")
            axes.annotate(
                f" born at {born[place]:.0f}", (born[place], 0.04 * chance), fontsize=SMALL,
                color=colour,
            )  # fmt: skip
    axes.set(ylim=(0, None), xlabel="training step", ylabel="loss, nats a word")
    axes.set_xlim(float(steps[0]), float(steps[-1]))
    plain(axes)
    figure.legend(loc="outside upper left", ncols=3, fontsize=SMALL, borderpad=0)
    return figure
