"""Attention maps: one labelled map a head, and all heads of a layer side by side.

The frame with its tokens costs a hundred times what the cells cost, and is the same for every head
of a model on one text: it is drawn once, and each head's cells are set into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from PIL import Image

from generator.figures.mosaic import enlarged, tiled
from generator.figures.style import (
    INK,
    MASKED,
    WEIGHTS,
    Picture,
    as_webp,
    indexed,
    palette_of,
    shortened,
    styled,
)

LEVELS = 96
FRAME_COLOURS = 24
NORM = PowerNorm(0.5, vmin=0.0, vmax=1.0)
TICKS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
LONGEST = 14
CELLS = 128  # on a side of a drawn map: more could not be told apart


def attention_maps(
    tokens: Sequence[str],
    keys: Sequence[str],
    weights: np.ndarray,
    causal: bool,
) -> list[Picture]:
    """A labelled map for every head; `weights` is (layers, heads, queries, keys).

    Rows are queries (`tokens`, those that look), columns `keys`. The colour is the square root of the
    weight, on one scale for all heads.
    """
    frame, pictures = _frame(tokens, keys), []
    for layer in weight_levels(weights, causal):
        for cells in enlarged(layer, frame.cell):
            canvas, (high, wide) = frame.background.copy(), cells.shape
            canvas[frame.top : frame.top + high, frame.left : frame.left + wide] = cells
            pictures.append(as_webp(indexed(canvas, frame.palette, clear=LEVELS + 1)))
    return pictures


def layer_heads(weights: np.ndarray, causal: bool) -> list[Picture]:
    """A sheet of all heads of each layer, row by row, for `sheet_columns` heads a row."""
    levels = weight_levels(weights, causal)
    zoom, columns = max(1, 120 // max(levels.shape[2:])), sheet_columns(levels.shape[1])
    sheets = (tiled(enlarged(layer, zoom), columns, 8, LEVELS + 1) for layer in levels)
    return [as_webp(indexed(sheet, cell_palette(), clear=LEVELS + 1)) for sheet in sheets]


def grain(queries: int, keys: int) -> int:
    """How many tokens a cell of a drawn map covers on a side: one, unless a text is long."""
    return -(-max(queries, keys) // CELLS)


def block_maximum(weights: np.ndarray, block: int) -> np.ndarray:
    """The largest weight of each block x block cells of (layers, heads, queries, keys)."""
    if block == 1:
        return weights
    down, across = (-(-count // block) for count in weights.shape[2:])
    rest = ((0, down * block - weights.shape[2]), (0, across * block - weights.shape[3]))
    padded = np.pad(weights, ((0, 0), (0, 0), *rest))
    blocks = padded.reshape(*weights.shape[:2], down, block, across, block)
    return np.asarray(blocks.max(axis=(3, 5)))


def sheet_columns(heads: int) -> int:
    """Heads a row: few enough to see, and rows as full as possible."""
    return min(range(3, 7), key=lambda columns: (-heads % columns, -columns))


def weight_levels(weights: np.ndarray, causal: bool) -> np.ndarray:
    """Colour index of each weight, 0 to LEVELS - 1; LEVELS marks keys that cannot be seen."""
    levels = np.rint(NORM(weights).filled(0) * (LEVELS - 1)).astype(np.uint8)
    if causal:
        length = weights.shape[-1]
        levels[..., ~np.tri(length, dtype=bool)] = LEVELS
    return np.asarray(levels)


def cell_palette() -> np.ndarray:
    """Colours of the levels, of keys that cannot be seen, and of the ground: (LEVELS + 2, 3)."""
    masked = np.array([[int(MASKED[i : i + 2], 16) for i in (1, 3, 5)]], dtype=np.uint8)
    transparent = np.array([[255, 255, 255]], dtype=np.uint8)
    return np.concatenate([palette_of(WEIGHTS, LEVELS), masked, transparent])


@dataclass(frozen=True)
class _Frame:
    """What all heads share: the drawn frame as indices into a palette, and where its cells go."""

    background: np.ndarray
    palette: np.ndarray
    left: int
    top: int
    cell: int


def _frame(tokens: Sequence[str], keys: Sequence[str]) -> _Frame:
    high, wide = len(tokens), len(keys)
    most = max(high, wide)
    cell = int(np.clip(560 // most, 12, 34)) if most <= 48 else max(1, 640 // most)
    rows, columns = ([short(token) for token in side] for side in (tokens, keys))
    size = float(np.clip(cell * 0.52, 6.5, 9.0))
    beside, above = (
        round(max(len(label) for label in labels) * size * 0.84) + 14 for labels in (rows, columns)
    )
    # A line above the tokens says which axis is which.
    left, top, right, bottom = max(beside, 46), max(above, 46) + 16, 74, 26
    width, height = left + wide * cell + right, top + high * cell + bottom
    with styled():
        figure = Figure(figsize=(width / 96, height / 96), dpi=96)
        box = (left / width, bottom / height, wide * cell / width, high * cell / height)
        axes = figure.add_axes(box)
        axes.set(xlim=(0, wide), ylim=(high, 0), aspect="equal")
        step = 1 if cell >= 9 else -(-12 // cell)
        font: Any = {"fontsize": size, "color": INK}
        font["family"] = ["DejaVu Sans Mono", "DejaVu Sans"]
        axes.xaxis.tick_top()
        across, down = np.arange(0, wide, step), np.arange(0, high, step)
        axes.set_xticks(across + 0.5, [columns[i] for i in across], rotation=90, **font)
        axes.set_yticks(down + 0.5, [rows[i] for i in down], **font)
        axes.tick_params(length=0, pad=4)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        figure.text(4 / width, 1 - 14 / height, "query ↓  key →", fontsize=8.2, color=INK)
        bar, tall = left + wide * cell + 14, min(high * cell, 220)
        _colour_bar(figure, (bar / width, bottom / height, 12 / width, tall / height))
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        drawn = Image.fromarray(np.asarray(canvas.buffer_rgba()).copy())
    palette, background = _split(drawn)
    # The bar is filled like the cells: the few colours left for the frame would draw it in bands.
    ramp = np.linspace(LEVELS - 1, 0, tall).round().astype(np.uint8)
    background[height - bottom - tall : height - bottom, bar : bar + 12] = ramp[:, None]
    return _Frame(background, palette, left, top, cell)


def _colour_bar(figure: Figure, box: tuple[float, float, float, float]) -> None:
    axes = figure.add_axes(box)
    bar = figure.colorbar(ScalarMappable(NORM, WEIGHTS), cax=axes, ticks=TICKS)
    if bar.solids is not None:
        bar.solids.set_visible(False)
    bar.ax.set_yticklabels([f"{tick:g}" for tick in TICKS], fontsize=7.7)
    bar.ax.tick_params(length=2, pad=2)
    bar.outline.set_visible(False)
    bar.ax.set_title("weight", fontsize=8.2, color=INK, pad=5)


def short(token: str) -> str:
    """A token as figures write it: cut where it is long, in characters that the font has."""
    return shortened(token, LONGEST)


def _split(frame: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """One palette for cells and frame, and the frame as indices into it."""
    ground = Image.new("RGBA", frame.size, "white")
    flat = Image.alpha_composite(ground, frame).convert("RGB")
    reduced = flat.quantize(
        FRAME_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    colours = np.array(reduced.getpalette()[: FRAME_COLOURS * 3], dtype=np.uint8).reshape(-1, 3)  # type: ignore[index]
    base = cell_palette()
    indices = np.asarray(reduced).astype(np.uint8) + len(base)
    indices[np.asarray(frame)[..., 3] == 0] = LEVELS + 1
    return np.concatenate([base, colours]), indices.astype(np.uint8)
