"""Figures outside a site: as files for papers, slides and other pages, and in notebooks."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
from markupsafe import Markup

from generator.errors import UsageError, did_you_mean
from generator.figures import alone
from generator.figures.designs import laid_out, pictures
from generator.figures.drawing import PHOTOGRAPHS, Drawing
from generator.figures.style import Picture, styled

FORMATS = ("pdf", "svg", "png", "html")
# What may be wider than its frame scrolls in a box of its own, which the keyboard must reach.
_SCROLLS = (
    '<div class="c-alone__figure" tabindex="0" role="group" aria-label="Figure, scrolls sideways">'
)
_NOTEBOOK = 680  # CSS pixels
# No date, so that the same figure has the same bytes.
_DATES = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


def save(drawing: Drawing, said: alone.Said, file: Path, width: float, dpi: int) -> None:
    """Write a figure as PDF, SVG, PNG or HTML, by the ending of the file, `width` CSS pixels wide.

    Raises UsageError for another ending.
    """
    ending = file.suffix.removeprefix(".").lower()
    if ending == "html":
        save_page(drawing, said, file, width)
        return
    if ending not in FORMATS:
        raise UsageError(f"there is no format '{ending}'. {did_you_mean(ending, FORMATS)}")
    # Letters stay letters in a PDF.
    with styled(), mpl.rc_context({"pdf.fonttype": 42}):
        drawn = laid_out(drawing, width=width)
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(file, format=ending, dpi=dpi, metadata=_DATES[ending])


def save_page(drawing: Drawing, said: alone.Said, file: Path, width: float) -> None:
    """Write a figure as one HTML file, `width` CSS pixels wide where its frame has the room."""
    drawn, ending = _both_grounds(drawing, width)
    chart = len(drawn) == 1
    grounds = ("ink",) if chart else ("c-on-light", "c-on-dark")
    shown = (
        _image(one, ending, said.alt, ground) for one, ground in zip(drawn, grounds, strict=True)
    )
    body = Markup(_SCROLLS) + Markup("".join(shown)) + Markup("</div>")
    alone.write(file, alone.page(drawing.kind, said, body), "a figure")


def as_html(drawing: Drawing, alt: str, caption: str) -> str:
    """A figure with its caption as HTML that needs no file beside it, for a light and for a dark ground."""
    (light, *dark), ending = _both_grounds(drawing, _NOTEBOOK)
    other = "".join(
        f'<source media="(prefers-color-scheme: dark)" srcset="{alone.embedded(one.data, ending)}">'
        for one in dark
    )
    # Drawn on a clear ground. A chart is dark ink, for white paper only; of photographs there is one for
    # either palette of the system, which need not be that of the notebook.
    paper = "canvas; color-scheme: light dark" if dark else "#fff"
    ground = f' style="background: {paper}"'
    picture = f"<picture>{other}{_image(light, ending, alt, more=ground)}</picture>"
    return f"<figure>{picture}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _both_grounds(drawing: Drawing, width: float) -> tuple[Sequence[Picture], str]:
    """A chart, or photographs for a light and for a dark ground; and the ending of such pictures."""
    paths, ending = (("", ""), ".webp") if drawing.kind == PHOTOGRAPHS else ((".svg",), ".svg")
    arguments = {**drawing.arguments, "width": float(width)}
    return pictures(replace(drawing, arguments=arguments, paths=paths)), ending


def _image(picture: Picture, ending: str, alt: str, ground: str = "", more: str = "") -> str:
    source, named = alone.embedded(picture.data, ending), f' class="{ground}"' if ground else ""
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<img src="{source}" alt="{html.escape(alt, quote=True)}" {size}{named}{more}>'
