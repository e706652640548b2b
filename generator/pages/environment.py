"""The Jinja environment of all pages: everything escaped, nothing undefined passes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, FunctionLoader, StrictUndefined
from markupsafe import Markup

from generator.addresses import relative
from generator.figures.figure import Figure
from generator.figures.render import Drawn
from generator.files import read_text
from generator.formatting import number, percent, thousands
from generator.pages.page import Page, naming
from generator.pages.sections import OWN


class Pages:
    """Makes pages of templates, and fills them once all pictures are drawn.

    Pages of models link to `glossary`, the address of a page that explains words; to none if it is empty.
    `pictures` is what is drawn already. Every page of a site that is `unfinished` says so.
    """

    def __init__(
        self,
        templates: Path,
        pictures: Mapping[str, Drawn],
        glossary: str = "",
        *,
        unfinished: bool = False,
    ) -> None:
        self._templates = templates
        self._pictures = pictures
        self._glossary = glossary
        self._unfinished = unfinished
        self._jinja = Environment(
            loader=ChoiceLoader([FunctionLoader(_own), FileSystemLoader(templates)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.filters.update(num=number, percent=percent, thousands=thousands)
        self._jinja.filters["drawn"] = self._drawn
        self._jinja.globals.update(glossary=glossary, unfinished=unfinished)

    def with_pictures(self, pictures: Mapping[str, Drawn]) -> Pages:
        """The same templates with these pictures."""
        both = {**self._pictures, **pictures}
        return Pages(self._templates, both, self._glossary, unfinished=self._unfinished)

    @property
    def of_unfinished(self) -> Pages:
        """The same for a site that is still being made."""
        return Pages(self._templates, self._pictures, self._glossary, unfinished=True)

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
        """A page of a template and what it is filled with. `front` is more front matter."""
        meta = front or {}
        return Page(address, title, description, template, context, searchable, lean, meta)

    def fill(self, page: Page) -> Page:
        """The page with its body. Links in a template are written with `to(address)`."""
        with naming(page.address):
            body = self._jinja.get_template(page.template).render(
                to=partial(relative, page.address),
                address=page.address,
                title=page.title,
                **page.context,
            )
        # A blank line would end a block of HTML in Markdown, and indentation would make it code.
        lines = (line.strip() for line in _PRE.sub(_on_one_line, body).splitlines())
        kept = "\n".join(line for line in lines if line)
        return replace(page, body=kept, meta={**page.meta, **self._previewed(page)})

    def _drawn(self, figure: Figure) -> Drawn:
        """The file of a figure with its size."""
        return self._pictures[figure.path]

    def _previewed(self, page: Page) -> dict[str, Any]:
        """What the head of a page says of its preview, if one was drawn into the page's folder."""
        path = str(PurePosixPath(page.address).with_name("preview.jpg"))
        if path not in self._pictures:
            return {}
        shown = {"image": path, "image_alt": f"The title, “{page.title}”, beside a figure"}
        return {"head": {**shown, **page.meta.get("head", {})}}


def _own(name: str) -> str | None:
    """A template of the user's own, by its path."""
    return read_text(Path(name.removeprefix(OWN))) if name.startswith(OWN) else None


# Preformatted text keeps its lines all the same.
_PRE = re.compile(r"<pre\b.*?</pre>", re.DOTALL)


def _on_one_line(match: re.Match[str]) -> str:
    return match[0].replace("\n", "&#10;")
