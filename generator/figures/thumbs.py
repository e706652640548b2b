"""Thumbnails: drawn pictures made small."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from generator.figures.style import Picture, as_photograph

WIDTH, HEIGHT = 176, 128


def thumbnail(picture: np.ndarray) -> list[Picture]:
    """A picture small, given encoded, its bytes as uint8 of shape (n,).

    It fills WIDTH x HEIGHT CSS pixels, drawn at twice that; what is too long is cut at its end.
    """
    with Image.open(io.BytesIO(picture.tobytes())) as opened:
        image = opened.convert("RGBA")
    wide, high = 2 * WIDTH, 2 * HEIGHT
    scale = max(wide / image.width, high / image.height)
    way = Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS
    size = (max(wide, round(image.width * scale)), max(high, round(image.height * scale)))
    return [as_photograph(np.asarray(image.resize(size, way).crop((0, 0, wide, high))), 60, 2)]
