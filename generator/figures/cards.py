"""The picture on a model's card in the gallery."""

from __future__ import annotations

import numpy as np
from PIL import Image

from generator.figures.attention import LEVELS, weight_levels
from generator.figures.mosaic import enlarged, filter_colours, tiled, with_alpha
from generator.figures.style import WEIGHTS, Picture, as_webp, indexed, palette_of

WIDTH, HEIGHT, GAP = 520, 300, 4


def head_card(weights: np.ndarray) -> list[Picture]:
    """Every head of a model on one text, (layers, heads, queries, keys), first layer first, row by row."""
    levels = np.minimum(weight_levels(weights, causal=False), LEVELS - 1)
    tiles = levels.reshape(-1, *levels.shape[2:])
    count = len(tiles)
    columns = max(range(1, count + 1), key=lambda c: (_zoom(count, c, 1, 1), -c))
    side = max(2, _zoom(count, columns, 1, 1))
    down, across = (np.linspace(0, n - 1, side).round().astype(int) for n in tiles.shape[1:])
    sheet = tiled(tiles[:, down][:, :, across], columns, GAP)
    return [as_webp(indexed(_centred(sheet), palette_of(WEIGHTS, LEVELS)))]


def filter_card(filters: np.ndarray) -> list[Picture]:
    """The first layer's filters (filters, h, w, 3) as colours, enlarged to fill the card."""
    tiles = with_alpha(filter_colours(filters))  # the ground is the page's, light or dark
    count, height, width, _ = tiles.shape
    columns = max(range(1, count + 1), key=lambda c: _zoom(count, c, height, width))
    zoom = max(1, _zoom(count, columns, height, width))
    return [as_webp(Image.fromarray(_centred(tiled(enlarged(tiles, zoom), columns, GAP))))]


def _centred(sheet: np.ndarray) -> np.ndarray:
    """A sheet in the middle of the card; what is too large for it is cut off."""
    card = np.zeros((HEIGHT, WIDTH, *sheet.shape[2:]), dtype=np.uint8)
    top, left = max(0, HEIGHT - sheet.shape[0]) // 2, max(0, WIDTH - sheet.shape[1]) // 2
    part = card[top:, left:][: sheet.shape[0], : sheet.shape[1]]
    part[:] = sheet[: part.shape[0], : part.shape[1]]
    return card


def _zoom(count: int, columns: int, height: int, width: int) -> int:
    """How far filters can be enlarged if they stand in so many columns."""
    rows = -(-count // columns)
    return min(
        (WIDTH - GAP * columns) // (columns * width), (HEIGHT - GAP * rows) // (rows * height)
    )
