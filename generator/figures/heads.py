"""Charts of heads: all of them over two statistics or in a grid, who wrote a logit, the course of a guess."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from generator.figures.layout import PERCENT, SMALL, plain
from generator.figures.style import BLUE, ORANGE, QUIET, RULE, WEIGHTS, drawable, new_figure

MARKS = "osD^vPX*"  # groups differ in shape too: colour alone tells some readers nothing
COLOURS = (BLUE, ORANGE, "#2a7f4f", "#8a3ea8", "#a8323e", "#7a6a14", "#0f7d8c", "#5a4bd0")
# White in the middle: on the dark palette it turns to the ground as well.
SHARES: Colormap = LinearSegmentedColormap.from_list(
    "shares", ["#7a3400", ORANGE, "#f6d9bd", "#ffffff", "#c4dcf3", BLUE, "#0a3a70"]
)
_PANEL = 255  # CSS pixels that a map of a grid has at least
_KEY = 190  # and an entry of a legend


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
) -> Figure:
    """All heads over two statistics; `x`, `y` (layers, heads), `groups` flat, one name a head.

    `order` lists the groups that have a colour of their own. The `named` heads get their names, in
    which `letter` stands for the layer.
    """
    columns, group = max(1, int(width // _KEY)), np.array(list(groups)).reshape(x.shape)
    shown = [name for name in order if (group == name).any()]
    lines = -(-(len(shown) + 1) // columns) if shown else 0
    figure = new_figure(width, width * 0.58 + 20 * lines)
    axes = figure.subplots()
    for name in shown:
        chosen, place = group == name, order.index(name) % len(MARKS)
        axes.scatter(
            x[chosen], y[chosen], s=32, color=COLOURS[place], marker=MARKS[place], linewidths=0,
            label=f"{drawable(name)} ({int(chosen.sum())})",
        )  # fmt: skip
    rest = ~np.isin(group, shown) & np.isfinite(x) & np.isfinite(y)
    axes.scatter(
        x[rest], y[rest], s=15, color=QUIET, alpha=0.45, linewidths=0, zorder=0.9,
        label=f"unlabelled ({int(rest.sum())})",
    )  # fmt: skip
    axes.set(xlabel=labels[0], ylabel=labels[1])
    axes.margins(x=0.06, y=0.08)
    for layer, head in named:
        axes.annotate(
            f"{letter}{layer}H{head}", (x[layer, head], y[layer, head]), (5, 4),
            textcoords="offset points", fontsize=SMALL,
        )  # fmt: skip
    plain(axes)
    if shown:
        figure.legend(loc="outside lower left", ncols=columns, fontsize=SMALL, borderpad=0)
    return figure


def head_grid(
    titles: Sequence[str],
    values: np.ndarray,
    named: Sequence[tuple[int, int]] = (),
    *,
    letter: str = "L",
    width: float,
) -> Figure:
    """A heatmap (layers, heads) for each statistic; `values` is (statistics, layers, heads).

    Each has its own scale beside it. The `named` heads are marked.
    """
    count, layers, heads = values.shape
    columns = min(count, max(1, int(width // _PANEL)))
    rows = -(-count // columns)
    wide = columns * (float(np.clip((width / columns - 110) / heads, 8, 34)) * heads + 110)
    high = rows * (layers * float(np.clip(320 / layers, 9, 26)) + 66)
    figure = new_figure(min(width, max(wide, 240)), high)
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for number, axes in enumerate(grid):
        axes.set_visible(number < count)
        if number < count:
            low, most = min(0.0, float(np.nanmin(values[number]))), float(np.nanmax(values[number]))
            _beside(axes, _heatmap(axes, values[number], WEIGHTS, low, most or 1.0))
            axes.set_title(titles[number])
            axes.set_ylabel("layer" if number % columns == 0 else "")
            axes.set_xlabel("head" if number + columns >= count else "")
            plain(axes)
            _mark(axes, named, letter, heads)
    return figure


def _heatmap(
    axes: Axes, values: np.ndarray, colours: Colormap, low: float, most: float
) -> AxesImage:
    drawn = axes.imshow(
        values, cmap=colours, vmin=low, vmax=most, aspect="auto", interpolation="nearest"
    )
    axes.grid(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    axes.spines[:].set_visible(True)
    return drawn


def _beside(axes: Axes, drawn: AxesImage) -> None:
    """The scale of a heatmap."""
    bar = axes.figure.colorbar(drawn, ax=axes, fraction=0.06, pad=0.03)
    bar.outline.set_edgecolor(RULE)
    bar.ax.tick_params(labelsize=SMALL)
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=5))


def _mark(axes: Axes, named: Sequence[tuple[int, int]], letter: str, heads: int) -> None:
    """The names of heads beside their cells, on the side where there is room."""
    for layer, head in named:
        right = head < heads / 2
        axes.annotate(
            f"{letter}{layer}H{head}", (head, layer), (9 if right else -9, 0),
            textcoords="offset points", fontsize=SMALL, ha="left" if right else "right", va="center",
            bbox={"boxstyle": "round,pad=0.15", "fc": "#ffffff", "ec": RULE, "lw": 0.5},
        )  # fmt: skip


def shares(heads: np.ndarray, mlps: np.ndarray, *, width: float) -> Figure:
    """Shares of a logit: heads (layers, heads) as a heatmap, MLPs (layers,) as bars beside it if any."""
    layers = len(heads)
    figure = new_figure(width if len(mlps) else 0.6 * width, max(230, 13 * layers + 85))
    left, *beside = figure.subplots(
        1, 2 if len(mlps) else 1, squeeze=False, width_ratios=(3, 2) if len(mlps) else None
    )[0]
    most = float(np.abs(heads).max()) or 1.0
    # Blue for, orange against, as in the bars.
    _beside(left, _heatmap(left, heads, SHARES, -most, most))
    left.set(xlabel="head", ylabel="layer", title="heads")
    if not beside:
        plain(left)
        return figure
    (right,) = beside
    colours = [BLUE if share >= 0 else ORANGE for share in mlps]
    right.barh(np.arange(layers), mlps, color=colours, height=0.75)
    right.axvline(0, color=QUIET, linewidth=0.8)
    right.set(ylim=(layers - 0.5, -0.5), title="MLPs", xlabel="share of the logit")
    right.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    plain(left, right)
    return figure


def lens_course(probability: np.ndarray, divergence: np.ndarray, *, width: float) -> Figure:
    """Probability of the final answer, and distance from the final guesses, row by row of the lens."""
    figure = new_figure(width, max(220, width * 0.25))
    left, right = figure.subplots(1, 2)
    place = np.arange(len(probability)) - 1  # row 0 stands before block 0
    left.plot(place, probability, "-o", color=BLUE, markersize=3.4, linewidth=1.2)
    left.set(ylim=(0, 1), title="probability of the final answer", xlabel="after layer")
    left.yaxis.set_major_formatter(PERCENT)
    right.plot(place, divergence, "-D", color=ORANGE, markersize=3.2, linewidth=1.2)
    right.set(title="distance from the final guesses, nats", xlabel="after layer")
    right.set_ylim(0, None)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    plain(left, right)
    return figure
