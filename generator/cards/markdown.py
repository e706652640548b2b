"""A card as Markdown, for a README.md. What comes from models and exhibits stays text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from generator.addresses import on_the_web
from generator.cards.tree import (
    Block,
    Card,
    CardFigure,
    Code,
    Facts,
    Gallery,
    Inline,
    Items,
    Line,
    Listing,
    Paragraph,
    Section,
    Strong,
    Table,
)
from generator.figures.figure import Figure

# An underscore within a word is no mark, and an ampersand is one only before a name and a semicolon.
_SPECIAL = re.compile(r"([\\`*\[\]<|~$]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;))")


@dataclass(frozen=True)
class Markdown:
    """How addresses are written: `files` has the names of the files beside the card, by address.

    Links into the site start with `site`; without one they are written as plain text.
    """

    files: Mapping[str, str]
    site: str = ""

    def parts(self, card: Card) -> list[tuple[str, str]]:
        """The card in pieces that are kept apart: the title, then each section, as (name, text)."""
        title = f"# {escaped(card.title)}\n\n{escaped(card.lead)}".strip()
        return [("title", title), *((each.key, self.section(each, 2)) for each in card.sections)]

    def section(self, section: Section, level: int) -> str:
        """One section with those in it, its heading of the given level."""
        blocks = [f"{'#' * level} {escaped(section.title)}"]
        blocks += [self.block(block) for block in section.blocks]
        blocks += [self.section(each, level + 1) for each in section.sections]
        return "\n\n".join(blocks)

    def block(self, block: Block) -> str:
        """One block, without an empty line around it."""
        writers: Mapping[type, Callable[..., str]] = {
            Paragraph: lambda b: _started(self.line(b.parts)),
            Items: lambda b: "\n".join(f"- {self.line(item)}" for item in b.items),
            Table: self._table,
            Facts: lambda b: "\n".join(
                f"- **{escaped(name)}:** {self.line(value)}" for name, value in b.rows
            ),
            CardFigure: lambda b: self._figure(b.figure),
            Gallery: self._gallery,
            Listing: _listing,
        }
        return writers[type(block)](block)

    def line(self, parts: Line) -> str:
        """Text with its marks and links."""
        return "".join(self._inline(part) for part in parts)

    def _inline(self, part: Inline) -> str:
        if isinstance(part, str):
            return escaped(part)
        if isinstance(part, Code):
            return _code(part.text)
        if isinstance(part, Strong):
            return f"**{escaped(part.text)}**"
        target = self.address(part.target)
        return f"[{escaped(part.text)}]({target})" if target else escaped(part.text)

    def address(self, target: str) -> str:
        """Where a link leads; empty where there is no site to lead into."""
        if target in self.files:
            return self.files[target]
        if not re.match(r"https?://", target):
            target = on_the_web(self.site, target)
        return re.sub(r"[\s()<>\\]", lambda found: f"%{ord(found[0]):02X}", target)

    def _table(self, table: Table) -> str:
        sides = ["---" if n < table.numbers else "---:" for n in range(len(table.head))]
        rows = [" | ".join(escaped(name) for name in table.head), " | ".join(sides)]
        rows += [" | ".join(_cell(self.line(cell)) for cell in row) for row in table.rows]
        lines = "\n".join(f"| {row} |" for row in rows)
        return f"{lines}\n\n{_started(escaped(table.caption))}" if table.caption else lines

    def _figure(self, figure: Figure) -> str:
        picture = f"![{escaped(figure.alt)}]({self.files[figure.path]})"
        return f"{picture}\n\n{_started(escaped(figure.caption))}" if figure.caption else picture

    def _gallery(self, gallery: Gallery) -> str:
        pictures = [
            f"![{escaped(figure.alt)}]({self.files[figure.path]})" for figure, _ in gallery.pictures
        ]
        names = [self._inline(link) for _, link in gallery.pictures]
        rows = [pictures, [":---:"] * len(pictures), names]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def escaped(text: str) -> str:
    """Text in which Markdown and HTML see nothing of their own; white space becomes one space."""
    return _SPECIAL.sub(r"\\\1", re.sub(r"\s+", " ", text))


def _started(text: str) -> str:
    """A paragraph that does not start as a list, a quotation or a heading does."""
    text = text.strip()
    number = re.match(r"\d+(?=[.)])", text)
    if number:
        return f"{number[0]}\\{text[number.end() :]}"
    return f"\\{text}" if re.match(r"[-+=#>]", text) else text


def _cell(text: str) -> str:
    """A bar would end the cell, in code too."""
    return re.sub(r"(?<!\\)\|", r"\\|", text.strip())


def _code(text: str) -> str:
    plain = " ".join(text.split())
    longest = max((len(run) for run in re.findall("`+", plain)), default=0)
    marks = "`" * (longest + 1)
    room = " " if plain.startswith("`") or plain.endswith("`") or not plain else ""
    return f"{marks}{room}{plain}{room}{marks}"


def _listing(listing: Listing) -> str:
    longest = max((len(run) for run in re.findall("`+", listing.text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{listing.language}\n{listing.text.rstrip()}\n{marks}"
