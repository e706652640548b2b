"""Small multiples as light rasters: activation maps, filters and weight matrices."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from generator.figures.style import (
    POSITIVE,
    SIGNED,
    Picture,
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


@dataclass(frozen=True)
class Grid:
    """How tiles are laid out: `zoom` is the number of CSS pixels a pixel is shown at."""

    columns: int
    rows: int
    zoom: int


def grid_for(count: int, height: int, width: int) -> Grid:
    """Tiles of about 50 CSS pixels, as many in a row as the page is wide."""
    zoom = int(np.clip(round(50 / max(height, width)), 1, 8))
    columns = max(1, min(count, (WIDTH // zoom) // (width + GAP)))
    return Grid(columns, -(-count // columns), zoom)


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
    count, height, width, _ = filters.shape
    peak = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    scaled = 0.5 + 0.5 * filters / np.where(peak > 0, peak, 1)
    tiles = (scaled * 255).round().astype(np.uint8)
    zoom = max(1, 72 // width)
    columns = min(count, WIDTH // (width * zoom + 6))
    rows = -(-count // columns)
    # Kernels of 3 x 3 are drawn large, so the gaps are thin lines beside them.
    side_y, side_x = height * zoom, width * zoom
    canvas = np.zeros((rows * (side_y + 6) - 6, columns * (side_x + 6) - 6, 4), dtype=np.uint8)
    for number, tile in enumerate(tiles):
        y, x = divmod(number, columns)
        cells = np.kron(tile, np.ones((zoom, zoom, 1), dtype=np.uint8))
        place = canvas[y * (side_y + 6) :, x * (side_x + 6) :][:side_y, :side_x]
        place[..., :3] = cells
        place[..., 3] = 255
    return [as_webp(Image.fromarray(canvas))]


def weight_matrix(matrix: np.ndarray, side: int) -> list[Picture]:
    """A matrix (outputs, inputs) with one pixel a weight; a larger one is cut into squares.

    Each pixel then shows the weight of largest magnitude in its square.
    """
    step = matrix_step(matrix.shape, side)
    small = _strongest(matrix, step)
    bound = float(np.quantile(np.abs(small), 0.995)) or 1.0
    zoom = max(1, min(6, 560 // max(small.shape)))
    image = _coloured(np.clip(small / bound, -1, 1), signed=True)
    return [as_webp(image, zoom)]


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
    """Tiles (count, h, w) scaled to [-1, 1] or [0, 1], on a transparent ground."""
    count, height, width = tiles.shape
    grid = grid_for(count, height, width)
    shape = (grid.rows * (height + GAP) - GAP, grid.columns * (width + GAP) - GAP)
    canvas = np.full(shape, LEVELS, dtype=np.uint8)
    levels = _levels(tiles, signed)
    for number in range(count):
        y, x = divmod(number, grid.columns)
        canvas[y * (height + GAP) :, x * (width + GAP) :][:height, :width] = levels[number]
    image = indexed(canvas, palette_of(SIGNED if signed else POSITIVE, LEVELS))
    image.info["transparency"] = LEVELS
    return as_webp(image, grid.zoom)


def _levels(values: np.ndarray, signed: bool) -> np.ndarray:
    unit = (values + 1) / 2 if signed else np.clip(values, 0, 1)
    return np.rint(unit * (LEVELS - 1)).astype(np.uint8)


def _coloured(values: np.ndarray, *, signed: bool) -> Image.Image:
    return indexed(_levels(values, signed), palette_of(SIGNED if signed else POSITIVE, LEVELS))


def contact_sheet(tiles: np.ndarray) -> list[Picture]:
    """The best exemplar of every unit, (units, CONTACT, CONTACT, 3), `CONTACT_COLUMNS` in a row."""
    count = len(tiles)
    columns = min(count, CONTACT_COLUMNS)
    rows = -(-count // columns)
    canvas = np.zeros((rows * CONTACT, columns * CONTACT, 3), dtype=np.uint8)
    for number, tile in enumerate(tiles):
        y, x = divmod(number, columns)
        canvas[y * CONTACT :, x * CONTACT :][:CONTACT, :CONTACT] = tile
    return photographs(canvas[None], 78)


def photographs(pixels: np.ndarray, quality: int) -> list[Picture]:
    """Pictures as the network saw them, uint8 (pictures, height, width, 3), as WebP."""
    found = []
    for picture in pixels:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, format="WEBP", quality=quality, method=4)
        found.append(Picture(buffer.getvalue(), picture.shape[1], picture.shape[0]))
    return found
