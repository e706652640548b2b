"""Units through training: the plate of Zeiler & Fergus (2014, fig. 4) and the course of a few numbers."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from PIL import Image, ImageDraw

from generator.figures.face import is_plain, letters
from generator.figures.style import (
    BLUE,
    Picture,
    as_photograph,
    as_svg,
    drawable,
    new_figure,
    styled,
)

# The plate has a ground of its own: photographs cannot be turned over on the dark palette as ink is.
GROUND, TEXT, FAINT, EMPTY = "#1f2328", "#e6e9ee", "#a3acb8", "#2f353d"
SIDE, GAP, COLUMN_GAP, FIRST, HEADER, LINE = 54, 2, 12, 84, 30, 20
DENSITY = 2  # pixels of the file for a CSS pixel, so that small type is sharp
_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")
_DEPTH = mpl.colormaps["viridis"]


def checkpoint_plate(
    layer: str,
    labels: Sequence[str],
    units: np.ndarray,
    patches: np.ndarray,
    projections: np.ndarray,
    values: np.ndarray,
) -> list[Picture]:
    """One row a unit, one column a state of training: the patch that excites it most, its projection.

    `units` is (units,), `values` (states, units), `patches` (states, units, h, w, 4) uint8 with zero in the
    last channel beyond the picture's border, `projections` (states, units, h, w, 3). Each projection is
    scaled alone, grey being zero, so that all but its strongest percent keep their size; the number below
    is the response. A unit that no picture excites (response not above zero) has an empty cell.
    """
    pitch_x, pitch_y = 2 * SIDE + GAP + COLUMN_GAP, SIDE + LINE
    width, height = FIRST + len(labels) * pitch_x, HEADER + len(units) * pitch_y
    canvas = Image.new("RGB", (width * DENSITY, height * DENSITY), GROUND)
    draw = ImageDraw.Draw(canvas)
    for column, label in enumerate(labels):
        middle = FIRST + column * pitch_x + SIDE + GAP // 2
        _write(draw, middle, HEADER // 2, label, TEXT, 13, "mm", 2 * SIDE)
    for row, unit in enumerate(units):
        top = HEADER + row * pitch_y
        _write(draw, 10, top + SIDE // 2 - 8, layer, FAINT, 12, "lm", FIRST - 18)
        _write(draw, 10, top + SIDE // 2 + 8, f"unit {unit}", TEXT, 13, "lm", FIRST - 18)
        for column in range(len(labels)):
            cell = patches[column, row], projections[column, row], float(values[column, row])
            _cell(canvas, draw, FIRST + column * pitch_x, top, *cell)
    return [as_photograph(np.asarray(canvas), 88, DENSITY)]


def _cell(
    canvas: Image.Image,
    draw: ImageDraw.ImageDraw,
    left: int,
    top: int,
    patch: np.ndarray,
    projection: np.ndarray,
    value: float,
) -> None:
    middle = left + SIDE + GAP // 2
    if value <= 0:
        box = [left, top, left + 2 * SIDE + GAP - 1, top + SIDE - 1]
        draw.rectangle([each * DENSITY for each in box], fill=EMPTY)
        _write(draw, middle, top + SIDE // 2, "not excited", FAINT, 12, "mm", 2 * SIDE)
        return
    outline = patch[..., 3:]
    inside = np.abs(projection[outline[..., 0] > 0])
    bound = float(np.quantile(inside, 0.99)) or float(inside.max()) or 1.0
    grey = 128 + 127 * np.clip(projection / bound, -1, 1)
    tones = np.concatenate([np.rint(grey).astype(np.uint8), outline], axis=-1)
    _paste(canvas, patch, left, top)
    _paste(canvas, tones, left + SIDE + GAP, top)
    _write(draw, middle, top + SIDE + LINE // 2 - 3, f"{value:#.3g}", FAINT, 11, "mm", 2 * SIDE)


def _paste(canvas: Image.Image, pixels: np.ndarray, left: int, top: int) -> None:
    """Fit (h, w, 4) into a square: enlarged pixels stay square, reduced ones are averaged."""
    side = SIDE * DENSITY
    enlarged = max(pixels.shape[:2]) <= side
    method = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
    scale = side / max(pixels.shape[:2])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    tile = Image.fromarray(pixels).resize(size, method)
    canvas.paste(tile, (left * DENSITY, top * DENSITY), tile)


def _write(
    draw: ImageDraw.ImageDraw, x: int, y: int, text: str, colour: str, size: int, anchor: str, room: int
) -> None:  # fmt: skip
    """Text of `size` CSS pixels at a place, its end cut off where there is no room."""
    text = drawable(text).replace(r"\$", "$")
    font = letters(size * DENSITY, plain=is_plain(text))
    while len(text) > 2 and font.getlength(text) > room * DENSITY:
        text = text.removesuffix("…")[:-1] + "…"
    draw.text((x * DENSITY, y * DENSITY), text, fill=colour, font=font, anchor=anchor)


def checkpoint_course(
    labels: Sequence[str],
    accuracy: np.ndarray,
    error: np.ndarray,
    layers: Sequence[str],
    likeness: np.ndarray,
) -> list[Picture]:
    """Accuracy with its standard error (states,), and mean correlation with the final units by layer.

    `likeness` is (layers, states). States stand at equal distances, whatever lies between them. Accuracy is
    left out where it is not known.
    """
    known = bool(np.isfinite(accuracy).any())
    with styled():
        figure = new_figure(1100 if known else 640, 300)
        panels = figure.subplots(1, 2 if known else 1, squeeze=False)[0]
        if known:
            _accuracy(panels[0], accuracy, error)
        _likeness(panels[-1], layers, likeness)
        for axes in panels:
            axes.set_xticks(
                range(len(labels)), [drawable(label) for label in labels],
                rotation=35, ha="right", rotation_mode="anchor", fontsize=9.3,
            )  # fmt: skip
        return [as_svg(figure)]


def _accuracy(axes: Axes, accuracy: np.ndarray, error: np.ndarray) -> None:
    axes.errorbar(
        range(len(accuracy)), accuracy, yerr=error, color=BLUE, marker="o", markersize=4.5,
        linewidth=1.4, capsize=3,
    )  # fmt: skip
    axes.set(ylim=(0, 1.03), title="pictures of the pool named rightly")
    axes.yaxis.set_major_formatter(_PERCENT)


def _likeness(axes: Axes, layers: Sequence[str], likeness: np.ndarray) -> None:
    markers = "osD^vP"
    for number, (layer, values) in enumerate(zip(layers, likeness, strict=True)):
        colour = _DEPTH(0.75 * number / max(1, len(layers) - 1))
        axes.plot(
            range(len(values)), values, color=colour, marker=markers[number % len(markers)],
            markersize=4.5, linewidth=1.4, label=drawable(layer),
        )  # fmt: skip
    low = float(np.nanmin(likeness)) if np.isfinite(likeness).any() else 0.0
    axes.set(ylim=(min(0.0, low * 1.1), 1.03), title="mean correlation with the final units")
    axes.legend(loc="lower right", fontsize=9.3)
