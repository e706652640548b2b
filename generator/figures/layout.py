"""What figures are laid out with: sizes of type, fitted text, places in CSS pixels."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from generator.figures.face import is_plain, letters
from generator.figures.style import INK, QUIET, drawable

# Points. A figure is drawn as wide as it is shown, so that its type is as large as written here.
TITLE, LABEL, SMALL = 10.5, 10.0, 9.0
LIGHT_INK, LIGHT_QUIET = "#e6e9ee", "#a9b2bd"
PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")
PIXEL = 72 / 96  # points


def inks(*, dark: bool) -> tuple[str, str]:
    """The ink of text and of what matters less, for a light or a dark ground."""
    return (LIGHT_INK, LIGHT_QUIET) if dark else (INK, QUIET)


def canvas(width: float, height: float) -> Figure:
    """A figure of so many CSS pixels whose parts are placed one by one."""
    return Figure(figsize=(width / 96, height / 96), dpi=96)


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in CSS pixels from the upper left corner."""
    wide, high = figure.get_size_inches() * 96
    return figure.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high))


def write(
    figure: Figure, left: float, top: float, text: str, colour: str, size: float = LABEL,
    *, align: str = "left", bold: bool = False, turned: bool = False,
) -> None:  # fmt: skip
    """Lines of text whose upper left (or right, or middle) is at a place in CSS pixels.

    Turned text has its middle there. Lines stand on baselines, whatever letters are in them.
    """
    wide, high = figure.get_size_inches() * 96
    for number, line in enumerate(text.split("\n")):
        down = top if turned else top + (0.95 + 1.22 * number) * size / PIXEL
        figure.text(
            left / wide, 1 - down / high, line, color=colour, fontsize=size, ha=align,
            va="center" if turned else "baseline", rotation=90 if turned else 0,
            fontweight="bold" if bold else "normal",
        )  # fmt: skip


def plain(*every: Axes) -> None:
    """The sizes of type that all charts have."""
    for axes in every:
        axes.tick_params(labelsize=SMALL, length=3)
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
            text.set_fontsize(LABEL)


def plane(figure: Figure) -> Axes:
    """Axes over a whole figure, in CSS pixels from the upper left corner, for all rasters and rules of it.

    Axes for each of them would take longer than drawing it.
    """
    wide, high = figure.get_size_inches() * 96
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, wide), ylim=(high, 0), autoscale_on=False)
    axes.set_axis_off()
    return axes


Box = tuple[float, float, float, float]
"""Left, top, width and height on a plane."""


def show_pixels(axes: Axes, box: Box, pixels: np.ndarray, *, pixelated: bool = False) -> None:
    """A raster (h, w, 3 or 4) uint8 that fills a box of a plane, without a frame."""
    smooth = "nearest" if pixelated else "antialiased"
    axes.imshow(pixels, extent=extent(box), interpolation=smooth, aspect="auto")


def extent(box: Box) -> Box:
    """A box as matplotlib says where a raster lies: left, right, bottom, top."""
    left, top, wide, high = box
    return left, left + wide, top + high, top


def length(text: str, size: float = LABEL, *, bold: bool = False) -> float:
    """The width of a line of text in CSS pixels."""
    # Agg places letters on whole pixels: lines come out a little wider than the face says.
    face = letters(size / PIXEL * 8, bold=bold, plain=is_plain(text))
    return 1.04 * face.getlength(text) / 8


def fitted(text: str, room: float, size: float = LABEL, *, bold: bool = False) -> str:
    """A line that is no wider than `room`, its end cut off if it must be, in drawable characters."""
    cut = drawable(text)
    while len(cut) > 2 and length(cut.replace(r"\$", "$"), size, bold=bold) > room:
        cut = cut.removesuffix("…").rstrip()[:-1].rstrip("\\") + "…"
    return cut


def wrapped(
    text: str, room: float, size: float = LABEL, lines: int = 2, *, bold: bool = False
) -> list[str]:
    """Text in at most so many lines, broken between words, the last line cut off if it must be."""
    words, found = text.split(), [""]
    for number, word in enumerate(words):
        longer = f"{found[-1]} {word}".strip()
        if not found[-1] or length(longer, size, bold=bold) <= room:
            found[-1] = longer
        elif len(found) < lines:
            found.append(word)
        else:
            found[-1] = " ".join([found[-1], *words[number:]])
            break
    return [fitted(line, room, size, bold=bold) for line in found]


def heights(count: int, size: float) -> float:
    """The height of so many lines of text in CSS pixels."""
    return count * size / PIXEL * 1.22


def columns_for(count: int, width: float, least: float) -> int:
    """How many panels stand in a row, 12 at most: rows as full as can be, none narrower than `least`."""
    room = max(1, min(12, int(width // least), count))
    rows = -(-count // room)
    return -(-count // rows)
