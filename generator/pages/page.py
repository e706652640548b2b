"""A page of the site: what it shows, and how the builder reads it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml

from generator.figures.figure import Figure
from generator.store import BusyError


@dataclass(frozen=True)
class Page:
    """One page: its address, what search engines read, its template, and what that is filled with.

    `body` is finished HTML, empty until all pictures of the page are drawn. A page that is not `searchable`
    stays out of the builder's search index. One that is `lean` has a small header and none of the theme's own
    styles and scripts; the others can search the text of all pages. `meta` is more for the front
    matter, where the theme finds it. `terms` are those of the glossary that the body links to.
    """

    address: str
    title: str
    description: str
    template: str
    context: Mapping[str, Any] = field(repr=False)
    searchable: bool = True
    lean: bool = True
    meta: Mapping[str, Any] = field(default_factory=dict)
    body: str = field(default="", repr=False)
    terms: frozenset[str] = frozenset()

    def figures(self) -> Iterator[tuple[Figure, str]]:
        """The figures among what the page shows, each once, and the id of the section that it stands in."""
        return figures_in(list(self.context.values()))

    @property
    def source(self) -> str:
        """The file below the docs folder that the builder turns into this page."""
        return str(PurePosixPath(self.address).with_suffix(".md"))

    def as_markdown(self) -> str:
        """Front matter and body, in the form that the builder reads.

        Python-Markdown is the dearest step of a build, and only searched pages need to pass it:
        the others travel in the front matter and are printed by the theme as they are.
        """
        # The theme prints both as they are, into HTML.
        meta: dict[str, object] = {
            "title": _clean(html.escape(self.title)),
            "description": _clean(html.escape(self.description)),
            "hide": ["navigation", "toc"],
            **({"template": "lean.html"} if self.lean else {}),
            **self.meta,
        }
        body = _clean(self.body)
        if self.searchable:
            return f"---\n{_yaml(meta)}---\n\n{body}\n"
        meta["search"] = {"exclude": True}
        block = "\n".join(f"  {line}" if line else "" for line in tight(body).splitlines())
        return f"---\n{_yaml(meta)}html: |-\n{block}\n---\n"


def tight(body: str) -> str:
    """HTML without what a browser adds by itself: optional end tags, quotes, line breaks between blocks."""
    ended = _OPTIONAL.sub("", body)
    return _BETWEEN.sub("", _TAG.sub(lambda tag: "".join(_QUOTED.split(tag[0])), ended))


_OPTIONAL = re.compile(r"</(?:t[rdh]|thead|tbody|li|d[td])>\n?")
_TAG = re.compile(r'<[a-z][^<>]*="[^<>]*>')  # what stands in scripts and in text stays as it is
_QUOTED = re.compile(r'(?<==)"([\w.#:/%-]+)"(?=[ >])')  # split there, a tag has none
_BLOCKS = (
    "t[rdh]|table|thead|tbody|caption|figure|figcaption|div|p|section|h[1-6]|[uod]l|li|d[td]|nav"
)
_BETWEEN = re.compile(rf"\n(?=</?(?:{_BLOCKS}|blockquote|details|header)[ >])")


def figures_in(value: Any) -> Iterator[tuple[Figure, str]]:
    """The figures within what a page shows, each once, and the id of the section that it stands in."""
    found: list[tuple[Figure, str]] = []
    _add_figures(value, "", set(), found)
    return iter(found)


def there(make: Callable[[], Page]) -> Iterator[Page]:
    """A page, unless it shows what is not measured yet."""
    try:
        page = make()
    except BusyError:
        return
    yield page


def _add_figures(value: Any, section: str, seen: set[int], found: list[tuple[Figure, str]]) -> None:
    """Add the figures within lists, mappings and what pages are made of, in order."""
    if id(value) in seen:
        return
    seen.add(id(value))
    inner: Iterable[Any] = ()
    if isinstance(value, Figure):
        found.append((value, section))
    elif isinstance(value, list | tuple):
        inner = value
    elif isinstance(value, Mapping):
        inner = value.values()
    elif names := _fields(type(value)):
        section = getattr(value, "anchor", section)
        inner = [getattr(value, name) for name in names]
    for each in inner:
        if not isinstance(each, _PLAIN):
            _add_figures(each, section, seen, found)


def _fields(kind: type[Any]) -> tuple[str, ...]:
    """The fields in which figures are looked for; none of what was measured."""
    if kind not in _FIELDS:
        shown = is_dataclass(kind) and kind.__module__.startswith(_SHOWN)
        _FIELDS[kind] = tuple(each.name for each in fields(kind)) if shown else ()
    return _FIELDS[kind]


_FIELDS: dict[type[Any], tuple[str, ...]] = {}
_PLAIN = (str, int, float, type(None))
# What pages show is made here; what was measured holds no figures, and is large.
_SHOWN = ("generator.pages.", "generator.cards.", "generator.techniques.")


def _clean(text: str) -> str:
    """Text without the characters that YAML forbids and Markdown keeps for itself."""
    return _FORBIDDEN.sub("\ufffd", text)


_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def _yaml(meta: dict[str, object]) -> str:
    return yaml.dump(meta, Dumper=_DUMPER, allow_unicode=True, sort_keys=False, width=10_000)


_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times as fast, where it was compiled


@contextmanager
def naming(address: str) -> Iterator[None]:
    """Errors raised within name the page that they came from."""
    try:
        yield
    except Exception as error:
        error.add_note(f"while writing the page {address}")
        raise
