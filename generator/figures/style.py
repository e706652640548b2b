"""What all pictures share: type, ink, colour maps and how they are encoded.

Pictures are drawn dark on a transparent ground. On the dark palette the page inverts their
lightness and turns the hues back, so one file serves both.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

from generator.figures.face import characters, families

# Raise it when the lettering or the ink of all figures changes.
VERSION = 4

INK = "#1f2328"
QUIET = "#5b6470"
RULE = "#c9ced6"
BLUE = "#1f5fa8"
ORANGE = "#b4540a"
MASKED = "#eceef1"
MARGIN = 14  # CSS pixels around photographs on a ground of their own
QUALITY = 72  # of photographs with words
PLATE = 44  # of those on a ground of their own: many, and each pixel of theirs is a quarter of one

WEIGHTS: Colormap = LinearSegmentedColormap.from_list(
    "weights", ["#ffffff", "#d3e5f5", "#86b8e0", "#2f7cc0", "#0b4a8f", "#04264f"]
)
POSITIVE: Colormap = mpl.colormaps["magma"]
SIGNED: Colormap = mpl.colormaps["berlin"]

_STYLE: Any = {
    "font.size": 11.0,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.hashsalt": "cutaway",
    "svg.fonttype": "path",
    "path.simplify": True,
    "image.composite_image": False,  # or rasters of one plane were resampled in PDF and SVG
}


@dataclass(frozen=True)
class Picture:
    """An encoded picture with its size in CSS pixels."""

    data: bytes
    width: int
    height: int


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's settings for everything that is drawn here."""
    with mpl.rc_context({**_STYLE, "font.family": families()}):
        yield


def new_figure(width: float, height: float) -> Figure:
    """A figure of `width` x `height` CSS pixels, outside pyplot's global state."""
    return Figure(figsize=(width / 96, height / 96), dpi=96, layout="constrained")


def as_svg(figure: Figure) -> Picture:
    """A chart as SVG, the same bytes every time.

    Saved by the figure itself it would be drawn twice, the first time only to be laid out.
    """
    buffer, canvas, dpi = io.BytesIO(), FigureCanvasSVG(figure), figure.dpi
    layout = figure.get_layout_engine()
    if layout is not None:
        figure.dpi = 72  # in which letters are measured for SVG
        layout.execute(figure)
        figure.set_layout_engine("none")
        figure.dpi = dpi
    canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})
    text = _tight(buffer.getvalue())
    width, height = figure.get_size_inches() * 96
    return Picture(text, round(width), round(height))


def _tight(svg: bytes) -> bytes:
    """A chart without what no reader sees: comments, metadata, thousandths of a pixel."""
    text = re.sub(rb"<!--.*?-->|<!DOCTYPE.*?>|<metadata>.*?</metadata>", b"", svg, flags=re.DOTALL)
    # What is below one may be a scale: letters are drawn at sixty-four times their size.
    text = re.sub(rb"(?<![\d.])([1-9]\d*\.\d\d)\d+(?!\d*e)", rb"\1", text)
    return re.sub(rb"\s*\n\s*", b"\n", text)


def as_pixels(figure: Figure) -> Picture:
    """A chart as lossless WebP, two pixels to a CSS pixel, in 64 colours: a quarter of its size as SVG."""
    width, height = figure.get_size_inches() * 96
    few = _drawn_large(figure).quantize(64, method=Image.Quantize.FASTOCTREE).convert("RGBA")
    buffer = io.BytesIO()
    few.save(buffer, format="WEBP", lossless=True, quality=80, method=6)
    return Picture(buffer.getvalue(), round(width), round(height))


def _drawn_large(figure: Figure) -> Image.Image:
    figure.set_dpi(192)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba()).copy())


def as_photograph(pixels: np.ndarray, quality: int, density: int = 1) -> Picture:
    """Pixels (h, w, 3 or 4) uint8 as WebP with losses, `density` of them to a CSS pixel.

    What is drawn at twice its size is large and smooth: there the encoder's careful search takes three times
    as long as the quick one, and longer than drawing, for one part in twenty of the bytes.
    """
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    method = 2 if density > 1 else 4
    image.save(buffer, format="WEBP", quality=quality, method=method, alpha_quality=90)
    return Picture(buffer.getvalue(), image.width // density, image.height // density)


def as_raster(figure: Figure, ground: str = "") -> Picture:
    """Photographs with their words, two pixels to a CSS pixel, on a clear ground or on one of their own."""
    drawn = _drawn_large(figure)
    if ground:
        size = drawn.width + 4 * MARGIN, drawn.height + 4 * MARGIN
        plate = Image.new("RGB", size, ground)
        plate.paste(drawn, (2 * MARGIN, 2 * MARGIN), drawn)
        return as_photograph(np.asarray(plate), PLATE, 2)
    return as_photograph(np.asarray(drawn), QUALITY, 2)


def as_webp(image: Image.Image, scale: int = 1) -> Picture:
    """A raster as lossless WebP (a third smaller than PNG), to be shown at `scale` times its size."""
    buffer = io.BytesIO()
    mode = "RGBA" if image.mode == "RGBA" or "transparency" in image.info else "RGB"
    image.convert(mode).save(buffer, format="WEBP", lossless=True, quality=50, method=4)
    return Picture(buffer.getvalue(), image.width * scale, image.height * scale)


def palette_of(colours: Colormap, levels: int) -> np.ndarray:
    """`levels` RGB colours evenly along a colour map, uint8 of shape (levels, 3)."""
    table = colours(np.linspace(0.0, 1.0, levels))[:, :3]
    return np.asarray((table * 255).round().astype(np.uint8))


def indexed(values: np.ndarray, palette: np.ndarray, clear: int | None = None) -> Image.Image:
    """A palette image from uint8 indices (height, width), one of which may be `clear`."""
    image = Image.fromarray(values, mode="P")
    image.putpalette(palette.tobytes())
    if clear is not None:
        image.info["transparency"] = clear
    return image


def drawable(text: str) -> str:
    """Text in characters that the figures' own font has; others are written as code points."""
    # A dollar sign would switch matplotlib to mathematics.
    return "".join(_drawn(text)).replace("$", r"\$")


def shortened(text: str, longest: int) -> str:
    """Drawable text of at most about `longest` characters, code points in full, cut with an ellipsis."""
    kept = ""
    for part in _drawn(text):
        if len(kept) + len(part) > longest and kept:
            return kept.replace("$", r"\$") + "…"
        kept += part
    return kept.replace("$", r"\$")


def _drawn(text: str) -> list[str]:
    """Each character as figures write it: itself, or its code point."""
    known = characters()
    return [c if ord(c) in known else f"⟨{ord(c):X}⟩" for c in text]
