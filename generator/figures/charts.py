"""Charts of layers, units and paired probes: signal, activity, distributions, training, leans, changes."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator, NullLocator

from generator.figures.heads import MARKS
from generator.figures.layout import PERCENT, SMALL, axes_at, canvas, plain
from generator.figures.style import BLUE, ORANGE, QUIET, drawable, new_figure

_LONGEST = 28  # letters of a layer's name, whose end says most
_DEPTH = mpl.colormaps["viridis"]  # from the first layer to the last
_COUNT = EngFormatter(sep="", places=0)  # 10k, 1M: powers of ten are typeset, which is slow


def sparsity(
    layers: Sequence[str],
    rectified: np.ndarray,
    zero: np.ndarray,
    near: np.ndarray,
    *,
    width: float,
) -> Figure:
    """Shares of zero (rectified layers) and near-zero (others) activations, each (layers, inputs)."""
    figure = new_figure(width, 260 + 0.16 * width)
    axes = figure.subplots()
    place = np.arange(len(layers))
    for chosen, values, colour, label, marker in (
        (rectified, zero, BLUE, "exactly zero, after a rectifier", "o"),
        (~rectified, near, ORANGE, "near zero, no rectifier", "D"),
    ):
        if chosen.any():
            _band(axes, place[chosen], values[chosen], colour, label, marker)
    axes.set(ylim=(0, 1 if rectified.any() else None), ylabel="share of activations")
    axes.set_xlim(-0.8, len(layers) - 0.2)
    axes.yaxis.set_major_formatter(PERCENT)
    plain(axes)
    step = -(-len(layers) // max(4, int(width // 24)))
    _name_ticks(axes, range(0, len(layers), step), [_end(name) for name in layers[::step]], 60)
    axes.grid(axis="x", visible=False)
    if rectified.any() and not rectified.all():
        figure.legend(loc="outside upper left", ncols=2, fontsize=SMALL, borderpad=0)
    return figure


def text_signal(near: np.ndarray, stream: np.ndarray, *, width: float) -> Figure:
    """Near-zero MLP activations and the size of block outputs, each (layers, inputs)."""
    figure = new_figure(width, max(220, width * 0.3))
    left, right = figure.subplots(1, 2)
    _band(left, np.arange(len(near)), near, BLUE, "", "o")
    left.set(ylim=(0, None), title="MLP activations near zero", xlabel="layer")
    left.yaxis.set_major_formatter(PERCENT)
    _band(right, np.arange(len(stream)), stream, ORANGE, "", "D")
    right.set(title="size of what each layer hands on (RMS)", xlabel="layer", ylim=(0, None))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    plain(left, right)
    return figure


def _band(
    axes: Axes, place: np.ndarray, values: np.ndarray, colour: str, label: str, marker: str
) -> None:
    """Mean over inputs as a line with its points, smallest to largest as bars."""
    middle, low, high = values.mean(1), values.min(1), values.max(1)
    axes.vlines(place, low, high, color=colour, alpha=0.28, linewidth=5, zorder=2)
    axes.plot(
        place, middle, marker, color=colour, markersize=3.6, linestyle="-", linewidth=1.1,
        label=label or None, zorder=3,
    )  # fmt: skip


def _end(name: str) -> str:
    """A name of layers that leaves room for what is drawn."""
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"


def _name_ticks(axes: Axes, places: Sequence[int], names: Sequence[str], turned: int) -> None:
    axes.set_xticks(
        list(places), [drawable(name) for name in names], rotation=turned, ha="right",
        rotation_mode="anchor", fontsize=SMALL,
    )  # fmt: skip


def activity(
    counts: np.ndarray, edges: np.ndarray, active: np.ndarray, dead: int, *, width: float
) -> Figure:
    """Histogram of a layer's non-zero activations, and how often each unit is active."""
    # Placed one by one: there is one a layer, and looking for the best places takes half of the time.
    high = max(200, width * 0.24)
    figure, wide = canvas(width, high), width / 2 - 78
    left = axes_at(figure, 62, 24, wide, high - 70)
    right = axes_at(figure, width - wide - 16, 24, wide, high - 70)
    left.stairs(np.maximum(counts, 0.5), edges, fill=True, color=BLUE, alpha=0.85, baseline=0.5)
    left.set(yscale="log", ylim=(0.5, None), title="activations that are not zero")
    left.yaxis.set_minor_locator(NullLocator())
    left.yaxis.set_major_formatter(_COUNT)
    left.set(xlabel="activation", ylabel="count (log scale)")
    if edges[0] < 0 < edges[-1]:
        left.axvline(0, color=QUIET, linewidth=0.9)
    _density(right, active, dead)
    plain(left, right)
    for axes in (left, right):
        axes.xaxis.labelpad = 0
    return figure


