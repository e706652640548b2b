"""The glossary: what the terms mean that pages link to, and the figures of the exhibit that show them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from generator.addresses import GLOSSARY
from generator.articles.bibliography import Bibliography, Reference
from generator.articles.glossary_file import with_shipped
from generator.articles.markdown import as_text, convert_line
from generator.maths import as_markdown
from generator.pages.context import Place, home
from generator.pages.environment import Pages
from generator.pages.figures import GalleryItem, Group, Thumbnail
from generator.pages.page import Page
from generator.probes.head_statistic import ABLATIONS
from generator.probes.head_statistics import HEAD_STATISTICS
from generator.terms import Term, Words

TERMS = "glossary/terms.js"  # what pages show beside a term
# The figures of a page with all figures, by technique.
Shown = Iterable[tuple[Group, Sequence[tuple[GalleryItem, Sequence[Thumbnail]]]]]


@dataclass(frozen=True)
class Entry:
    """A term as its page shows it; `figure` is where one stands in the exhibit, and its small picture."""

    term: Term
    html: Markup
    definitions: tuple[Markup, ...]
    sources: tuple[tuple[Reference, str], ...]
    figure: tuple[GalleryItem, Sequence[Thumbnail]] | None

    @property
    def letter(self) -> str:
        """What it is found under."""
        return self.term.term[0].upper()


def glossary_page(
    terms: Words, used: Iterable[str], shown: Shown, bibliography: Bibliography, pages: Pages
) -> tuple[Page, str]:
    """The page of the terms that pages link to and of those that explain them; and all as a script."""
    entries = _entries(terms, used, _figures(shown), with_shipped(bibliography))
    cited = {one.key: one for entry in entries for one, _ in entry.sources}
    page = pages.page(
        "glossary.html",
        GLOSSARY,
        "Glossary",
        "The words of these pages in plain sentences, each with its formula and where it comes from.",
        place=Place((home(),)),
        entries=entries,
        references=sorted(cited.values(), key=lambda one: one.number),
    )
    told = {one.term.id: (one.term.term, as_text(one.html)) for one in entries}
    return pages.fill(page), f"cutawayTerms={json.dumps(told, ensure_ascii=False)}"


def _entries(
    words: Words,
    used: Iterable[str],
    figures: Mapping[str, tuple[GalleryItem, Sequence[Thumbnail]]],
    references: Bibliography,
) -> list[Entry]:
    texts: dict[str, str] = {}
    todo = [name for name in used if name in words.terms]
    while todo:
        name = todo.pop()
        if name not in texts:
            marked = words.mark(convert_line(words.terms[name].text), "p")
            texts[name], more = words.within(marked, name)
            todo += more
    found = sorted((words.terms[name] for name in texts), key=lambda term: term.term.lower())
    cited: dict[str, int] = {}
    for term in found:
        for key in term.sources:
            cited.setdefault(key, len(cited) + 1)
    return [
        Entry(
            term,
            Markup(texts[term.id]),
            tuple(Markup(convert_line(as_markdown(one))) for one in definitions(term)),
            tuple(
                (references.reference(key, cited[key]), _short(references, key))
                for key in term.sources
            ),
            figures.get(term.figure),
        )
        for term in found
    ]


def definitions(term: Term) -> tuple[str, ...]:
    """How its statistics are computed, in the words of the pages that have them."""
    every = (*HEAD_STATISTICS, *ABLATIONS.values())
    named = len({one.name for one in every if one.column in term.statistics}) > 1
    return tuple(
        dict.fromkeys(
            f"{one.name}: {one.words}" if named else one.words
            for column in term.statistics
            for one in every
            if one.column == column
        )
    )


def _short(references: Bibliography, key: str) -> str:
    """A work in a word or two: Clark et al. 2019."""
    entry = references.entries[key]
    names = [
        " ".join((*one.prelast_names, *one.last_names)).strip("{}")
        for one in entry.persons["author"]
    ]
    who = (
        names[0]
        if len(names) == 1
        else " & ".join(names)
        if len(names) == 2
        else f"{names[0]} et al."
    )
    return f"{who} {entry.fields['year']}"


def _figures(shown: Shown) -> dict[str, tuple[GalleryItem, Sequence[Thumbnail]]]:
    """The first figure of each kind."""
    return {kind: items[0] for group, items in shown for kind in group.kinds if items}
