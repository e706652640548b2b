"""Two models side by side, drawn."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from generator.figures.layout import SMALL, plain
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
