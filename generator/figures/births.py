"""Losses through a training, beside those of its control."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from generator.figures.layout import SMALL, plain
from generator.figures.style import BLUE, ORANGE, QUIET, new_figure

_COLOURS = (BLUE, ORANGE)


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
        colour = _COLOURS[place % len(_COLOURS)]
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
