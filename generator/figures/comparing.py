"""Two models side by side, drawn: layers held against each other, and courses over layers and matrices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from generator.figures.heads import COLOURS, MARKS
from generator.figures.layout import PERCENT, SMALL, plain
from generator.figures.style import BLUE, ORANGE, QUIET, WEIGHTS, drawable, new_figure


def alignment(
    every: np.ndarray,
    curves: np.ndarray,
    names: tuple[str, str],
    *,
    width: float,
) -> Figure:
    """CKA (layers before, layers after) as a map; and of layers of one name with its controls, as curves.

    `curves` is (6, layers): on all inputs, on either half, shuffled, and of either model's random twin.
    """
    beside = curves.shape[1] > 1
    figure = new_figure(width if beside else width / 2, 90 + 0.36 * width)
    grid = figure.subplots(1, 2 if beside else 1, squeeze=False)[0]
    drawn = grid[0].imshow(
        every, cmap=WEIGHTS, vmin=0, vmax=1, origin="lower", aspect="auto", interpolation="nearest"
    )
    grid[0].grid(False)
    grid[0].set(
        title="every layer with every other", ylabel=_said(names[0]), xlabel=_said(names[1])
    )
    bar = figure.colorbar(drawn, ax=grid[0], fraction=0.05, pad=0.02)
    bar.ax.tick_params(labelsize=SMALL)
    if beside:
        _curves(grid[1], curves)
    plain(*grid)
    for axes in grid:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    grid[0].yaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    return figure


def _said(name: str) -> str:
    return f"layers of {drawable(name)}"


def _curves(axes: Axes, curves: np.ndarray) -> None:
    at = np.arange(curves.shape[1])
    same, first, second, shuffled, *twins = curves
    axes.fill_between(
        at, np.minimum(first, second), np.maximum(first, second), color=BLUE, alpha=0.2
    )
    axes.plot(at, same, color=BLUE, marker="o", markersize=3, linewidth=1.4, label="the two models")
    axes.plot(at, shuffled, color=QUIET, linewidth=1.1, linestyle=":", label="inputs shuffled")
    for twin, style in zip(twins, ("--", "-."), strict=True):
        label = "random weights" if style == "--" else None
        axes.plot(at, twin, color=ORANGE, linewidth=1.1, linestyle=style, label=label)
    axes.set(ylim=(0, 1.03), title="layers of one name", xlabel="layer")
    axes.legend(loc="best", fontsize=SMALL)


_LONGEST = 24  # letters of a layer's name, whose end says most


def unit_courses(
    layers: Sequence[str],
    titles: Sequence[str],
    values: np.ndarray,
    random: np.ndarray,
    *,
    width: float,
) -> Figure:
    """A panel for each title: medians over the units of each layer, and of random pairs below.

    `values` and `random` are (titles, layers), from 0 to 1, or below where a correlation is.
    """
    figure = new_figure(width, 170 + 0.14 * width)
    grid = figure.subplots(1, len(titles), squeeze=False)[0]
    at = np.arange(len(layers))
    for axes, title, own, chance in zip(grid, titles, values, random, strict=True):
        axes.plot(at, own, color=BLUE, marker="o", markersize=4, linewidth=1.4, label="each unit")
        axes.plot(
            at, chance, color=QUIET, marker="D", markersize=3, linewidth=1.1, linestyle=":",
            label="a random pair",
        )  # fmt: skip
        known = np.concatenate([own, chance])
        low = float(np.nanmin(known)) if np.isfinite(known).any() else 0.0
        axes.set(ylim=(min(0.0, 1.1 * low) - 0.02, 1.03), title=title)
        _named(axes, layers, width / len(titles))
    grid[0].legend(loc="best", fontsize=SMALL)
    plain(*grid)
    return figure


def _named(axes: Axes, layers: Sequence[str], width: float) -> None:
    """Names of as many layers as have room; numbers alone stand upright."""
    step = -(-len(layers) // max(3, int(width // 30)))
    names = [name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}" for name in layers]
    numbers = all(name.isdecimal() for name in layers)
    axes.set_xticks(
        range(0, len(layers), step), [drawable(name) for name in names[::step]],
        rotation=0 if numbers else 40, ha="center" if numbers else "right",
        rotation_mode="anchor", fontsize=SMALL,
    )  # fmt: skip
    if numbers:
        axes.set_xlabel("layer")


def weight_courses(
    kinds: Sequence[str],
    relative: np.ndarray,
    rank: np.ndarray,
    full: np.ndarray,
    *,
    width: float,
) -> Figure:
    """Every weight matrix from first to last: how far it moved, and the rank of what changed below the full.

    `kinds` (matrices,) tell what stands in each block from each other; the most frequent have a colour and
    a mark of their own. Where few matrices have a kind in common, each is named.
    """
    common = Counter(kinds)
    shown = [kind for kind, count in common.most_common(len(COLOURS)) if count > 1]
    figure = new_figure(width, 200 + 0.17 * width)
    grid = figure.subplots(1, 2)
    at, named = np.arange(len(kinds)), np.array(list(kinds), dtype=object)
    grid[1].plot(at, full, "_", color=QUIET, markersize=7, alpha=0.8, label="full rank")
    for number, kind in enumerate(shown):
        _points(grid, named == kind, (at, relative, rank), number, drawable(kind))
    rest = ~np.isin(named, shown) if shown else np.ones(len(kinds), dtype=bool)
    if rest.any():
        _points(grid, rest, (at, relative, rank), None if shown else 0, "others" if shown else "")
    top = float(relative[np.isfinite(relative)].max(initial=0))
    grid[0].set(title="moved, as a share of the norm", ylim=(0, 1.08 * top or 1))
    grid[0].yaxis.set_major_formatter(PERCENT)
    grid[1].set(title="rank of the change", yscale="symlog", ylim=(0, 1.6 * float(full.max())))
    grid[1].yaxis.set_major_formatter(ScalarFormatter())
    plain(*grid)
    for axes in grid:
        if shown:
            axes.set_xlabel("weight matrices, first to last")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        else:
            _named(axes, kinds, width / 2)
    figure.legend(
        *grid[1].get_legend_handles_labels(), loc="outside lower left",
        ncols=max(1, int(width // 170)), fontsize=SMALL,
    )  # fmt: skip
    return figure


def _points(
    grid: Sequence[Axes],
    chosen: np.ndarray,
    values: tuple[np.ndarray, np.ndarray, np.ndarray],
    number: int | None,
    label: str,
) -> None:
    at, *both = values
    colour = QUIET if number is None else COLOURS[number]
    mark = "." if number is None else MARKS[number % len(MARKS)]
    for axes, one in zip(grid, both, strict=True):
        axes.plot(
            at[chosen], one[chosen], mark, color=colour, markersize=4, alpha=0.8,
            label=label or None,
        )  # fmt: skip
