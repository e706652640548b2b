"""The face of all lettering: the site's own, Source Sans 3, and DejaVu Sans for what it lacks.

The files are those of the npm package @fontsource/source-sans-3 5.3.1 (Latin, SIL Open Font License), taken
out of their WOFF wrapping, which matplotlib cannot read.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from matplotlib.font_manager import (
    FontProperties,
    findfont,
    fontManager,
    get_font,
    ttfFontProperty,
)
from PIL import ImageFont

FAMILY, SPARE = "Source Sans 3", "DejaVu Sans"
_FOLDER = Path(__file__).parent / "faces"
# The semibold serves as the bold: beside the page's own headings the bold is too black.
_FILES = {400: _FOLDER / "SourceSans3-Regular.ttf", 700: _FOLDER / "SourceSans3-SemiBold.ttf"}


@cache
def families() -> list[str]:
    """The families to draw with, the first made known to matplotlib in a regular and a bold weight."""
    for weight, file in _FILES.items():
        found = ttfFontProperty(get_font(file))
        fontManager.ttflist.append(replace(found, name=FAMILY, weight=weight))
    return [FAMILY, SPARE]


@cache
def characters() -> frozenset[int]:
    """The code points that figures can draw."""
    return _own() | frozenset(get_font(_spare(False)).get_charmap())


@cache
def letters(size: float, *, bold: bool = False, plain: bool = True) -> ImageFont.FreeTypeFont:
    """The face in pixels, for Pillow, which knows no spare one: `plain` says that a text needs none."""
    file = _FILES[700 if bold else 400] if plain else _spare(bold)
    return ImageFont.truetype(str(file), round(size))


def is_plain(text: str) -> bool:
    """Whether the site's own face has all letters of a text."""
    return _own().issuperset(map(ord, text))


@cache
def _own() -> frozenset[int]:
    return frozenset(get_font(_FILES[400]).get_charmap())


def _spare(bold: bool) -> str:
    return findfont(FontProperties(family=SPARE, weight="bold" if bold else "normal"))
