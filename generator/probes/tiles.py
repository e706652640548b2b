"""Signals of pixels as pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

TILE = 64


GREY = 128


CLIPPED, CURVE = 0.995, 0.8


def as_tile(signal: np.ndarray, box: tuple[int, int, int, int], side: int = TILE) -> np.ndarray:
    """The part of a signal (3, H, W) in a box, as a picture uint8 (side, side, 3) around mid grey.

    The strongest 0.5 % of the values are clipped and the rest lifted a little, so that neither a few pixels
    leave the others grey nor the weak ones fill the tile with noise.
    """
    left, top, width, height = box
    resized = [
        Image.fromarray(np.ascontiguousarray(channel)).resize(
            (side, side), Image.Resampling.BOX, box=(left, top, left + width, top + height)
        )
        for channel in signal.astype(np.float32)
    ]
    small = np.stack([np.asarray(each) for each in resized], axis=-1)
    size = np.abs(small)
    bound = float(np.quantile(size, CLIPPED)) or float(size.max()) or 1.0
    shade = np.sign(small) * np.minimum(size / bound, 1) ** CURVE
    return np.asarray((GREY + 127 * shade).round().astype(np.uint8))
