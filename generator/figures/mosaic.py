"""Small multiples as light rasters: activation maps, filters and weight matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from generator.figures.style import (
    POSITIVE,
    SIGNED,
    Picture,
    as_photograph,
    as_webp,
    indexed,
    palette_of,
)

# An odd number, so that zero has a colour of its own; few, because every layer has a sheet a picture.
LEVELS = 11
WIDTH = 1180
GAP = 1
CONTACT = 48
CONTACT_COLUMNS = 24
FEW = 48  # tiles that are shown at twice the size
_LARGE = 9  # CSS pixels for a value, more than there are where there are many tiles


def tiled(tiles: np.ndarray, columns: int, gap: int = 0, ground: int = 0) -> np.ndarray:
    """Tiles (count, h, w) or (count, h, w, channels) in one raster, row by row, `gap` pixels apart."""
    high, wide = (size + gap for size in tiles.shape[1:3])
    shape = (-(-len(tiles) // columns) * high - gap, columns * wide - gap, *tiles.shape[3:])
    canvas = np.full(shape, ground, dtype=tiles.dtype)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        canvas[row * high :, column * wide :][: high - gap, : wide - gap] = tile
    return canvas


def enlarged(tiles: np.ndarray, zoom: int) -> np.ndarray:
    """Tiles (count, h, w, ...) with each pixel as a square."""
    return tiles.repeat(zoom, 1).repeat(zoom, 2)


def activation_sheets(maps: np.ndarray, signed: bool) -> list[Picture]:
    """One sheet a picture with the map of every channel; `maps` is (pictures, channels, h, w).

    Each channel is scaled by its own largest magnitude over all pictures, so a channel can be
    compared between pictures. Signed maps have their zero in the middle of the colours.
    """
    peak = np.abs(maps.astype(np.float32)).max(axis=(0, 2, 3), keepdims=True)
    scaled = maps / np.where(peak > 0, peak, 1)
    return [_sheet(channels, signed) for channels in scaled]


def kernel_sheet(kernels: np.ndarray) -> list[Picture]:
    """Spatial kernels (filters, h, w), each scaled by its own largest magnitude."""
    peak = np.abs(kernels).max(axis=(1, 2), keepdims=True)
    return [_sheet(kernels / np.where(peak > 0, peak, 1), True)]


def rgb_filters(filters: np.ndarray) -> list[Picture]:
    """Filters (filters, h, w, 3) over pixels as colours, grey where a weight is zero."""
    return [as_webp(Image.fromarray(filter_sheet(filters, 72, WIDTH // 78)))]


def filter_sheet(filters: np.ndarray, side: int, columns: int) -> np.ndarray:
    """Filters as squares of at most `side` pixels on a clear ground, uint8 RGBA."""
    colours = filter_colours(filters)
    squares = enlarged(colours, max(1, side // colours.shape[2]))
    # Kernels of 3 x 3 are drawn large, so the gaps are thin lines beside them.
    return tiled(with_alpha(squares), min(columns, len(filters)), gap=6)


def filter_colours(filters: np.ndarray) -> np.ndarray:
    """Filters (filters, h, w, 3) over colours, or (filters, h, w) over one channel, as uint8 (..., 3).

    Each is scaled by its own largest magnitude; zero is in the middle of the colours.
    """
    peak = np.abs(filters).max(axis=tuple(range(1, filters.ndim)), keepdims=True)
    unit = 0.5 + 0.5 * filters / np.where(peak > 0, peak, 1)
    colours = unit if filters.ndim == 4 else SIGNED(unit)[..., :3]
    return np.asarray((colours * 255).round().astype(np.uint8))


def with_alpha(pixels: np.ndarray) -> np.ndarray:
    """Pixels (..., 3) that hide what is below them, (..., 4)."""
    return np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=-1)


def weight_matrix(matrix: np.ndarray, side: int) -> list[Picture]:
    """A matrix (outputs, inputs) with one pixel a weight; a larger one is cut into squares.

    Each pixel then shows the weight of largest magnitude in its square.
    """
    step = matrix_step(matrix.shape, side)
    small = _strongest(matrix, step)
    bound = float(np.quantile(np.abs(small), 0.995)) or 1.0
    zoom = max(1, min(6, 560 // max(small.shape)))
    levels = _levels(np.clip(small / bound, -1, 1), True)
    return [as_webp(indexed(levels, palette_of(SIGNED, LEVELS)), zoom)]


def matrix_step(shape: tuple[int, ...], side: int) -> int:
    """How many weights a side of each drawn square has."""
    return -(-max(shape) // side)


def _strongest(matrix: np.ndarray, step: int) -> np.ndarray:
    rows, columns = (-(-length // step) * step for length in matrix.shape)
    padded = np.zeros((rows, columns), dtype=matrix.dtype)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    squares = padded.reshape(rows // step, step, columns // step, step).swapaxes(1, 2)
    flat = squares.reshape(rows // step, columns // step, step * step)
    strongest = np.abs(flat).argmax(-1)[..., None]
    return np.take_along_axis(flat, strongest, -1)[..., 0]


def _sheet(tiles: np.ndarray, signed: bool) -> Picture:
    """Tiles (count, h, w) scaled to [-1, 1] or [0, 1] on a clear ground, each about 50 px, few 100."""
    count, height, width = tiles.shape
    times = 2 if count <= FEW else 1
    zoom = int(np.clip(round(50 * times / max(height, width)), 1, 8 * times))
    columns = max(1, min(count, (WIDTH // zoom) // (width + GAP)))
    sheet = tiled(_levels(tiles, signed), columns, GAP, LEVELS)
    palette = palette_of(SIGNED if signed else POSITIVE, LEVELS)
    drawn = indexed(sheet, palette, clear=LEVELS)
    if zoom < _LARGE:
        return as_webp(drawn, zoom)
    # Squares of that size stay squares where a page makes the sheet a little smaller.
    return as_webp(drawn.resize((zoom * drawn.width, zoom * drawn.height), Resampling.NEAREST))


def _levels(values: np.ndarray, signed: bool) -> np.ndarray:
    unit = (values + 1) / 2 if signed else np.clip(values, 0, 1)
    return np.rint(unit * (LEVELS - 1)).astype(np.uint8)


def tile_sheet(tiles: np.ndarray, columns: int, ground: int = 0) -> list[Picture]:
    """A tile (units, side, side, 3) for each unit of a layer, as one picture."""
    return [as_photograph(tiled(tiles, columns, ground=ground), 66)]


def photographs(pixels: Sequence[np.ndarray], quality: int) -> list[Picture]:
    """Pictures (height, width, 3 or 4) uint8, each by itself."""
    return [as_photograph(picture, quality) for picture in pixels]
