"""Maps over the patches of a picture, as sprites: one dot a patch, to be laid over the picture by the page.

A dot's colour and opacity follow its weight, so that one small file serves a sheet of all heads, the large
map of each, and every size in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from generator.figures.overlay import HEAT
from generator.figures.style import Picture, as_webp

LEVELS = 64
COVER = 0.85
# A weight this many times an even spread is drawn in full, or the largest of the map if that is more: a
# head that spreads its weight evenly must look even, not like noise.
STANDS_OUT = 4
_PREVIEW = 224  # px
_SHARP = 448  # px that a picture has at least, so that the edges of its patches are edges


@dataclass(frozen=True)
class Cut:
    """How a picture is cut: the edges of its patches in pixels, downwards and to the right."""

    down: tuple[int, ...]
    across: tuple[int, ...]


def patch_sprite(maps: np.ndarray, tokens: int) -> list[Picture]:
    """Maps (down, across, rows, columns) of weights over patches, side by side without gaps.

    `tokens` is the number of keys that the weights are shared among.
    """
    down, across, rows, columns = maps.shape
    levels = np.rint(shares(maps, tokens) * (LEVELS - 1)).astype(int)
    dots = colours()[levels].transpose(0, 2, 1, 3, 4).reshape(down * rows, across * columns, 4)
    return [as_webp(Image.fromarray(np.ascontiguousarray(dots), mode="RGBA"))]


def patch_preview(picture: np.ndarray, weights: np.ndarray, cut: Cut, tokens: int) -> list[Picture]:
    """One map (rows, columns) over its picture (h, w, 3) uint8, as a picture by itself."""
    laid = Image.fromarray(laid_over(picture, weights, cut, tokens))
    return [as_webp(laid.resize((_PREVIEW, _PREVIEW), Image.Resampling.LANCZOS))]


def laid_over(
    picture: np.ndarray,
    weights: np.ndarray,
    cut: Cut,
    tokens: int,
    marked: tuple[int, int] | None = None,
) -> np.ndarray:
    """Weights (rows, columns) as colours over a grey picture (h, w, 3) uint8, enlarged to whole multiples.

    The patch that is `marked` gets a frame.
    """
    zoom = -(-_SHARP // picture.shape[0])
    size = picture.shape[1] * zoom, picture.shape[0] * zoom
    grey = np.asarray(Image.fromarray(picture).convert("L").resize(size, Image.Resampling.BICUBIC))
    canvas = np.repeat(grey[..., None], 3, axis=-1).astype(np.float64)
    levels = np.rint(shares(weights, tokens) * (LEVELS - 1)).astype(int)
    sides = _sizes(cut.down, zoom), _sizes(cut.across, zoom)
    dots = colours()[np.repeat(np.repeat(levels, sides[0], axis=0), sides[1], axis=1)]
    part = canvas[: dots.shape[0], : dots.shape[1]]
    cover = dots[..., 3:] / 255
    part[:] = (1 - cover) * part + cover * dots[..., :3]
    if marked is not None:
        _frame(canvas, cut, marked, zoom)
    return np.asarray(canvas.round().clip(0, 255).astype(np.uint8))


def _sizes(edges: Sequence[int], zoom: int) -> np.ndarray:
    return np.diff(np.array(edges)) * zoom


def _frame(canvas: np.ndarray, cut: Cut, marked: tuple[int, int], zoom: int) -> None:
    """A white frame with a black edge around a patch, drawn inwards."""
    row, column = marked
    top, bottom = cut.down[row] * zoom, cut.down[row + 1] * zoom
    left, right = cut.across[column] * zoom, cut.across[column + 1] * zoom
    inside = canvas[top:bottom, left:right]
    kept = inside[5:-5, 5:-5].copy()
    inside[:], inside[2:-2, 2:-2] = 0, 255
    inside[5:-5, 5:-5] = kept


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
