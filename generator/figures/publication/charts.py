"""Charts of heads and layers: scatters, grids and courses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from generator.figures.charts import band, name_layers
from generator.figures.heads import SHARES
from generator.figures.publication.base import LABEL, SMALL
from generator.figures.style import (
    BLUE,
    ORANGE,
    QUIET,
    RULE,
    WEIGHTS,
    drawable,
    new_figure,
)

PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")
MARKS = "osD^vPX*"  # groups differ in shape too: colour alone tells some readers nothing
COLOURS = (BLUE, ORANGE, "#2a7f4f", "#8a3ea8", "#a8323e", "#7a6a14", "#0f7d8c", "#5a4bd0")


def head_scatter(
    labels: Sequence[str],
    x: np.ndarray,
    y: np.ndarray,
    groups: Sequence[str],
    order: Sequence[str],
    named: Sequence[tuple[int, int]],
    *,
    letter: str = "L",
    width: float,
    dark: bool = False,
) -> Figure:
    """All heads over two statistics; `x`, `y` (layers, heads), `groups` flat, one name a head.

    `order` lists the groups that have a colour of their own. The `named` heads get their names, in
    which `letter` stands for the layer.
    """
    figure = new_figure(width, width * 0.58)
    axes = figure.subplots()
    flat_x, flat_y, group = x.ravel(), y.ravel(), np.array(list(groups))
    rest = ~np.isin(group, list(order))
    axes.scatter(flat_x[rest], flat_y[rest], s=14, color=QUIET, alpha=0.45, linewidths=0)
    for place, name in enumerate(order):
        chosen = group == name
        if chosen.any():
            axes.scatter(
                flat_x[chosen], flat_y[chosen], s=34, color=COLOURS[place % 8],
                marker=MARKS[place % 8], label=f"{drawable(name)} ({int(chosen.sum())})", linewidths=0,
            )  # fmt: skip
    axes.set(xlabel=labels[0], ylabel=labels[1])
    axes.margins(x=0.06, y=0.08)
    for layer, head in named:
        axes.annotate(
            f"{letter}{layer}H{head}", (x[layer, head], y[layer, head]), (5, 4),
            textcoords="offset points", fontsize=SMALL,
        )  # fmt: skip
    plain(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize=SMALL)
    return figure


def head_grid(
    label: str,
    values: np.ndarray,
    named: Sequence[tuple[int, int]],
    *,
    letter: str = "L",
    width: float,
    dark: bool = False,
) -> Figure:
    """One statistic of all heads as a heatmap (layers, heads), the `named` ones marked."""
    layers, heads = values.shape
    cell = float(np.clip((width - 150) / heads, 8, 34))
    high = float(np.clip(cell * 0.6, 9, 22))
    figure = new_figure(min(width, heads * cell + 150), layers * high + 70)
    axes = figure.subplots()
    most = float(np.nanmax(values))
    low = min(0.0, float(np.nanmin(values)))
    drawn = axes.imshow(
        values, cmap=WEIGHTS, vmin=low, vmax=most or 1.0, aspect="auto", interpolation="nearest"
    )
    axes.grid(False)
    axes.set(xlabel="head", ylabel="layer")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=16))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=16))
    axes.spines[:].set_visible(True)
    plain(axes)
    for layer, head in named:
        right = head < heads / 2
        axes.annotate(
            f"{letter}{layer}H{head}", (head, layer), (9 if right else -9, 0), textcoords="offset points",
            fontsize=SMALL, ha="left" if right else "right", va="center",
            bbox={"boxstyle": "round,pad=0.15", "fc": "#ffffff", "ec": RULE, "lw": 0.5},
        )  # fmt: skip
    bar = figure.colorbar(drawn, ax=axes, fraction=0.06, pad=0.03)
    bar.outline.set_edgecolor(RULE)
    bar.ax.tick_params(labelsize=SMALL)
    bar.set_label(label, fontsize=LABEL)
    return figure


def plain(axes: Axes) -> None:
    """The sizes of type that all charts of articles have."""
    axes.tick_params(labelsize=SMALL, length=3)
    axes.xaxis.label.set_fontsize(LABEL)
    axes.yaxis.label.set_fontsize(LABEL)


def sparsity(
    layers: Sequence[str],
    rectified: np.ndarray,
    zero: np.ndarray,
    near: np.ndarray,
    *,
    width: float,
    dark: bool = False,
) -> Figure:
    """Shares of zero (rectified layers) and near-zero (others) activations, each (layers, inputs)."""
    figure = new_figure(width, max(240, width * 0.42))
    axes = figure.subplots()
    place = np.arange(len(layers))
    for chosen, values, colour, label, marker in (
        (rectified, zero, BLUE, "exactly zero, after a rectifier", "o"),
        (~rectified, near, ORANGE, "near zero, no rectifier", "D"),
    ):
        if chosen.any():
            band(axes, place[chosen], values[chosen], colour, label, marker)
    axes.set(ylim=(0, None if not rectified.any() else 1), ylabel="share of activations")
    axes.set_xlim(-0.8, len(layers) - 0.2)
    axes.yaxis.set_major_formatter(PERCENT)
    plain(axes)
    name_layers(axes, layers, most=max(4, int(width / 22)))
    if rectified.any() and not rectified.all():
        axes.legend(loc="best", fontsize=SMALL)
    return figure


def histogram(
    counts: np.ndarray,
    edges: np.ndarray,
    labels: tuple[str, str],
    *,
    width: float,
    dark: bool = False,
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
    dark: bool = False,
) -> Figure:
    """Accuracy with its standard error (states,), and likeness (layers, states) to the final units."""
    figure = new_figure(width, max(220, width * 0.36))
    known = bool(np.isfinite(accuracy).any())
    grid = figure.subplots(1, 2 if known else 1, squeeze=False)[0]
    if known:
        grid[0].errorbar(
            range(len(accuracy)), accuracy, yerr=error, color=BLUE, marker="o", markersize=4,
            linewidth=1.3, capsize=3,
        )  # fmt: skip
        grid[0].set(ylim=(0, 1.03), title="pictures named rightly")
        grid[0].yaxis.set_major_formatter(PERCENT)
    for place, (layer, values) in enumerate(zip(layers, likeness, strict=True)):
        grid[-1].plot(
            range(len(values)), values, color=COLOURS[place % 8], marker=MARKS[place % 8],
            markersize=4, linewidth=1.3, label=drawable(layer),
        )  # fmt: skip
    grid[-1].set(
        ylim=(min(0.0, float(np.nanmin(likeness))), 1.03), title="correlation with the final units"
    )
    grid[-1].legend(loc="lower right", fontsize=SMALL)
    for axes in grid:
        plain(axes)
        axes.title.set_fontsize(LABEL)
        axes.set_xticks(
            range(len(labels)), [drawable(label) for label in labels], rotation=35, ha="right",
            rotation_mode="anchor", fontsize=SMALL,
        )  # fmt: skip
    return figure


def shares(heads: np.ndarray, mlps: np.ndarray, *, width: float, dark: bool = False) -> Figure:
    """Shares of a logit: heads (layers, heads) as a heatmap, MLPs (layers,) as bars beside it."""
    layers, count = heads.shape
    figure = new_figure(width, max(230, 12 * layers + 80))
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    most = float(np.abs(heads).max()) or 1.0
    drawn = left.imshow(
        heads, cmap=SHARES, vmin=-most, vmax=most, aspect="auto", interpolation="nearest"
    )
    left.grid(False)
    left.set(xlabel="head", ylabel="layer", title="heads")
    left.set_xticks(range(0, count, -(-count // 16)))
    left.spines[:].set_visible(True)
    bar = figure.colorbar(drawn, ax=left, fraction=0.05, pad=0.02)
    bar.outline.set_edgecolor(RULE)
    bar.ax.tick_params(labelsize=SMALL)
    colours = [BLUE if share >= 0 else ORANGE for share in mlps]
    right.barh(np.arange(layers), mlps, color=colours, height=0.75)
    right.axvline(0, color=QUIET, linewidth=0.8)
    right.set(ylim=(layers - 0.5, -0.5), title="MLPs", xlabel="share of the logit")
    for axes in (left, right):
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=16))
        axes.title.set_fontsize(LABEL)
        plain(axes)
    return figure
