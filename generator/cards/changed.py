"""The section of a card on what changed inside, where the exhibit holds the model against another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from generator.addresses import Link, comparison_address
from generator.cards.tree import Block, Items, Line, Paragraph, Section
from generator.comparison import Comparison
from generator.exhibit import Exhibit
from generator.inputs.source import parse_source
from generator.pages.comparison import sections


def changed(comparisons: Sequence[Comparison]) -> Section:
    """What each part of a comparison says in a sentence; no section where the model is not compared."""
    blocks = tuple(block for one in comparisons for block in _of(one))
    return Section("changed", "What changed", blocks)


def _of(comparison: Comparison) -> Iterator[Block]:
    page = Link(comparison_address(comparison.id), "The whole comparison")
    same = ", on the same inputs" if comparison.before.reads == comparison.after.reads else ""
    start = f"Held against {comparison.before.title}{same}. "
    yield Paragraph((start, *((comparison.about, " ") if comparison.about else ()), page, "."))
    said: tuple[Line, ...] = tuple(
        (one.view.says,) for one in sections(comparison) if getattr(one.view, "says", "")
    )
    if said:
        yield Items(said)


def base_of(exhibit: Exhibit, model: str) -> str:
    """The repository on the Hub of what a model is held against; "" where it comes from elsewhere."""
    befores = (exhibit.model(one.before) for one in exhibit.compare if one.after == model)
    sources = (parse_source(spec.source, exhibit.base) for spec in befores)
    return next((one.name for one in sources if one.kind == "hf"), "")
