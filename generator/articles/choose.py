"""Choices: a part of an article that is drawn once for each combination of some values, which readers swap.

    {% call(chosen) choose(layer=["conv_stem", "blocks.1.0"], image=["cat", "corn"]) %}
    {{ figure("activation_maps", model="net", layer=chosen.layer, image=chosen.image) }}
    {% endcall %}

All of it is on the page. A script shows one combination at a time; without it, and on paper, they stand one
below the other, each under its values.
"""

from __future__ import annotations

import itertools
import re
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from generator.articles.catalogue import Catalogue
from generator.articles.cells import Cell
from generator.articles.document import Document, Renderer
from generator.articles.errors import WritingError, named, template_line
from generator.articles.knobs import UNNAMED, Knob, Value, knobs_of, not_chosen
from generator.articles.markdown import convert
from generator.errors import UsageError
from generator.figures.render import render

# What one choice may take; beyond that the article is not built.
SECONDS = 300.0  # of measuring and drawing, in one build
BYTES = 8_000_000  # of text and pictures
_ID = re.compile(r"[A-Za-z][\w-]*")
_FOOTNOTE = re.compile(r"^ {0,3}\[\^[^\]]+\]:", re.MULTILINE)


class Chosen:
    """One combination of values: `chosen.layer` is that of `layer`; printed, it is all of them."""

    def __init__(self, knobs: Sequence[Knob], places: Sequence[int], document: Document) -> None:
        values = {knob.name: knob.values[at] for knob, at in zip(knobs, places, strict=True)}
        # No character of a word is markup where it is printed.
        self._values = {
            name: Cell(value, None, document) if isinstance(value, str) else value
            for name, value in values.items()
        }
        self._document = document

    def __getattr__(self, name: str) -> Value:
        """Called for what the text reads. Raises WritingError, with the nearest, for what is not chosen."""
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._values:
            with named(self._document.source.path, template_line(), "choose"):
                raise not_chosen(name, self._values)
        return self._values[name]

    def __str__(self) -> str:
        return ", ".join(
            f"{name.replace('_', ' ')} {value}" for name, value in self._values.items()
        )


@dataclass(frozen=True)
class Variant:
    """What stands there for one combination: the place of each value in its list, and Markdown with gaps."""

    places: tuple[int, ...]
    text: Markup


@dataclass(frozen=True, eq=False)
class Choices:
    """The choices of one article."""

    document: Document
    catalogue: Catalogue

    def choose(
        self, caller: Callable[[Chosen], str] | None = None, id: str = "", **values: object
    ) -> Markup:
        """A part of the text for each combination of values, lists of which have names; readers swap them."""
        document, line = self.document, template_line()
        if caller is None or not getattr(caller, "arguments", ()):
            raise UsageError(UNNAMED)
        knobs, number = knobs_of(values), document.count("Choice")
        name = id or f"choose-{number}"
        if not _ID.fullmatch(name):
            raise UsageError(f"the id '{name}' is to be letters, digits, - and _ behind a letter.")
        document.anchor(line, name, "this choice")
        try:
            variants = self._variants(caller, knobs)
        finally:
            shared, document.shared, document.variant = tuple(document.shared), [], 0

        def opened(filling: Renderer) -> Markup:
            return filling.macro("choose", name, knobs, shared)

        parts = [document.block(line, "choose", opened)]
        for one in variants:
            parts += [document.block(line, "choose", _opening(knobs, one)), one.text]
            parts += [document.block(line, "choose", _closing)]
        return Markup("").join([*parts, document.block(line, "choose", _closing)])

    def _variants(
        self, caller: Callable[[Chosen], str], knobs: Sequence[Knob]
    ) -> Sequence[Variant]:
        """What stands there for each combination.

        All begin with the same numbers of figures, and what follows goes on behind the highest.
        """
        document, budget = self.document, Budget(self.document, self.catalogue)
        before, most, found = document.counts, dict(document.counts), list[Variant]()
        every = list(itertools.product(*(range(len(knob.values)) for knob in knobs)))
        begun = list[tuple[Chosen, int]]()
        try:
            for number, places in enumerate(every, start=1):
                begun.append((Chosen(knobs, places, document), len(document.mistakes.found)))
                document.counts, document.variant = dict(before), number
                found.append(Variant(places, _body(caller(begun[-1][0]))))
                if number > 1:
                    document.repeated += len(document.plain(found[-1].text).split())
                most |= {name: max(n, most.get(name, 0)) for name, n in document.counts.items()}
                budget.take(found[-1], f"{number} of {len(every)} combinations")
        finally:
            _add_values(document.mistakes.found, begun, len(every))
        document.counts = most
        return found


@dataclass
class Budget:
    """What a choice has taken so far, of the seconds and bytes that it may."""

    document: Document
    catalogue: Catalogue
    size: int = 0
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._drawn = len(self.document.figures), len(self.document.drawings)

    def take(self, variant: Variant, what: str) -> None:
        """Draw what has come to the document since. Raises UsageError for too many seconds or bytes."""
        figures, drawings = self.document.figures, self.document.drawings
        wanted = [one.figure.drawing for one in figures[self._drawn[0] :]]
        wanted += drawings[self._drawn[1] :]
        self._drawn = len(figures), len(drawings)
        store = self.catalogue.store
        drawn, _ = render(wanted, store.root / "figures", 1, lambda: None, store.profile)
        self.size += len(variant.text.encode())
        self.size += sum(one.file.stat().st_size for one in drawn.values())
        took = time.monotonic() - self.began
        if took > SECONDS:
            said = f"{what} took {took:.0f} s to measure and draw, and at most {SECONDS:.0f} s are allowed."
            raise UsageError(said, "What was made is kept. Offer fewer values, or lighter figures.")
        if self.size > BYTES:
            said = f"{what} take {self.size / 1e6:.1f} MB, and at most {BYTES / 1e6:.1f} MB are allowed."
            raise UsageError(said, "Offer fewer values, or smaller figures.")


def _body(text: str) -> Markup:
    """The Markdown of a combination. Raises UsageError for what can stand on a page only once."""
    inside = textwrap.dedent(str(text)).strip()
    headings = convert(inside).headings
    if headings:
        raise UsageError(
            f"the heading “{headings[0].text}” cannot stand in a choice, but above it."
        )
    if _FOOTNOTE.search(inside):
        raise UsageError("the text of a footnote cannot stand in a choice, but below it.")
    return Markup(inside)  # the author's Markdown, and gaps


def _add_values(
    found: Sequence[WritingError], begun: Sequence[tuple[Chosen, int]], every: int
) -> None:
    """Say of mistakes with which values they are made, unless they are made with `every` combination.

    `begun` are the combinations, each with the number of mistakes before it.
    """
    ends = [*(start for _, start in begun[1:]), len(found)]
    told = [
        (str(error), chosen, error)
        for (chosen, start), end in zip(begun, ends, strict=True)
        for error in found[start:end]
    ]
    times = Counter(said for said, _ in {(said, str(chosen)) for said, chosen, _ in told})
    for said, chosen, error in told:
        if times[said] < every:
            error.args = (f"{said} ({chosen})",)


def _opening(knobs: Sequence[Knob], variant: Variant) -> Callable[[Renderer], Markup]:
    values = [(knob, knob.values[at]) for knob, at in zip(knobs, variant.places, strict=True)]
    return lambda filling: filling.macro("choice", values, " ".join(map(str, variant.places)))


def _closing(_: Renderer) -> Markup:
    return Markup("</div>")
