"""The slide view of an article: what can be looked at fills slides, what is read goes to the notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

from markupsafe import Markup

from generator.addresses import Link
from generator.articles.addresses import rewrite_links
from generator.articles.markdown import as_text

# What this component reads holds addresses that start at the article.
_APART = 'id="blocks-data"'
WORDS = 110  # on a slide of text
_VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "source",
        "track",
        "wbr",
    ]
)
_LINKS = (
    "href",
    "src",
    "poster",
    *(f"data-{name}" for name in ("picture", "source", "alone", "heads", "neurons")),
)
_SECTION = re.compile(r"<(/?)section\b")


@dataclass(frozen=True)
class Slide:
    """One slide; `continued` says that the heading stood on the slide before too."""

    heading: str
    content: Markup
    notes: Markup
    continued: bool


Stack = tuple[Slide, ...]
"""The slides of one section."""


def slides_link(section: str, stem: str) -> Link:
    """The slide view of an article."""
    return Link(f"{section}/{stem}/slides/index.html", "Slides")


def stacks(title: str, body: str) -> tuple[Stack, ...]:
    """The finished HTML of an article as slides, a stack for each section.

    Links are those of a page in a folder of its own below the article's.
    """
    found: list[Stack] = []
    for heading, elements in _sections(_one_deeper(str(body))):
        made = tuple(_slides(heading or title, elements))
        if heading and heading.startswith("\t") and found:
            found[-1] += made
        else:
            found.append(made)
    return tuple(stack for stack in found if stack)


def _sections(body: str) -> Iterator[tuple[str, list[_Element]]]:
    """Headings with the elements below each; a lower heading starts with a tab."""
    heading, below = "", list[_Element]()
    for element in elements_of(body):
        if element.tag in {"h2", "h3"}:
            yield heading, below
            heading = ("\t" if element.tag == "h3" else "") + as_text(element.html)
            below = []
        elif "footnote" not in element.classes and _APART not in element.html:
            below.append(element)
    yield heading, below


def _slides(heading: str, elements: list[_Element]) -> Iterator[Slide]:
    heading, continued = heading.strip(), False
    text: list[_Element] = []
    for element in elements:
        if element.looked_at:
            yield Slide(heading, _on_slide(element), _joined(text), continued)
            text, continued = [], True
        else:
            text.append(element)
    for part in _slide_texts(text):
        yield Slide(heading, _joined(part), Markup(""), continued)
        continued = True


def _on_slide(element: _Element) -> Markup:
    """An element as it fills a slide; what is played with is a link to it, as it needs a page's room."""
    if "c-widget" in element.classes:
        return Markup('<p><a href="../index.html">Play with this part in the article</a></p>')
    # A section within a section would be a slide of its own.
    return Markup(_SECTION.sub(r"<\1div", element.html))


def _slide_texts(text: list[_Element]) -> Iterator[list[_Element]]:
    """Elements together until a slide is full; notes from the gutter belong to what is said, not shown."""
    part: list[_Element] = []
    words = 0
    for element in text:
        if element.tag == "aside":
            continue
        count = len(as_text(element.html).split())
        if part and words + count > WORDS:
            yield part
            part, words = [], 0
        part.append(element)
        words += count
    if part:
        yield part


def _joined(elements: list[_Element]) -> Markup:
    return Markup("\n".join(element.html for element in elements))


def _one_deeper(body: str) -> str:
    """HTML whose links start one folder further down; those within the page lead to the article."""

    def moved(link: str) -> str:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            return link
        return f"../index.html{link}" if link.startswith("#") else f"../{link}"

    return rewrite_links(body, _LINKS, moved)


@dataclass(frozen=True)
class _Element:
    """One element at the top of a page."""

    tag: str
    classes: frozenset[str]
    html: str

    @property
    def looked_at(self) -> bool:
        """Whether it is shown rather than told."""
        return self.tag not in {"p", "aside", "hr"}


def elements_of(body: str) -> list[_Element]:
    """The elements at the top of some HTML, each whole."""
    reader = _Tops(body)
    reader.feed(body)
    reader.close()
    return reader.found


@dataclass(eq=False)
class _Tops(HTMLParser):
    body: str
    found: list[_Element] = field(default_factory=list)
    depth: int = 0
    start: int = 0
    tag: str = ""
    classes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        super().__init__()
        ends = re.finditer("\n", self.body)
        self.lines = [0, *(match.end() for match in ends)]

    def _place(self) -> int:
        line, column = self.getpos()
        return self.lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for every tag that opens."""
        if self.depth == 0:
            self.start, self.tag = self._place(), tag
            self.classes = frozenset((dict(attrs).get("class") or "").split())
        if tag not in _VOID:
            self.depth += 1

    def handle_endtag(self, tag: str) -> None:
        """Called for every tag that closes."""
        if tag in _VOID or self.depth == 0:
            return
        self.depth -= 1
        if self.depth == 0:
            end = self.body.index(">", self._place()) + 1
            self.found.append(_Element(self.tag, self.classes, self.body[self.start : end]))
