"""The Jinja environment of all pages: everything escaped, nothing undefined passes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from generator.figures.render import Drawn
from generator.pages.page import Page, naming, relative


@dataclass(frozen=True)
class Figure:
    """A picture on a page. `ink` marks a drawing that turns light on the dark palette."""

    path: str
    width: int
    height: int
    alt: str
    caption: str = ""
    ink: bool = False
    pixelated: bool = False


class Pages:
    """Renders templates into pages; knows which pictures there are.

    Pages of models link to `glossary`, the address of a page that explains words; to none if it is empty.
    """

    def __init__(self, templates: Path, pictures: Mapping[str, Drawn], glossary: str = "") -> None:
        self._templates = templates
        self._pictures = pictures
        self._glossary = glossary
        self._jinja = Environment(
            loader=FileSystemLoader(templates),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.filters.update(num=number, percent=percent, thousands=thousands)
        self._jinja.globals["glossary"] = glossary

    def figure(
        self,
        path: str,
        alt: str,
        caption: str = "",
        *,
        ink: bool = False,
        pixelated: bool = False,
    ) -> Figure:
        """A drawn picture with what a page says of it."""
        drawn = self._pictures[path]
        return Figure(path, drawn.width, drawn.height, alt, caption, ink, pixelated)

    def with_pictures(self, more: Mapping[str, Drawn]) -> Pages:
        """The same templates with more pictures."""
        return Pages(self._templates, {**self._pictures, **more}, self._glossary)

    def has(self, path: str) -> bool:
        """Whether a picture was drawn."""
        return path in self._pictures

    def macro(self, template: str, name: str, *arguments: object) -> Markup:
        """What a macro of a template makes."""
        made = getattr(self._jinja.get_template(template).module, name)(*arguments)
        return Markup(made.strip())

    def page(
        self,
        template: str,
        address: str,
        title: str,
        description: str,
        *,
        searchable: bool = True,
        lean: bool = False,
        front: Mapping[str, Any] | None = None,
        **context: Any,
    ) -> Page:
        """Fill a template. Links in it are written with `to(address)`. `front` is more front matter."""
        with naming(address):
            body = self._jinja.get_template(template).render(
                to=partial(relative, address), address=address, title=title, **context
            )
        # A blank line would end a block of HTML in Markdown, and indentation would make it code.
        lines = (line.strip() for line in _PRE.sub(_on_one_line, body).splitlines())
        kept = "\n".join(line for line in lines if line)
        meta = {**(front or {}), **self._previewed(address, title, front or {})}
        return Page(address, title, description, kept, searchable, lean, meta)

    def _previewed(self, address: str, title: str, front: Mapping[str, Any]) -> dict[str, Any]:
        """What the head of a page says of its preview, if one was drawn into the page's folder."""
        path = str(PurePosixPath(address).with_name("preview.jpg"))
        if not self.has(path):
            return {}
        shown = {"image": path, "image_alt": f"The title, “{title}”, beside a figure"}
        return {"head": {**shown, **front.get("head", {})}}


# Preformatted text keeps its lines all the same.
_PRE = re.compile(r"<pre\b.*?</pre>", re.DOTALL)


def _on_one_line(match: re.Match[str]) -> str:
    return match[0].replace("\n", "&#10;")


NO_BREAK = "\u00a0"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


MINUS = "\u2212"


def fixed(value: float, places: int) -> str:
    """A value with `places` decimals and a true minus sign; what is rounded to zero has none."""
    text = f"{value:.{places}f}".replace("-", MINUS)
    return text if text.strip(f"{MINUS}0.") else text.removeprefix(MINUS)


def number(value: float | None, digits: int = 3) -> str:
    """A measured value with `digits` significant digits; a dash where it is not defined."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) < 10**-digits / 2:
        mantissa, power = f"{value:.1e}".split("e")
        return f"{mantissa.replace('-', MINUS)}·10" + str(int(power)).translate(_RAISED)
    exponent = int(
        f"{value:.{digits - 1}e}".split("e")[1]
    )  # after rounding: 0.9996 is written 1.00
    places = max(0, digits - 1 - exponent)
    return fixed(value, min(places, digits))


def percent(share: float | None, places: int = 1) -> str:
    """A share as a percentage, kept on one line."""
    if share is None or not math.isfinite(share):
        return "–"
    if 0 < share < 0.5 * 10 ** -(places + 2):
        return f"<{NO_BREAK}{10**-places:g}{NO_BREAK}%"
    return f"{fixed(100 * share, places)}{NO_BREAK}%"


def thousands(value: int) -> str:
    """A count with commas between thousands."""
    return f"{value:,}"
