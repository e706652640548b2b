"""Figures of what heads do: a scatter of all heads, who wrote a logit, the course of a guess."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, MaxNLocator

from generator.figures.style import BLUE, ORANGE, QUIET, RULE, Picture, as_svg, new_figure, styled

_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")
_MARKS = "osD^vPX*"  # roles differ in shape too: colour alone tells some readers nothing
_COLOURS = (BLUE, ORANGE, "#2a7f4f", "#8a3ea8", "#a8323e", "#7a6a14", "#0f7d8c", "#5a4bd0")
# White in the middle: on the dark palette it turns to the ground as well.
SHARES: Colormap = LinearSegmentedColormap.from_list(
    "shares", ["#7a3400", ORANGE, "#f6d9bd", "#ffffff", "#c4dcf3", BLUE, "#0a3a70"]
)
_TEXTS = 9  # heads named in the scatter


def head_scatter(
    names: Sequence[str],
    x: np.ndarray,
    y: np.ndarray,
    roles: Sequence[Sequence[str]],
    order: Sequence[str],
    letter: str = "L",
) -> list[Picture]:
    """All heads over two statistics `names`; `x`, `y` are (layers, heads), `roles` alike.

    `letter` stands for the layer in a head's name. `order` lists the roles; a head whose role is not
    in it is drawn grey. The outermost are named.
    """
    with styled():
        figure = new_figure(760, 470)
        axes = figure.subplots()
        role = np.array([list(row) for row in roles])
        rest = ~np.isin(role, list(order))
        axes.scatter(x[rest], y[rest], s=16, color=QUIET, alpha=0.45, linewidths=0)
        for place, name in enumerate(order):
            chosen = role == name
            if chosen.any():
                colour, mark = _COLOURS[place % 8], _MARKS[place % 8]
                label = f"{name} ({int(chosen.sum())})"
                axes.scatter(
                    x[chosen], y[chosen], s=30, color=colour, marker=mark, label=label, linewidths=0
                )
        axes.scatter([], [], s=16, color=QUIET, alpha=0.45, label=f"unlabelled ({int(rest.sum())})")
        axes.set(xlabel=names[0], ylabel=names[1])
        axes.margins(x=0.06, y=0.08)
        _name_outermost(axes, x, y, letter)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9.4)
        return [as_svg(figure)]


def _name_outermost(axes: Axes, x: np.ndarray, y: np.ndarray, letter: str) -> None:
    """Names beside the heads that stand furthest out, where they do not cover each other."""
    spread = [(one - one.min()) / (np.ptp(one) or 1) for one in (x, y)]
    taken: list[tuple[float, float]] = []
    for place in np.argsort(-np.maximum(*spread).round(6), axis=None, kind="stable"):
        layer, head = (int(i) for i in np.unravel_index(place, x.shape))
        at = float(spread[0][layer, head]), float(spread[1][layer, head])
        if all(abs(at[0] - a) > 0.09 or abs(at[1] - b) > 0.05 for a, b in taken):
            axes.annotate(
                f"{letter}{layer}H{head}", (x[layer, head], y[layer, head]), (4, 4),
                textcoords="offset points", fontsize=8.2,
            )  # fmt: skip
            taken.append(at)
        if len(taken) == _TEXTS:
            return


def logit_shares(heads: np.ndarray, mlps: np.ndarray) -> list[Picture]:
    """Shares of a logit: heads (layers, heads) as a heatmap, MLPs (layers) as bars beside it."""
    with styled():
        layers, count = heads.shape
        figure = new_figure(900, max(240, 14 * layers + 90))
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        most = float(np.abs(heads).max()) or 1.0
        # Blue for, orange against, as in the bars.
        drawn = left.imshow(
            heads, cmap=SHARES, vmin=-most, vmax=most, aspect="auto", interpolation="nearest"
        )
        left.grid(False)
        left.set(xlabel="head", ylabel="layer", title="heads")
        left.set_xticks(range(count))
        left.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=16))
        left.spines[:].set_visible(True)
        figure.colorbar(drawn, ax=left, fraction=0.05, pad=0.02).outline.set_edgecolor(RULE)
        colours = [BLUE if share >= 0 else ORANGE for share in mlps]
        right.barh(np.arange(layers), mlps, color=colours, height=0.75)
        right.axvline(0, color=QUIET, linewidth=0.8)
        right.set(ylim=(layers - 0.5, -0.5), title="MLPs", xlabel="share of the logit")
        right.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=16))
        return [as_svg(figure)]


def lens_course(probability: np.ndarray, divergence: np.ndarray) -> list[Picture]:
    """Probability of the final answer, and distance from the final guesses, row by row of the lens."""
    with styled():
        figure = new_figure(900, 250)
        left, right = figure.subplots(1, 2)
        place = np.arange(len(probability)) - 1  # row 0 stands before block 0
        left.plot(place, probability, "-o", color=BLUE, markersize=3.4, linewidth=1.2)
        left.set(ylim=(0, 1), title="probability of the final answer", xlabel="after layer")
        left.yaxis.set_major_formatter(_PERCENT)
        right.plot(place, divergence, "-D", color=ORANGE, markersize=3.2, linewidth=1.2)
        right.set(title="distance from the final guesses, nats", xlabel="after layer")
        right.set_ylim(0, None)
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
        return [as_svg(figure)]
