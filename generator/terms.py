"""Terms of the glossary: found in the prose of templates and articles, linked where a page first has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Annotated

from markupsafe import Markup, escape
from pydantic import BaseModel, ConfigDict, Field

Line = Annotated[str, Field(min_length=1, max_length=400)]
Id = Annotated[str, Field(pattern=r"^[a-z0-9]+([-_.][a-z0-9]+)*$", max_length=80)]


class Term(BaseModel):
    """A term as it stands in `glossary.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Id = Field(description="its anchor on the page of the glossary")
    term: Line = Field(description="its heading")
    text: str = Field(min_length=1, max_length=2000, description="what it means, in Markdown")
    words: tuple[Line, ...] = Field((), description="other words for it that stand in texts")
    equation: str = Field("", max_length=1000, description="its formula, in LaTeX")
    statistics: tuple[Line, ...] = Field((), description="columns of heads.csv that it defines")
    sources: tuple[Line, ...] = Field((), description="keys of references.bib")
    figure: str = Field("", max_length=80, description="the technique or figure that shows it")


# Private characters: nothing that is published holds them once a page is filled.
_BEGIN, _NAMED, _END = "\ue000", "\ue001", "\ue002"
_MARKED = re.compile(f"{_BEGIN}([^{_NAMED}]*){_NAMED}([^{_END}]*){_END}")
# Tags, and what Jinja reads, which may stand within a tag.
_JINJA = r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}"
# Possessive: a "<" that opens no tag costs no more than a look to the end.
_PIECES = re.compile(rf"({_JINJA}|<!--.*?-->|<(?:{_JINJA}|[^<>])*+>)", re.DOTALL)
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)")
# Captions stand thousands of times, beside prose that has the same words.
_PROSE = frozenset(["p", "li", "dd"])
_APART = frozenset(
    ["a", "button", "code", "kbd", "label", "math", "pre", "script", "style", "summary", "svg"]
)


class Words:
    """The terms of a glossary at `address`, and where they stand in texts."""

    def __init__(self, terms: Iterable[Term] = (), address: str = "") -> None:
        self.terms = {term.id: term for term in terms}
        self.address = address
        self._of = {
            word.lower(): term.id
            for term in self.terms.values()
            for word in (term.term, *term.words)
        }
        self._columns = {column: one.id for one in self.terms.values() for column in one.statistics}
        longest = sorted(map(re.escape, self._of), key=len, reverse=True)
        self._found = re.compile(rf"(?<![\w-])({'|'.join(longest) or '(?!)'})s?(?![\w-])", re.I)

    def mark(self, html: str, inside: str = "") -> str:
        """HTML, or a template of it, whose prose has a mark at each term.

        Only what stands in a paragraph or an item is prose, and nothing that is filled in later.
        `inside` is the tag of one that was opened before.
        """
        made, apart = list[str](), list[str]()
        for piece in _PIECES.split(html):
            tag = _TAG.match(piece)
            if not tag:
                plain = not inside or apart or piece.startswith(("{", "<"))
                made.append(piece if plain else self._found.sub(self._mark, piece))
                continue
            made.append(piece)
            closes, name = tag.groups()
            if name in _PROSE:
                inside, apart = ("" if closes else name), []
            elif closes and apart[-1:] == [name]:
                apart.pop()
            elif not closes and (name in _APART or "arithmatex" in piece):
                apart.append(name)
        return "".join(made)

    def marked(self, text: str, name: str) -> Markup:
        """A text with the mark of the term of an id or a column, if there is one."""
        known = self._columns.get(name, name)
        text = escape(text)
        return Markup(f"{_BEGIN}{known}{_NAMED}{text}{_END}" if known in self.terms else text)

    def link(self, html: str, to: Callable[[str], str]) -> tuple[str, frozenset[str]]:
        """HTML with a link in place of the first mark of each term, and the terms that it has."""
        address, seen = to(self.address) if self.address else "", set[str]()

        def linked(mark: re.Match[str]) -> str:
            name, text = mark.groups()
            if name in seen:
                return text
            seen.add(name)
            return f'<a class="c-term" href="{address}#{name}">{text}</a>'

        return _MARKED.sub(linked, html), frozenset(seen)

    def within(self, html: str, own: str) -> tuple[str, frozenset[str]]:
        """The same on the page of the glossary, in the definition of the term `own`."""
        other = _MARKED.sub(lambda mark: mark[2] if mark[1] == own else mark[0], html)
        return self.link(other, lambda _: "")

    def _mark(self, match: re.Match[str]) -> str:
        return f"{_BEGIN}{self._of[match[1].lower()]}{_NAMED}{match[0]}{_END}"


def unmarked(html: str) -> Markup:
    """HTML without marks."""
    return Markup(_MARKED.sub(r"\2", html))
