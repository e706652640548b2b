"""Figures made of words: steps of one token through a head, guesses by layer, what a head writes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from generator.figures.attention import short
from generator.figures.layout import (
    LABEL,
    SMALL,
    axes_at,
    canvas,
    fitted,
    heights,
    length,
    plain,
    plane,
    write,
)
from generator.figures.style import BLUE, INK, ORANGE, QUIET, RULE, WEIGHTS, drawable

_MOST = 24  # keys that are drawn


def context(
    tokens: Sequence[str],
    scores: np.ndarray,
    weights: np.ndarray,
    shares: np.ndarray,
    looks: str,
    *,
    width: float,
) -> Figure:
    """Bars for each key of the token `looks`: its score, its weight, weight times length of the value."""
    kept = np.sort(np.argsort(-weights, kind="stable")[:_MOST])
    names = [short(tokens[place]) for place in kept]
    left = max(length(name, SMALL) for name in names) + 12
    step, top = 17.0, 46.0
    gap = 26.0
    side = (width - left - 2 * gap - 12) / 3
    figure = canvas(width, top + step * len(kept) + 30)
    write(figure, 0, 0, f"keys that ‘{short(looks)}’ sees", INK, LABEL, bold=True)
    columns = (
        ("score (q · k, scaled)", scores, QUIET),
        ("weight, after softmax", weights, BLUE),
        ("weight × length of value", shares, ORANGE),
    )
    for column, (title, values, colour) in enumerate(columns):
        place = left + column * (side + gap)
        write(figure, place, top - 22, fitted(title, side + gap - 6, SMALL), INK, SMALL)
        axes = axes_at(figure, place, top, side, step * len(kept))
        axes.barh(range(len(kept)), values[kept], color=colour, height=0.72)
        axes.set(ylim=(len(kept) - 0.5, -0.5))
        axes.set_yticks(range(len(kept)), names if column == 0 else [])
        axes.grid(axis="y", visible=False)
        axes.axvline(0, color=QUIET, linewidth=0.8)
        axes.locator_params(axis="x", nbins=4)
        axes.spines["left"].set_visible(False)
        plain(axes)
        axes.tick_params(axis="y", length=0)
    return figure


def arrows(
    names: Sequence[str],
    vectors: np.ndarray,
    moved: np.ndarray,
    called: str,
    *,
    width: float,
) -> Figure:
    """Vectors of two numbers as arrows, and where one of them has moved to."""
    side = min(width, 420.0)
    figure = canvas(side, side * 0.78)
    axes = axes_at(figure, 30, 8, side - 40, side * 0.78 - 34)
    every = [*vectors, moved]
    for place, (word, vector) in enumerate(zip([*names, called], every, strict=True)):
        new = place == len(names)
        axes.annotate(
            "", vector, (0, 0),
            arrowprops={"arrowstyle": "-|>", "color": ORANGE if new else BLUE, "lw": 2.2 if new else 1.5},
        )  # fmt: skip
        axes.annotate(
            drawable(word), vector, (5, 3), textcoords="offset points", fontsize=LABEL,
            fontweight="bold" if new else "normal", color=ORANGE if new else INK,
        )  # fmt: skip
    whole = np.concatenate([np.zeros((1, 2)), np.stack(every)])
    low, high = whole.min(0), whole.max(0)
    reach = (high - low).max()
    axes.set(
        xlim=(low[0] - 0.12 * reach, high[0] + 0.3 * reach),
        ylim=(low[1] - 0.12 * reach, high[1] + 0.22 * reach),
    )
    plain(axes)
    axes.locator_params(nbins=5)
    return figure


def lens(
    inputs: Sequence[str],
    layers: Sequence[str],
    guesses: Sequence[Sequence[str]],
    probability: np.ndarray,
    *,
    width: float,
) -> Figure:
    """A table of guesses: a row a layer, the last on top, a column a position; colour is probability."""
    left = max(length(layer, SMALL) for layer in layers) + 10
    cell, high, top = (width - left - 4) / len(inputs), 21.0, 40.0
    figure = canvas(width, top + high * len(layers) + 26)
    axes = axes_at(figure, left, top, width - left - 4, high * len(layers))
    axes.imshow(probability, cmap=WEIGHTS, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_axis_off()
    for (row, column), value in np.ndenumerate(probability):
        word = fitted(short(guesses[row][column]), cell - 5, SMALL)
        colour = "#ffffff" if value > 0.45 else INK
        axes.text(column, row, word, ha="center", va="center", fontsize=SMALL, color=colour)
    for row, layer in enumerate(layers):
        write(figure, 0, top + (row + 0.5) * high - SMALL * 0.8, layer, INK, SMALL)
    for column, token in enumerate(inputs):
        middle = left + (column + 0.5) * cell
        word = fitted(short(token), cell - 4, SMALL, bold=True)
        write(figure, middle, top - 18, word, INK, SMALL, align="center", bold=True)
    write(figure, left, 2, "after this token …", QUIET, SMALL)
    write(figure, 0, top + high * len(layers) + 8, "… the likeliest next token", QUIET, SMALL)
    return figure


def words(
    header: Sequence[str],
    rows: Sequence[tuple[str, Sequence[str], str]],
    *,
    width: float,
) -> Figure:
    """A table of words: one, those it leads to, and a number."""
    first = max([length(header[0], SMALL), *(length(short(row[0]), LABEL) for row in rows)]) + 18
    last = max(length(header[2], SMALL), 40.0) + 4
    high, top = 22.0, 26.0
    across = max(len(row[1]) for row in rows)
    cell = (width - first - last) / across
    figure = canvas(width, top + high * len(rows) + 4)
    rules = plane(figure)
    for place, text in zip((0.0, first, width - last), header, strict=True):
        write(figure, place, 2, text, QUIET, SMALL)
    for number, (word, found, value) in enumerate(rows):
        y = top + number * high
        rules.axhline(y - 1.5, color=RULE, linewidth=0.7)
        write(figure, 0, y + 3, short(word), INK, LABEL, bold=True)
        for place, one in enumerate(found):
            same = one.strip("␣").lower() == word.strip("␣").lower()
            text = fitted(short(one), cell - 8, LABEL, bold=same)
            write(
                figure, first + place * cell, y + 3, text, BLUE if same else INK, LABEL, bold=same
            )
        write(figure, width - heights(1, SMALL) * 0.2, y + 3, value, INK, LABEL, align="right")
    return figure
