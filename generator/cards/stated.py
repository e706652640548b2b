"""The sections of a card that repeat what an exhibit states of a model."""

from __future__ import annotations

import re
from collections.abc import Iterator

from generator.addresses import Link
from generator.card_schema import CardSpec, OwnSection
from generator.cards.tree import Block, Inline, Items, Line, Listing, Paragraph, Section, Table
from generator.formatting import number

_ADDRESS = re.compile(r"https?://[^\s<>]*[^\s<>.,;:!?)\]]")


def paragraphs(text: str) -> tuple[Paragraph, ...]:
    """Plain text as paragraphs, with an empty line between them; addresses become links."""
    parts = (part.strip() for part in re.split(r"\n\s*\n", text))
    return tuple(Paragraph(linked(part)) for part in parts if part)


def linked(text: str) -> Line:
    """Text whose addresses are links."""
    found: list[Inline] = []
    end = 0
    for match in _ADDRESS.finditer(text):
        found += [text[end : match.start()], Link(match[0], match[0])]
        end = match.end()
    return tuple(part for part in (*found, text[end:]) if part)


def missing(card: CardSpec, licence: bool, language: bool, used: bool) -> Section:
    """What a reader of a card looks for and nobody stated; no section where nothing is missing.

    `licence` says whether one is known, `language` whether the model reads text, `used` whether a section
    says how to use it.
    """
    wanted = {
        "licence": licence,
        "language": bool(card.language) or not language,
        "intended use": bool(card.intended_use),
        "training data": bool(card.training_data or card.datasets),
        "how to use it": used or any("use" in one.title.lower().split() for one in card.sections),
        "base model": bool(card.base_model),
        "contact": bool(card.contact),
    }
    names = [name for name, there in wanted.items() if not there]
    text = f"Nobody stated: {', '.join(names)}. What is not stated is not known, and not implied."
    return Section("not-stated", "Not stated", (Paragraph((text,)),) if names else ())


def use(card: CardSpec) -> Section:
    """What the model is for and what not, as its makers or the exhibit's author say."""
    return Section(
        "use",
        "Intended use and limits",
        paragraphs(card.intended_use),
        (
            Section("out-of-scope", "Out of scope", paragraphs(card.out_of_scope)),
            Section("stated-limits", "Limits that are stated", paragraphs(card.limits)),
        ),
    )


def training(card: CardSpec) -> Section:
    """What it was trained on and how."""
    datasets: tuple[Block, ...] = ()
    if card.datasets:
        datasets = (Items(tuple((name,) for name in card.datasets)),)
    return Section(
        "training",
        "Training",
        (),
        (
            Section("training-data", "Data", (*paragraphs(card.training_data), *datasets)),
            Section("training-procedure", "Procedure", paragraphs(card.training)),
        ),
    )


def results(card: CardSpec) -> Section:
    """The results that the exhibit states, as a table; they stand in the metadata too."""
    head = ("Measured on", "What", "Value", "Stated by")
    rows = tuple(
        (
            (f"{one.dataset}, {one.split}" if one.split else one.dataset,),
            (one.name or one.metric,),
            (number(one.value, 4),),
            (Link(one.source.url, one.source.title) if one.source else "this card’s author",),
        )
        for one in card.results
    )
    return Section(
        "results", "Results that are stated", (Table(head, rows, numbers=2),) if rows else ()
    )


def references(card: CardSpec) -> Section:
    """Where all of it is stated."""
    items = tuple((Link(one.url, one.title),) for one in card.references)
    return Section("references", "References", (Items(items),) if items else ())


def cited(bibtex: str) -> Iterator[Block]:
    """A BibTeX entry as it stands."""
    if bibtex.strip():
        yield Listing(bibtex.strip(), "bibtex")


def own(section: OwnSection, taken: frozenset[str] = frozenset()) -> Section:
    """A section that the exhibit's author wrote, with a key that is not taken."""
    key = slug(section.title)
    while key in taken:
        key = f"own-{key}"
    return Section(key, section.title, paragraphs(section.text))


def slug(title: str) -> str:
    """A title as a key."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
