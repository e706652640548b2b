"""The effective receptive field: the part of a picture on which a response does depend.

Where the theoretical field says which pixels could matter, this is the smallest box that holds most of the
squared gradient (after Luo et al. 2016).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

SHARE = 0.95
CELL = 4
FIELDS = 48  # units of a layer whose fields are measured, unless all are asked for
UNKNOWN = -1

Box = tuple[int, int, int, int]


def effective_field(squared: np.ndarray) -> Box:
    """Left, top, width and height of the smallest box with SHARE of a map (H, W) of squares.

    Smallest in CELL x CELL px cells, cells cut off by the border counted whole. Among boxes of one size the
    flattest wins, then the uppermost, then the one furthest left. (0, 0, 0, 0) for a map of zeros.
    """
    rows, columns = (np.arange(0, side, CELL) for side in squared.shape)
    cells = np.add.reduceat(np.add.reduceat(squared.astype(np.float64), rows, 0), columns, 1)
    below = np.pad(cells.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    # Sums in another order differ in the last bits, which must not cost a row.
    needed = SHARE * below[-1, -1] * (1 - 1e-9)
    if needed <= 0:
        return 0, 0, 0, 0
    best, width = (cells.size + 1, 0, 0), cells.shape[1]
    for height in range(1, cells.shape[0] + 1):
        # A higher box never has to be wider: one walk down the stairs visits every candidate.
        while width > 0 and _sums(below, height, width).max() >= needed:
            best = min(best, (height * width, height, width))
            width -= 1
    _, height, width = best
    enough = _sums(below, height, width) >= needed
    top, left = (int(index) for index in np.unravel_index(enough.argmax(), enough.shape))
    bottom, right = (top + height) * CELL, (left + width) * CELL
    tall, wide = squared.shape
    return left * CELL, top * CELL, min(right, wide) - left * CELL, min(bottom, tall) - top * CELL


def centre_of(squared: np.ndarray) -> tuple[float, float]:
    """Column and row of the centroid of a map (H, W) of squares, in pixels from the corner; nan for zeros.

    The middle of the first pixel is 0.5. The middle of the exact field is another point where padding is
    lopsided: each stride then moves it by half a pixel of the layer before, and a trained network undoes that
    by leaning on the near side of its kernels.
    """
    total = squared.sum(dtype=np.float64)
    if total <= 0:
        return float("nan"), float("nan")
    rows, columns = (np.arange(side) + 0.5 for side in squared.shape)
    down, across = squared.sum(1, dtype=np.float64), squared.sum(0, dtype=np.float64)
    return float(across @ columns / total), float(down @ rows / total)


def some_units(units: int, more: Iterable[int]) -> tuple[int, ...]:
    """FIELDS of a layer's units at even steps, and `more`; all where there are no more than that."""
    count = min(FIELDS, units)
    return tuple(sorted({place * units // count for place in range(count)} | {*more}))


def typical(boxes: np.ndarray) -> tuple[int, int, int]:
    """How many fields (units, 4) were measured and are not empty, and the medians of width and height."""
    sides = boxes[boxes[:, 2] > 0, 2:]
    width, height = np.median(sides, axis=0) if len(sides) else (0.0, 0.0)
    return len(sides), round(float(width)), round(float(height))


def _sums(below: np.ndarray, height: int, width: int) -> np.ndarray:
    """The sums of all boxes of one size, by their top and left."""
    slabs = below[height:] - below[:-height]
    return slabs[:, width:] - slabs[:, :-width]
