"""Charts of layers and units: the signal, the activity of a layer, distributions, the course of training."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from generator.figures.heads import MARKS
from generator.figures.layout import PERCENT, SMALL, plain
from generator.figures.style import BLUE, ORANGE, QUIET, drawable, new_figure

_LONGEST = 28  # letters of a layer's name, whose end says most
_DEPTH = mpl.colormaps["viridis"]  # from the first layer to the last


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
    figure = new_figure(width, max(200, width * 0.24))
    left, right = figure.subplots(1, 2)
    left.stairs(np.maximum(counts, 0.5), edges, fill=True, color=BLUE, alpha=0.85, baseline=0.5)
    left.set(yscale="log", ylim=(0.5, None), title="activations that are not zero")
    left.yaxis.set_minor_locator(NullLocator())
    left.set(xlabel="activation", ylabel="count (log scale)")
    if edges[0] < 0 < edges[-1]:
        left.axvline(0, color=QUIET, linewidth=0.9)
    _density(right, active, dead)
    plain(left, right)
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
