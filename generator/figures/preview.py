"""Small pictures of pages: for where an address is shared (Open Graph, 1200 x 630), and as thumbnails."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from generator.figures.style import Picture, as_photograph, drawable
from generator.paths import data_root

WIDTH, HEIGHT = 1200, 630
PAPER, RAISED, INK, QUIET, MARK = "#fdfcf9", "#f4f1ea", "#1c2025", "#565c64", "#ad470b"
_MARGIN, _PANEL = 64, 500
_FACES = {"serif": "source-serif-4", "sans": "source-sans-3"}
# What the site's own faces hold beside Latin-1; other scripts are set in a face that has them.
_MORE = frozenset("ıŒœ–—‘’“”…€™−⁄")


def preview(title: str, line: str, site: str, picture: np.ndarray) -> list[Picture]:
    """Title and a line below it in the site's type, beside a picture.

    The picture is given encoded, its bytes as uint8 of shape (n,). With none the text takes the whole width.
    """
    title, line, site = _drawable_text(title), _drawable_text(line), _drawable_text(site)
    canvas = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(canvas)
    room = WIDTH - 2 * _MARGIN
    if picture.size:
        _panel(canvas, picture)
        room -= _PANEL
    _mark(draw, _MARGIN, 60)
    draw.text((_MARGIN + 54, 82), site, INK, _face("serif", 34, 650, site), anchor="lm")
    draw.rectangle((_MARGIN, 134, _MARGIN + 90, 138), fill=MARK)
    size, lines = _fitted(title, room, 250)
    height = round(size * 1.12)
    top = 168
    for number, text in enumerate(lines):
        draw.text((_MARGIN, top + number * height), text, INK, _face("serif", size, 640, title))
    top += len(lines) * height + 26
    face = _face("sans", 29, 400, line)
    rows = _wrapped(line, face, room)
    for number, text in enumerate(_cut(rows, max(1, (HEIGHT - 48 - top) // 40))):
        draw.text((_MARGIN, top + number * 40), text, QUIET, face)
    buffer = io.BytesIO()
    canvas.save(buffer, format="JPEG", quality=86, subsampling=0, optimize=True)
    return [Picture(buffer.getvalue(), WIDTH, HEIGHT)]


def _drawable_text(text: str) -> str:
    """A text without the characters that no face at hand can draw."""
    return " ".join("".join(c for c in text if c.isspace() or drawable(c) in (c, r"\$")).split())


def _panel(canvas: Image.Image, picture: np.ndarray) -> None:
    """The picture on a panel at the right, as large as it fits; small ones keep their pixels sharp."""
    left = WIDTH - _PANEL
    canvas.paste(RAISED, (left, 0, WIDTH, HEIGHT))
    with Image.open(io.BytesIO(picture.tobytes())) as opened:
        image = opened.convert("RGBA")
    zoom = min((_PANEL - 64) / image.width, (HEIGHT - 80) / image.height)
    how = Image.Resampling.NEAREST if zoom >= 2 else Image.Resampling.LANCZOS
    size = (max(1, round(image.width * zoom)), max(1, round(image.height * zoom)))
    fitted = image.resize(size, how)
    place = (left + (_PANEL - size[0]) // 2, (HEIGHT - size[1]) // 2)
    ground = Image.new("RGBA", size, PAPER)
    canvas.paste(Image.alpha_composite(ground, fitted).convert("RGB"), place)


def _mark(draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
    """The site's sign, a box with one side taken off, 44 px."""

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(left + x * 44 / 24, top + y * 44 / 24) for x, y in points]

    draw.polygon(at((12, 12.4), (3, 7.4), (3, 17.3), (12, 22.3)), fill=INK)
    draw.line(
        at((12, 2), (3, 7), (12, 12), (21, 7), (12, 2), (3, 7)), fill=INK, width=3, joint="curve"
    )
    for step in (0.0, 3.3, 6.6):
        draw.line(at((12.8, 14.9 + step), (21, 10.3 + step)), fill=MARK, width=3)


def _fitted(text: str, width: int, height: int) -> tuple[int, list[str]]:
    """The largest size, in pixels, at which a title fits, and its lines."""
    for size in range(72, 34, -4):
        rows = _wrapped(text, _face("serif", size, 640, text), width)
        if len(rows) * size * 1.12 <= height:
            return size, rows
    return size, _cut(rows, max(1, int(height // (size * 1.12))))


def _wrapped(text: str, face: ImageFont.FreeTypeFont, width: int) -> list[str]:
    rows: list[str] = []
    for word in text.split():
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and face.getlength(longer) <= width:
            rows[-1] = longer
            continue
        while face.getlength(word) > width and len(word) > 1:
            fits = next(
                n
                for n in range(len(word) - 1, 0, -1)
                if n == 1 or face.getlength(word[:n]) <= width
            )
            rows.append(word[:fits])
            word = word[fits:]
        rows.append(word)
    return rows


def _cut(rows: list[str], most: int) -> list[str]:
    return rows if len(rows) <= most else [*rows[: most - 1], rows[most - 1] + "…"]


def _face(name: str, size: int, weight: int, text: str) -> ImageFont.FreeTypeFont:
    """A face of the site that has all characters of a text, else one that has most scripts."""
    own = all(ord(c) < 0x100 or c in _MORE for c in text)
    face = ImageFont.truetype(_file(name, own), size)
    if own:
        face.set_variation_by_axes([weight])
    return face


@cache
def _file(name: str, own: bool) -> str:
    if own:
        folder = data_root() / "site_src" / "javascripts" / "vendor" / _FACES[name]
        return str(folder / f"{_FACES[name]}-latin-wght-normal.woff2")
    family = "DejaVu Serif" if name == "serif" else "DejaVu Sans"
    return findfont(FontProperties(family=family, weight="bold" if name == "serif" else "normal"))


_SMALL = 176, 128  # of thumbnails, in CSS pixels


def thumbnail(picture: np.ndarray) -> list[Picture]:
    """A picture small, given encoded, its bytes as uint8 of shape (n,).

    It fills 176 x 128 CSS pixels, drawn at twice that; what is too long is cut at its end.
    """
    with Image.open(io.BytesIO(picture.tobytes())) as opened:
        image = opened.convert("RGBA")
    wide, high = 2 * _SMALL[0], 2 * _SMALL[1]
    scale = max(wide / image.width, high / image.height)
    way = Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS
    size = (max(wide, round(image.width * scale)), max(high, round(image.height * scale)))
    return [as_photograph(np.asarray(image.resize(size, way).crop((0, 0, wide, high))), 60, 2)]
