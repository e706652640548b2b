"""Figures outside a site: as files for papers and slides, and in notebooks."""

from __future__ import annotations

import base64
import html
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl

from generator.errors import UsageError, did_you_mean
from generator.figures.designs import laid_out, pictures
from generator.figures.drawing import PHOTOGRAPHS, Drawing
from generator.figures.style import styled

FORMATS = ("pdf", "svg", "png")
_NOTEBOOK = 680  # CSS pixels
# No date, so that the same figure has the same bytes.
_DATES = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


def save(drawing: Drawing, file: Path, width: float, dpi: int) -> None:
    """Write a figure as PDF, SVG or PNG, by the ending of the file, `width` CSS pixels wide (96 an inch).

    Raises UsageError for another ending.
    """
    ending = file.suffix.removeprefix(".").lower()
    if ending not in FORMATS:
        raise UsageError(f"there is no format '{ending}'. {did_you_mean(ending, FORMATS)}")
    # Letters stay letters in a PDF.
    with styled(), mpl.rc_context({"pdf.fonttype": 42}):
        drawn = laid_out(drawing, width=width)
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(file, format=ending, dpi=dpi, metadata=_DATES[ending])


def as_html(drawing: Drawing, alt: str, caption: str) -> str:
    """A figure with its caption as HTML that needs no file beside it, for a light and for a dark ground."""
    photographs, alt = drawing.kind == PHOTOGRAPHS, html.escape(alt, quote=True)
    paths, kind = (("", ""), "image/webp") if photographs else ((".svg",), "image/svg+xml")
    arguments = {**drawing.arguments, "width": float(_NOTEBOOK)}
    light, *dark = pictures(replace(drawing, arguments=arguments, paths=paths))
    sources = [
        f"data:{kind};base64,{base64.b64encode(one.data).decode()}" for one in (light, *dark)
    ]
    size = f'width="{light.width}" height="{light.height}"'
    other = "".join(
        f'<source media="(prefers-color-scheme: dark)" srcset="{source}">' for source in sources[1:]
    )
    # A chart is dark ink on a clear ground, which stays readable on white paper only.
    ground = "" if photographs else ' style="background: #fff"'
    picture = f'<picture>{other}<img src="{sources[0]}" alt="{alt}" {size}{ground}></picture>'
    return f"<figure>{picture}<figcaption>{html.escape(caption)}</figcaption></figure>"
