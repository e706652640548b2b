"""The pages of two models: what changed from one to the other, and their pages beside each other."""

from __future__ import annotations

from collections.abc import Iterator

from generator.addresses import Link, beside_address, comparison_address, model_address
from generator.comparison import Comparison
from generator.pages.context import Place, home, size_text
from generator.pages.credits import with_credits
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.sections import FilledSection, sections_of, technique_tables
from generator.run import Run
from generator.techniques.links import model_link

PAGE = "comparison"
_LEAD = (
    "Both networks were run on the same inputs, and what was measured of each is held against the other. A "
    "change counts for as much as it stands out from what other inputs would have made of either."
)
_OTHER_KIND = (
    "The two take different things, so that little of them can be held against each other."
)


def comparison_pages(comparison: Comparison, pages: Pages) -> Iterator[Page]:
    """The page of a comparison, and one with both models' pages beside each other where they have any."""
    with_pictures = comparison.after if comparison.after.paged else comparison.before
    yield with_credits(with_pictures, _overview(comparison, pages))
    if _both_paged(comparison):
        yield beside_page(comparison, pages)


def _both_paged(comparison: Comparison) -> bool:
    before, after = comparison.before, comparison.after
    return before.paged and after.paged and before.reads == after.reads


def sections(comparison: Comparison) -> tuple[FilledSection, ...]:
    """What its page shows, made once: the card says it in short."""
    return comparison.once(sections, lambda: sections_of(comparison, PAGE))


def _overview(comparison: Comparison, pages: Pages) -> Page:
    before, after = comparison.before, comparison.after
    return pages.page(
        "comparison.html",
        comparison_address(comparison.id),
        f"{before.title} and {after.title}",
        f"What changed inside from {before.title} to {after.title}: answers, heads, units, layers and "
        "weights, measured.",
        comparison=comparison,
        two=[(run, _link(run), _notes(run)) for run in (before, after)],
        lead=comparison.about or (_LEAD if before.reads == after.reads else _OTHER_KIND),
        beside=beside_address(comparison.id) if _both_paged(comparison) else "",
        facts=_facts(comparison),
        place=Place((home(),), (), *_ends(before, after)),
        sections=sections(comparison),
        tables=[table.name for table in technique_tables(comparison)],
    )


def _link(run: Run) -> Link:
    """A link to a model's page; without a target where it has none."""
    return model_link(run.model) if run.paged else Link("", run.title)


def _ends(before: Run, after: Run) -> tuple[Link | None, Link | None]:
    """Links to the pages of both, where there are any."""
    first, second = (model_link(run.model) if run.paged else None for run in (before, after))
    return first, second


def _notes(run: Run) -> tuple[str, ...]:
    """Where the weights of one of the two come from, and what was done to them."""
    origin = run.model.provenance
    return (f"{origin.origin}.".replace("..", "."), *origin.notes)


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    """What can be said of both, once where it is the same."""
    before, after = comparison.before.model, comparison.after.model
    said = [
        ("Kind", before.kind, after.kind),
        ("Parameters", size_text(before.parameters), size_text(after.parameters)),
        ("Layers", str(len(before.layers)), str(len(after.layers))),
        ("Weights", *(one.provenance.weights_sha256[:12] for one in (before, after))),
    ]
    return [(name, one if one == other else f"{one} → {other}") for name, one, other in said]


def beside_page(comparison: Comparison, pages: Pages) -> Page:
    """The page with two frames. What they show stands in the hash: `#layers/3/heads/1/#text=rain`."""
    before, after = comparison.before, comparison.after
    both = f"{before.title} and {after.title}"
    first = Link(comparison_address(comparison.id), both)
    return pages.page(
        "beside.html",
        beside_address(comparison.id),
        f"Beside each other: {both}",
        f"The same page of {before.title} and of {after.title} beside each other.",
        searchable=False,
        place=Place((home(), first), previous=first),
        sides=[
            (name, run.title, model_address(run.model.id))
            for name, run in (("before", before), ("after", after))
        ],
    )
