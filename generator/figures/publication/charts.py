"""Charts of heads and layers: scatters, grids and courses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

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
    width: float,
    dark: bool = False,
) -> Figure:
    """All heads over two statistics; `x`, `y` (layers, heads), `groups` flat, one name a head.

    `order` lists the groups that have a colour of their own. The `named` heads get their names.
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
            f"L{layer}H{head}", (x[layer, head], y[layer, head]), (5, 4),
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
        axes.annotate(
            f"L{layer}H{head}", (head, layer), (9, 0), textcoords="offset points", fontsize=SMALL,
            va="center", bbox={"boxstyle": "round,pad=0.15", "fc": "#ffffff", "ec": RULE, "lw": 0.5},
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