def _density(axes: Axes, active: np.ndarray, dead: int) -> None:
    ordered = np.sort(active)[::-1]
    # More steps than pixels only make the file heavy: thousands of units are drawn as 160 points.
    shown = np.unique(np.linspace(0, len(ordered) - 1, 160).round().astype(int))
    axes.fill_between(shown + 1, ordered[shown], color=BLUE, alpha=0.25, linewidth=0)
    axes.plot(shown + 1, ordered[shown], color=BLUE, linewidth=1.2)
    axes.set(ylim=(0, 1), xlim=(1, max(2, len(ordered))))
    axes.set(title="units, most often active first", xlabel="rank of the unit")
    axes.set_ylabel("share of positions above zero")
    axes.yaxis.set_major_formatter(PERCENT)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if dead:
        axes.annotate(
            f"{dead} never above zero", (len(ordered), 1), (-2, -10), textcoords="offset points",
            ha="right", va="top", fontsize=SMALL, color=ORANGE,
        )  # fmt: skip


def histogram(
    counts: np.ndarray, edges: np.ndarray, labels: tuple[str, str], *, width: float
) -> Figure:
    """Counts (bins,) between edges (bins + 1,)."""
    figure = new_figure(width, max(170, width * 0.42))
    axes = figure.subplots()
    axes.stairs(counts, edges, fill=True, color=BLUE, alpha=0.85)
    axes.set(xlabel=labels[0], ylabel=labels[1], ylim=(0, None))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    plain(axes)
    return figure


def course(
    labels: Sequence[str],
    accuracy: np.ndarray,
    error: np.ndarray,
    layers: Sequence[str],
    likeness: np.ndarray,
    *,
    width: float,
) -> Figure:
    """Accuracy with its standard error (states,), and likeness (layers, states) to the final units.

    States stand at equal distances, whatever lies between them. Accuracy is left out where it is not known.
    """
    known = bool(np.isfinite(accuracy).any())
    figure = new_figure(width if known else 0.6 * width, 150 + 0.18 * width)
    grid = figure.subplots(1, 2 if known else 1, squeeze=False)[0]
    if known:
        grid[0].errorbar(
            range(len(accuracy)), accuracy, yerr=error, color=BLUE, marker="o", markersize=4.5,
            linewidth=1.4, capsize=3,
        )  # fmt: skip
        grid[0].set(ylim=(0, 1.03), title="pictures named rightly")
        grid[0].yaxis.set_major_formatter(PERCENT)
    for number, (layer, values) in enumerate(zip(layers, likeness, strict=True)):
        grid[-1].plot(
            range(len(values)), values, color=_DEPTH(0.75 * number / max(1, len(layers) - 1)),
            marker=MARKS[number % len(MARKS)], markersize=4.5, linewidth=1.4, label=drawable(layer),
        )  # fmt: skip
    low = float(np.nanmin(likeness)) if np.isfinite(likeness).any() else 0.0
    grid[-1].set(ylim=(min(0.0, low * 1.1), 1.03), title="correlation with the final units")
    grid[-1].legend(loc="lower right", fontsize=SMALL)
    plain(*grid)
    for axes in grid:
        _name_ticks(axes, range(len(labels)), labels, 35)
    return figure


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
