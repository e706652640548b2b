"""Units back in pixels: the deconvolutions of their exemplars beside the patches that they come from.

All take tiles as `generator.probes.tiles.as_tile` makes them, uint8 (..., S, S, 3) around mid grey,
and patches of any square size. The plates have a ground of their own, dark on every page: photographs
cannot be turned over on the dark palette as ink is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from generator.figures.face import is_plain, letters
from generator.figures.mosaic import WIDTH
from generator.figures.style import Picture, as_photograph, drawable

GROUND, TEXT, FAINT = "#1f2328", "#e6e9ee", "#a3acb8"
DENSITY = 2  # pixels of the file for a CSS pixel
SIDE, GAP, BETWEEN, COLUMNS = 56, 2, 8, 3
PITCH_X, PITCH_Y, LABEL, MARGIN = 28, 14, 22, 14
STRIP, FIRST = 96, 112


def evolution_plate(
    units: Sequence[int],
    patches: np.ndarray,
    backs: np.ndarray,
    guided: np.ndarray | None = None,
) -> list[Picture]:
    """Featured units: the patches of each, three in a row, beside their deconvolutions.

    All are (units, exemplars, S, S, 3) with at most nine exemplars, strongest first. Guided backpropagation,
    where given, stands as a third block.
    """
    blocks = [patches, backs] if guided is None else [patches, backs, guided]
    lines = -(-patches.shape[1] // COLUMNS)
    block_x, block_y = (count * (SIDE + GAP) - GAP for count in (COLUMNS, lines))
    step_x = len(blocks) * (block_x + BETWEEN) - BETWEEN + PITCH_X
    step_y = LABEL + block_y + PITCH_Y
    across = min(WIDTH // step_x, len(units))
    down = -(-len(units) // across)
    size = (2 * MARGIN + across * step_x - PITCH_X, 2 * MARGIN + down * step_y - PITCH_Y)
    canvas, draw = _ground(*size)
    for number, unit in enumerate(units):
        row, column = divmod(number, across)
        left, top = MARGIN + column * step_x, MARGIN + row * step_y
        titles = (f"unit {unit}", "deconvolution", "guided backpropagation")
        for block, (title, tiles) in enumerate(zip(titles, blocks, strict=False)):
            start = left + block * (block_x + BETWEEN)
            _write(draw, start, top + LABEL // 2 - 3, title, FAINT if block else TEXT)
            _block(canvas, start, top + LABEL, tiles[number])
    return [_encoded(canvas)]


def rules_strip(
    patches: np.ndarray,
    deconvolution: np.ndarray,
    guided: np.ndarray,
    gradient: np.ndarray,
) -> list[Picture]:
    """One unit's exemplars in a row, strongest first, and below each what every rule makes of it.

    All four are (exemplars, S, S, 3).
    """
    rows = (
        ("patches", patches),
        ("deconvolution", deconvolution),
        ("guided", guided),
        ("gradient", gradient),
    )
    step = STRIP + 2 * GAP
    width = FIRST + len(patches) * step - 2 * GAP + MARGIN
    canvas, draw = _ground(width, 2 * MARGIN + len(rows) * step - 2 * GAP)
    for row, (label, tiles) in enumerate(rows):
        top = MARGIN + row * step
        _write(draw, MARGIN, top + STRIP // 2, label)
        for column, tile in enumerate(tiles):
            _paste(canvas, FIRST + column * step, top, tile, STRIP)
    # There is one for every featured unit, and its tiles are hardly finer than it is drawn.
    return [_encoded(canvas.reduce(DENSITY), 1)]


def _ground(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("RGB", (width * DENSITY, height * DENSITY), GROUND)
    return canvas, ImageDraw.Draw(canvas)


def _block(canvas: Image.Image, left: int, top: int, tiles: np.ndarray) -> None:
    for number, tile in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        _paste(canvas, left + column * (SIDE + GAP), top + row * (SIDE + GAP), tile, SIDE)


def _paste(canvas: Image.Image, left: int, top: int, tile: np.ndarray, side: int) -> None:
    shown = Image.fromarray(_resized(tile, side * DENSITY))
    canvas.paste(shown, (left * DENSITY, top * DENSITY))


def _resized(tile: np.ndarray, side: int) -> np.ndarray:
    """A tile fit into a square: enlarged pixels stay square, reduced ones are averaged."""
    if tile.shape[:2] == (side, side):
        return tile
    return np.asarray(Image.fromarray(tile).resize((side, side), Image.Resampling.BOX))


def _write(
    draw: ImageDraw.ImageDraw, left: int, middle: int, text: str, colour: str = TEXT
) -> None:
    place = (left * DENSITY, middle * DENSITY)
    shown = drawable(text).replace(r"\$", "$")
    face = letters(13 * DENSITY, plain=is_plain(shown))
    draw.text(place, shown, fill=colour, font=face, anchor="lm")


def _encoded(canvas: Image.Image, density: int = DENSITY) -> Picture:
    return as_photograph(np.asarray(canvas), 68, density)
