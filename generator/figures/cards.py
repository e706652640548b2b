"""The picture on a model's card in the gallery."""

from __future__ import annotations

import numpy as np
from PIL import Image

from generator.figures.attention import LEVELS, weight_levels
from generator.figures.style import WEIGHTS, Picture, as_webp, indexed, palette_of

WIDTH, HEIGHT, GAP = 520, 300, 4


def head_card(weights: np.ndarray) -> list[Picture]:
    """Every head of a model on one text, (layers, heads, queries, keys), first layer first, row by row."""
    levels = np.minimum(weight_levels(weights, causal=False), LEVELS - 1)
    tiles = levels.reshape(-1, *levels.shape[2:])
    count = len(tiles)
    columns = max(range(1, count + 1), key=lambda c: (_zoom(count, c, 1, 1), -c))
    side = max(2, _zoom(count, columns, 1, 1))
    rows, pitch = -(-count // columns), side + GAP
    down, across = (np.linspace(0, n - 1, side).round().astype(int) for n in tiles.shape[1:])
    canvas = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    top, left = (HEIGHT - rows * pitch + GAP) // 2, (WIDTH - columns * pitch + GAP) // 2
    for number, tile in enumerate(tiles):
        y, x = divmod(number, columns)
        place = canvas[max(0, top + y * pitch) :, max(0, left + x * pitch) :][:side, :side]
        place[:] = tile[np.ix_(down, across)][: place.shape[0], : place.shape[1]]
    return [as_webp(indexed(canvas, palette_of(WEIGHTS, LEVELS)))]


def filter_card(filters: np.ndarray) -> list[Picture]:
    """The first layer's filters (filters, h, w, 3) as colours, enlarged to fill the card."""
    peak = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    tiles = ((0.5 + 0.5 * filters / np.where(peak > 0, peak, 1)) * 255).round().astype(np.uint8)
    count, height, width, _ = tiles.shape
    columns = max(range(1, count + 1), key=lambda c: _zoom(count, c, height, width))
    zoom = max(1, _zoom(count, columns, height, width))
    rows, high, wide = -(-count // columns), height * zoom + GAP, width * zoom + GAP
    canvas = Image.new("RGBA", (WIDTH, HEIGHT))  # the ground is the page's, light or dark
    top, left = (HEIGHT - rows * high + GAP) // 2, (WIDTH - columns * wide + GAP) // 2
    for number, tile in enumerate(tiles):
        y, x = divmod(number, columns)
        enlarged = Image.fromarray(tile).resize(
            (width * zoom, height * zoom), Image.Resampling.NEAREST
        )
        canvas.paste(enlarged, (left + x * wide, top + y * high))
    return [as_webp(canvas)]


def _zoom(count: int, columns: int, height: int, width: int) -> int:
    """How far filters can be enlarged if they stand in so many columns."""
    rows = -(-count // columns)
    return min(
        (WIDTH - GAP * columns) // (columns * width), (HEIGHT - GAP * rows) // (rows * height)
    )
