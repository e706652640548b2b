"""A figure or a live component as one HTML file: styles, scripts, pictures and data within it.

Such a file opens from disk and in a frame of any page, and asks nobody for anything: its policy forbids that.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from generator.errors import UsageError
from generator.figures.drawing import Drawing
from generator.figures.render import drawn_now
from generator.figures.style import Picture
from generator.files import read_text
from generator.formatting import number
from generator.paths import data_root

_STYLES = ("palette", "lean", "cutaway")  # of every file
_FIRST_HEIGHT = 480  # CSS pixels of a frame in a notebook, before its page has said how high it is
_KINDS = {".webp": "image/webp", ".svg": "image/svg+xml", ".jpg": "image/jpeg"}
# Faces lie in files of their own; without them the stand-ins show.
_FACES = re.compile(r"@font-face \{[^}]*url\([^}]*\}\n?")


@dataclass(frozen=True)
class Said:
    """What stands around a component: its alternative in words, its caption, and what it was measured on."""

    alt: str
    caption: str
    source: str


def page(
    name: str,
    said: Said,
    body: Markup,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    data: Sequence[str] = (),
) -> str:
    """A whole page: `styles` and `scripts` by their names in site_src, `data` as the text of scripts."""
    template = _environment().get_template("alone.html")
    sheets = (_FACES.sub("", _static(f"stylesheets/{each}.css")) for each in (*_STYLES, *styles))
    code = (_static(f"javascripts/{each}.js") for each in ("embed", *scripts))
    return template.render(
        name=name,
        said=said,
        body=body,
        styles=Markup("\n".join(sheets)),
        scripts=[Markup(one) for one in (*data, *code)],
        live=bool(scripts),
    )


def write(file: Path, text: str, what: str) -> None:
    """Write a page. Raises UsageError for an ending that is not .html."""
    if file.suffix.lower() != ".html":
        raise UsageError(f"{what}, and a file of it ends in .html, not '{file.suffix}'.")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def framed(text: str, title: str) -> str:
    """A frame around a page, for notebooks; the page makes it as high as itself."""
    quoted = html.escape(text, quote=True)
    return (
        f'<iframe data-cutaway srcdoc="{quoted}" title="{html.escape(title, quote=True)}" width="100%" '
        f'height="{_FIRST_HEIGHT}" style="border: 0"></iframe>'
    )


def drawn(drawings: Iterable[Drawing]) -> dict[str, Picture]:
    """Pictures by their path in the site, drawn in this process."""
    return {
        path: picture
        for drawing in drawings
        for path, picture in zip(drawing.paths, drawn_now(drawing), strict=True)
    }


def ways(pictures: Mapping[str, Picture], files: Collection[str]) -> Callable[[str], str]:
    """What an address of the site is in a file alone: a picture itself, a script that is within, else ""."""

    def to(address: str) -> str:
        if address in pictures:
            return embedded(pictures[address].data, Path(address).suffix)
        # An address can have gaps, such as {layer}, that a script fills.
        known = re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(address)))
        return address if any(known.fullmatch(file) for file in files) else ""

    return to


def embedded(data: bytes, ending: str) -> str:
    """A picture as an address that holds it."""
    return f"data:{_KINDS[ending]};base64,{base64.b64encode(data).decode()}"


def macro(template: str, name: str, pictures: Mapping[str, Picture], *arguments: object) -> Markup:
    """What a macro of a template makes, of pictures that are drawn."""
    environment = _environment()
    environment.filters["drawn"] = lambda figure: pictures[figure.path]
    made = getattr(environment.get_template(template).module, name)(*arguments)
    return Markup(made.strip())


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(data_root() / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(num=number, drawn=lambda _: None)
    return made


@cache
def _static(name: str) -> str:
    return read_text(data_root() / "site_src" / name)
