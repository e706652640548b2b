"""Maps over the patches of a picture, as sprites: one dot a patch, to be laid over the picture by the page.

A dot's colour and opacity follow its weight, so that one small file serves a sheet of all heads, the large
map of each, and every size in between.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from generator.figures.overlay import HEAT
from generator.figures.style import Picture, as_webp

LEVELS = 64
COVER = 0.85
# A weight this many times an even spread is drawn in full, or the largest of the map if that is more: a
# head that spreads its weight evenly must look even, not like noise.
STANDS_OUT = 4


def patch_sprite(name: str, maps: np.ndarray, tokens: int) -> list[Picture]:
    """Maps (down, across, rows, columns) of weights over patches, side by side without gaps.

    `tokens` is the number of keys that the weights are shared among.
    """
    down, across, rows, columns = maps.shape
    levels = np.rint(shares(maps, tokens) * (LEVELS - 1)).astype(int)
    dots = colours()[levels].transpose(0, 2, 1, 3, 4).reshape(down * rows, across * columns, 4)
    return [as_webp(name, Image.fromarray(np.ascontiguousarray(dots), mode="RGBA"))]


def shares(maps: np.ndarray, tokens: int) -> np.ndarray:
    """How strongly each weight is drawn, 0 to 1, each map (..., rows, columns) by its own scale."""
    return np.asarray(maps / full_scale(maps, tokens)[..., None, None])


def full_scale(maps: np.ndarray, tokens: int) -> np.ndarray:
    """The weight that is drawn in full in each map (..., rows, columns)."""
    return np.maximum(maps.max((-1, -2)), STANDS_OUT / tokens)


def colours() -> np.ndarray:
    """Colours of the levels, uint8 (LEVELS, 4), with opacity: what is weak lets the picture through."""
    share = np.linspace(0, 1, LEVELS)
    colours = HEAT(0.35 + 0.65 * share)
    colours[:, 3] = np.minimum(1.6 * share, 1) * COVER
    return np.asarray((colours * 255).round().astype(np.uint8))
