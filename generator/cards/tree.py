"""A model card as a typed tree of sections, which can be selected and replaced.

It knows neither Markdown nor HTML: `generator.cards.markdown` and `templates/card.html` render the same
tree, the one for a README.md, the other for the site.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from generator.addresses import Link
from generator.errors import UsageError, did_you_mean
from generator.figures.figure import Figure


@dataclass(frozen=True)
class Code:
    """Text in the type of code."""

    text: str


@dataclass(frozen=True)
class Strong:
    """Text that stands out."""

    text: str


# A link's target is an address in the site, or one of the web that starts with http.
Inline = str | Code | Strong | Link
Line = tuple[Inline, ...]


def in_a_row(parts: Iterable[Line]) -> Line:
    """Parts of a line, with commas between them."""
    return tuple(
        one for place, part in enumerate(parts) for one in (*([", "] if place else []), *part)
    )


@dataclass(frozen=True)
class Paragraph:
    """One paragraph."""

    kind: ClassVar[str] = "paragraph"
    parts: Line


@dataclass(frozen=True)
class Items:
    """A list without numbers."""

    kind: ClassVar[str] = "items"
    items: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """Rows under a head; the first column names them, those from `numbers` on hold numbers."""

    kind: ClassVar[str] = "table"
    head: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    caption: str = ""
    numbers: int = 1


@dataclass(frozen=True)
class Facts:
    """Names and what is said of them."""

    kind: ClassVar[str] = "facts"
    rows: tuple[tuple[str, Line], ...]


@dataclass(frozen=True)
class CardFigure:
    """A drawn picture with its caption."""

    kind: ClassVar[str] = "figure"
    figure: Figure


@dataclass(frozen=True)
class Gallery:
    """Small pictures side by side, each with a link."""

    kind: ClassVar[str] = "gallery"
    pictures: tuple[tuple[Figure, Link], ...]


@dataclass(frozen=True)
class Listing:
    """Lines of code or of BibTeX."""

    kind: ClassVar[str] = "listing"
    text: str
    language: str = ""


Block = Paragraph | Items | Table | Facts | CardFigure | Gallery | Listing


@dataclass(frozen=True)
class Section:
    """A section with what is in it; `key` names it in addresses and in paths such as inside/heads."""

    key: str
    title: str
    blocks: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = ()

    @property
    def anchor(self) -> str:
        """Where on its page a link to what it shows leads."""
        return self.key

    @property
    def empty(self) -> bool:
        """Whether there is nothing to say."""
        return not self.blocks and all(each.empty for each in self.sections)


@dataclass(frozen=True)
class Card:
    """A model card: a title, a sentence or two, and sections, none of which is empty."""

    title: str
    lead: str
    sections: tuple[Section, ...]

    def select(self, path: str) -> Section:
        """The section at a path such as "evaluation" or "inside/heads". Raises UsageError."""
        level, found = self.sections, None
        for key in path.split("/"):
            found = next((each for each in level if each.key == key), None)
            if found is None:
                hint = did_you_mean(key, [each.key for each in level])
                raise UsageError(f"The card has no section '{path}'. {hint}")
            level = found.sections
        assert found is not None
        return found

    def replaced(self, path: str, section: Section) -> Card:
        """The card with another section in the place of the one at `path`. Raises UsageError."""
        self.select(path)
        return replace(self, sections=_replaced(self.sections, path.split("/"), (section,)))

    def without(self, path: str) -> Card:
        """The card without the section at `path`. Raises UsageError."""
        self.select(path)
        return replace(self, sections=_replaced(self.sections, path.split("/"), ()))

    def added(self, section: Section, after: str = "") -> Card:
        """The card with one more section behind the top one named `after`, or at the end."""
        if not after:
            return replace(self, sections=(*self.sections, section))
        place = self.sections.index(self.select(after)) + 1
        return replace(self, sections=(*self.sections[:place], section, *self.sections[place:]))

    def keys(self) -> frozenset[str]:
        """The keys of all sections, at every depth: each is an id on the page."""
        return frozenset(section.key for section in _every(self.sections))

    def figures(self) -> Iterator[Figure]:
        """Every picture in it, in order."""
        for block in (block for section in _every(self.sections) for block in section.blocks):
            if isinstance(block, CardFigure):
                yield block.figure
            elif isinstance(block, Gallery):
                yield from (figure for figure, _ in block.pictures)


def filled(sections: Iterable[Section]) -> tuple[Section, ...]:
    """The sections that say something, their own sections likewise."""
    return tuple(
        replace(each, sections=filled(each.sections)) for each in sections if not each.empty
    )


def _replaced(
    sections: Sequence[Section], path: Sequence[str], by: tuple[Section, ...]
) -> tuple[Section, ...]:
    found: list[Section] = []
    for each in sections:
        if each.key != path[0]:
            found.append(each)
        elif len(path) == 1:
            found.extend(by)
        else:
            found.append(replace(each, sections=_replaced(each.sections, path[1:], by)))
    return tuple(found)


def _every(sections: Sequence[Section]) -> Iterator[Section]:
    """Sections at every depth, each before its own."""
    for section in sections:
        yield section
        yield from _every(section.sections)
