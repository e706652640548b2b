"""Feature visualisations: a picture for each, and the strip of a dream."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from generator.figures.style import Picture

QUALITY = 82
GAP = 4


def feature_pictures(pictures: Sequence[np.ndarray]) -> list[Picture]:
    """One WebP each; a picture is (side, side, 3), or 4 with alpha, uint8."""
    return [_encoded(Image.fromarray(picture)) for picture in pictures]


def dream_strip(frames: np.ndarray, columns: int = 6, width: int = 320) -> list[Picture]:
    """Frames (count, height, w, 3) of a dream from left to right, each at most `width` pixels wide."""
    height = round(frames.shape[1] * min(1.0, width / frames.shape[2]))
    size = (min(width, frames.shape[2]), height)
    tiles = [Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS) for frame in frames]
    return [_encoded(_tiled(tiles, columns))]


def _tiled(tiles: Sequence[Image.Image], columns: int) -> Image.Image:
    columns = max(1, min(columns, len(tiles)))
    rows = -(-len(tiles) // columns)
    width, height = tiles[0].size if tiles else (1, 1)
    shape = (max(1, columns * (width + GAP) - GAP), max(1, rows * (height + GAP) - GAP))
    sheet = Image.new("RGBA", shape, (0, 0, 0, 0))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(tile, (column * (width + GAP), row * (height + GAP)))
    return sheet


def _encoded(image: Image.Image) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=QUALITY, method=4)
    return Picture(buffer.getvalue(), image.width, image.height)
