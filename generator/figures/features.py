"""The strip of a dream."""

from __future__ import annotations

import numpy as np
from PIL import Image

from generator.figures.mosaic import tiled, with_alpha
from generator.figures.style import Picture, as_photograph

QUALITY = 82
GAP = 4


def dream_strip(frames: np.ndarray, columns: int = 6, width: int = 320) -> list[Picture]:
    """Frames (count, height, w, 3) of a dream from left to right, each at most `width` pixels wide."""
    height = round(frames.shape[1] * min(1.0, width / frames.shape[2]))
    size = (min(width, frames.shape[2]), height)
    tiles = [Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS) for frame in frames]
    sheet = tiled(
        with_alpha(np.stack([np.asarray(tile) for tile in tiles])), min(columns, len(tiles)), GAP
    )
    return [as_photograph(sheet, QUALITY)]
