"""Charts as SVG: the signal through the layers, a layer's activity, statistics of all heads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from generator.figures.style import (
    BLUE,
    ORANGE,
    QUIET,
    WEIGHTS,
    Picture,
    as_pixels,
    as_svg,
    drawable,
    new_figure,
    styled,
)

_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")


def vision_signal(
    layers: Sequence[str], rectified: np.ndarray, zero: np.ndarray, near: np.ndarray
) -> list[Picture]:
    """Fractions of zero (rectified layers) and near-zero (linear layers) activations.

    `zero` and `near` have shape (layers, inputs), `rectified` (layers,).
    """
    with styled():
        figure = new_figure(1100, 430)
        axes = figure.subplots()
        place = np.arange(len(layers))
        if rectified.any():
            band(
                axes,
                place[rectified],
                zero[rectified],
                BLUE,
                "after a rectifier: exactly zero",
                "o",
            )
        if (~rectified).any():
            band(axes, place[~rectified], near[~rectified], ORANGE, "linear output: near zero", "D")
        axes.set(ylim=(0, 1), xlim=(-0.8, len(layers) - 0.2), ylabel="fraction of activations")
        axes.yaxis.set_major_formatter(_PERCENT)
        name_layers(axes, layers)
        axes.legend(loc="upper left", fontsize=9.4)
        return [as_svg(figure)]


def text_signal(near: np.ndarray, stream: np.ndarray) -> list[Picture]:
    """Near-zero MLP activations and the size of block outputs, each (layers, inputs)."""
    with styled():
        figure = new_figure(1100, 340)
        left, right = figure.subplots(1, 2)
        place = np.arange(len(near))
        band(left, place, near, BLUE, "", "o")
        left.set(ylim=(0, None), title="MLP activations near zero", xlabel="layer")
        left.yaxis.set_major_formatter(_PERCENT)
        band(right, place, stream, ORANGE, "", "D")
        right.set(title="size of what each layer hands on (RMS)", xlabel="layer")
        right.set_ylim(0, None)
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
        return [as_svg(figure)]


def band(
    axes: Axes, place: np.ndarray, values: np.ndarray, colour: str, label: str, marker: str
) -> None:
    """Mean over inputs as a line, smallest to largest as bars, the single inputs as dots."""
    middle, low, high = values.mean(1), values.min(1), values.max(1)
    axes.vlines(place, low, high, color=colour, alpha=0.28, linewidth=5, zorder=2)
    axes.plot(
        place, middle, marker, color=colour, markersize=3.6, linestyle="-", linewidth=1.1,
        label=label or None, zorder=3,
    )  # fmt: skip


def name_layers(axes: Axes, layers: Sequence[str], most: int = 40) -> None:
    """The names of layers below a chart, at most so many of them."""
    step = -(-len(layers) // most)
    shown = range(0, len(layers), step)
    names = [drawable(layers[i]) for i in shown]
    axes.set_xticks(
        list(shown), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=8.2
    )
    axes.grid(axis="x", visible=False)


def activity(counts: np.ndarray, edges: np.ndarray, active: np.ndarray, dead: int) -> list[Picture]:
    """Histogram of a layer's non-zero activations, and how often each unit is active."""
    with styled():
        figure = new_figure(1100, 260)
        left, right = figure.subplots(1, 2)
        left.stairs(np.maximum(counts, 0.5), edges, fill=True, color=BLUE, alpha=0.85, baseline=0.5)
        left.set(yscale="log", ylim=(0.5, None), title="activations that are not zero")
        left.yaxis.set_minor_locator(NullLocator())
        left.set(xlabel="activation", ylabel="count (log scale)")
        if edges[0] < 0 < edges[-1]:
            left.axvline(0, color=QUIET, linewidth=0.9)
        _density(right, active, dead)
        # Every layer has one: outlines of letters would make them the heaviest charts of a site.
        return [as_pixels(figure)]


def _density(axes: Axes, active: np.ndarray, dead: int) -> None:
    ordered = np.sort(active)[::-1]
    # More steps than pixels only make the file heavy: thousands of units are drawn as 160 points.
    shown = np.unique(np.linspace(0, len(ordered) - 1, 160).round().astype(int))
    axes.fill_between(shown + 1, ordered[shown], color=BLUE, alpha=0.25, linewidth=0)
    axes.plot(shown + 1, ordered[shown], color=BLUE, linewidth=1.2)
    axes.set(ylim=(0, 1), xlim=(1, max(2, len(ordered))))
    axes.set(title="units, most often active first", xlabel="rank of the unit")
    axes.set_ylabel("share of positions above zero")
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if dead:
        axes.annotate(
            f"{dead} never above zero", (len(ordered), 1), (-2, -10), textcoords="offset points",
            ha="right", va="top", fontsize=8.8, color=ORANGE,
        )  # fmt: skip


def head_grids(titles: Sequence[str], values: np.ndarray, most: Sequence[float]) -> list[Picture]:
    """One small heatmap (layers x heads) for each statistic; `values` is (statistics, layers, heads).

    Each map has its own scale, from 0 to `most`, written above it.
    """
    with styled():
        count, layers, heads = values.shape
        columns = min(4, count)
        rows = -(-count // columns)
        cell = float(np.clip(320 / layers, 9, 26))
        figure = new_figure(1100, rows * (layers * cell + 62))
        grid = figure.subplots(rows, columns, squeeze=False)
        for number, axes in enumerate(grid.flat):
            if number >= count:
                axes.set_visible(False)
                continue
            axes.imshow(
                values[number], cmap=WEIGHTS, vmin=0, vmax=most[number] or 1.0, aspect="auto",
                interpolation="nearest",
            )  # fmt: skip
            axes.set_title(f"{titles[number]}\n0 to {most[number]:.3g}", fontsize=9.4)
            axes.grid(False)
            axes.set_xticks(range(heads), [str(head) for head in range(heads)], fontsize=7.2)
            axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
            axes.tick_params(length=2, labelsize=7.2)
            axes.spines[:].set_visible(True)
            if number % columns == 0:
                axes.set_ylabel("layer", fontsize=8.8)
            if number // columns == rows - 1 or number + columns >= count:
                axes.set_xlabel("head", fontsize=8.8)
        return [as_svg(figure)]
