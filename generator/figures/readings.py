"""Other readings of attention: weighted by what is moved, without sinks, and followed through layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import ImageDraw

from generator.figures.attention import LEVELS, NORM, cell_palette, short
from generator.figures.face import letters
from generator.figures.style import (
    INK,
    WEIGHTS,
    Picture,
    as_svg,
    as_webp,
    indexed,
    new_figure,
    styled,
)

_TILE, _GAP, _SIZE = 96, 8, 12
_LONGEST = 60  # tokens that get a name in the rollout


def head_readings(
    names: Sequence[str], heads: Sequence[str], maps: np.ndarray, causal: bool
) -> list[Picture]:
    """A row for each reading, a column for each head; `maps` is (readings, heads, queries, keys).

    Values are from 0 to 1; the colour is their square root.
    """
    levels = np.rint(NORM(maps).filled(0) * (LEVELS - 1)).astype(np.uint8)
    if causal:
        levels[..., ~np.tri(maps.shape[-1], dtype=bool)] = LEVELS
    zoom = max(1, _TILE // maps.shape[-1])
    tile = maps.shape[-1] * zoom
    font = letters(_SIZE)
    left = 10 + max(round(font.getlength(name)) for name in names)
    top = _SIZE + 8
    shape = (top + len(names) * (tile + _GAP), left + len(heads) * (tile + _GAP))
    canvas = np.full(shape, LEVELS + 1, dtype=np.uint8)
    for row, column in np.ndindex(len(names), len(heads)):
        cells = np.kron(levels[row, column], np.ones((zoom, zoom), dtype=np.uint8))
        y, x = top + row * (tile + _GAP), left + column * (tile + _GAP)
        canvas[y : y + tile, x : x + tile] = cells
    image = indexed(canvas, cell_palette(), clear=LEVELS + 1).convert("RGBA")
    draw = ImageDraw.Draw(image)
    for row, name in enumerate(names):
        draw.text((0, top + row * (tile + _GAP) + tile // 2 - _SIZE), name, INK, font)
    for column, head in enumerate(heads):
        draw.text((left + column * (tile + _GAP), 0), head, INK, font)
    return [as_webp(image)]


def rollout_maps(tokens: Sequence[str], layers: Sequence[int], maps: np.ndarray) -> list[Picture]:
    """Rollout behind a few layers; `maps` is (layers, positions, inputs), rows sum to 1.

    The colour is the square root of the share, on one scale for all layers.
    """
    with styled():
        count, length = len(layers), len(tokens)
        named = length <= _LONGEST
        side = float(np.clip(12 * length, 180, 300))
        figure = new_figure(count * side + 130, side + 110)
        row = figure.subplots(1, count, squeeze=False)[0]
        labels = [short(token) for token in tokens]
        for place, (axes, layer) in enumerate(zip(row, layers, strict=True)):
            axes.imshow(maps[place], cmap=WEIGHTS, norm=NORM, interpolation="nearest")
            axes.set_title(f"after layer {layer}", fontsize=10)
            axes.grid(False)
            axes.tick_params(length=0)
            font: Any = {"fontsize": 7.2, "color": INK}
            shown = range(length) if named else []
            names = [labels[i] for i in shown]
            axes.set_xticks(list(shown), names, rotation=90, **font)
            axes.set_yticks(list(shown), names if place == 0 else [""] * len(names), **font)
        return [as_svg(figure)]
