"""The Jinja environment of all pages: everything escaped, nothing undefined passes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    FunctionLoader,
    StrictUndefined,
)
from jinja2.bccache import Bucket, BytecodeCache
from markupsafe import Markup

from generator.addresses import relative
from generator.figures.figure import Figure
from generator.figures.render import Drawn
from generator.files import read_text
from generator.formatting import number, percent, thousands
from generator.maths import set_maths
from generator.pages.page import Page, naming
from generator.pages.sections import OWN
from generator.terms import Words


class _Compiled(BytecodeCache):
    """What templates were compiled to in this process, by their text: a build makes several environments."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if known := self._kept.get((bucket.key, bucket.checksum)):
            bucket.bytecode_from_string(known)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


class Pages:
    """Makes pages of templates, and fills them once all pictures are drawn.

    Where a page first has one of the `words` it links to what it means. `pictures` is what is drawn
    already. Every page of a site that is `unfinished` says so.
    """

    def __init__(
        self,
        templates: Path,
        pictures: Mapping[str, Drawn],
        words: Words | None = None,
        *,
        unfinished: bool = False,
    ) -> None:
        self._templates = templates
        self._pictures = pictures
        self.words = words or Words()
        self._unfinished = unfinished
        sources = [FunctionLoader(_own), FileSystemLoader(templates)]
        self._jinja = Environment(
            loader=_Marked(ChoiceLoader(sources), self.words),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            bytecode_cache=_COMPILED,
            auto_reload=False,  # no template changes while a site is made
        )
        self._jinja.filters.update(num=number, percent=percent, thousands=thousands)
        self._jinja.filters["drawn"] = self._drawn
        self._jinja.filters.update(term=self.words.marked, maths=set_maths)
        self._jinja.globals.update(glossary=self.words.address, unfinished=unfinished)
        # Once for all templates: each that imported it would make it anew for every page.
        self._jinja.globals["c"] = self._jinja.get_template("partials/macros.html").module

    def with_pictures(self, pictures: Mapping[str, Drawn]) -> Pages:
        """The same templates with these pictures."""
        both = {**self._pictures, **pictures}
        return Pages(self._templates, both, self.words, unfinished=self._unfinished)

    @property
    def of_unfinished(self) -> Pages:
        """The same for a site that is still being made."""
        return Pages(self._templates, self._pictures, self.words, unfinished=True)

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
        lean: bool = True,
        front: Mapping[str, Any] | None = None,
        **context: Any,
    ) -> Page:
        """A page of a template and what it is filled with. `front` is more front matter."""
        meta = front or {}
        return Page(address, title, description, template, context, searchable, lean, meta)

    def fill(self, page: Page) -> Page:
        """The page with its body. Links in a template are written with `to(address)`."""
        with naming(page.address):
            to = partial(relative, page.address)
            template = self._jinja.get_template(page.template)
            known = {"to": to, "address": page.address, "title": page.title, "lean": page.lean}
            body = template.render(**known, **page.context)
        # A blank line would end a block of HTML in Markdown, and indentation would make it code.
        lines = (line.strip() for line in _PRE.sub(_on_one_line, body).splitlines())
        kept, terms = self.words.link("\n".join(line for line in lines if line), to)
        if not page.searchable:  # thousands of leaf pages, where nothing is searched
            kept = kept.replace(" data-search-exclude", "")
        return replace(page, body=kept, terms=terms, meta={**page.meta, **self._previewed(page)})

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


class _Marked(BaseLoader):
    """Templates with marks at the terms in their prose: what fills them is not looked at."""

    def __init__(self, loader: BaseLoader, words: Words) -> None:
        self._loader, self._words = loader, words

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Called by Jinja for each template."""
        source, file, unchanged = self._loader.get_source(environment, template)
        return self._words.mark(source), file, unchanged


def _own(name: str) -> str | None:
    """A template of the user's own, by its path."""
    return read_text(Path(name.removeprefix(OWN))) if name.startswith(OWN) else None


# Preformatted text keeps its lines all the same.
_PRE = re.compile(r"<pre\b.*?</pre>", re.DOTALL)


def _on_one_line(match: re.Match[str]) -> str:
    return match[0].replace("\n", "&#10;")
