"""What a card says: what was measured and what the exhibit states -> a tree of sections, and its page."""

from __future__ import annotations

from collections.abc import Sequence

from generator.addresses import Link, data_address
from generator.cards import changed, inside, origin, probed, stated, usage
from generator.cards.evaluated import evaluation_blocks
from generator.cards.origin import card_address
from generator.cards.tree import Card, Paragraph, Section, filled, in_a_row
from generator.comparison import Comparison
from generator.errors import UsageError, did_you_mean
from generator.exhibit import Exhibit
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.part import CARD
from generator.pages.parts import part_place
from generator.run import PICTURES, Run
from generator.techniques.evaluations import EVALUATION

EVALUATED = "Evaluation run here"
_REPORTED = "Reported by others, not measured here"


def card_of(exhibit: Exhibit, run: Run, comparisons: Sequence[Comparison] = ()) -> Card:
    """The card of a model: sections that are empty are left out, the author's own are put in.

    `comparisons` hold it, among others, against what it was made from.
    """
    own = [one for one in comparisons if one.after.id == run.id]
    said = exhibit.model(run.model.id).card
    used = usage.how_to_use(run, exhibit)
    sections = (
        origin.about(run),
        stated.use(said),
        used,
        stated.training(said),
        origin.licence(run),
        _evaluation(run),
        stated.results(said),
        Section("reported", _REPORTED, stated.paragraphs(said.reported)),
        changed.changed(own),
        inside.inside(run),
        probed.probed(run),
        _data(run),
        origin.environment(run, exhibit),
        origin.provenance(run),
        origin.cite(run, said, exhibit),
        stated.references(said),
        Section("contact", "Contact", stated.paragraphs(said.contact)),
        stated.missing(
            said,
            run.model.provenance.licence != origin.NOT_STATED,
            run.reads != PICTURES,
            not used.empty,
        ),
    )
    card = Card(run.model.title, run.model.about, filled(sections))
    for each in said.sections:
        section = stated.own(each, taken=card.keys())
        same = [one.key for one in card.sections if one.title.lower() == each.title.lower()]
        card = card.replaced(same[0], section) if same else card.added(section, each.after)
    known = [each.key for each in sections]
    for key in said.without:
        if key.split("/")[0] not in known:
            hint = did_you_mean(key, known)
            raise UsageError(f"{run.model.id}: card.without names no section '{key}'. {hint}")
        if any(each.key == key.split("/")[0] for each in card.sections):
            card = card.without(key)
    return card


def _evaluation(run: Run) -> Section:
    every = [one for one in run[EVALUATION] if not one.limit]
    if not every:
        return Section("evaluation", EVALUATED)
    intro = (
        "Measured by Cutaway on small curated sets, each beside what it gives where nothing was learned. "
        "The numbers say whether the model works as it should, and how surely; they do not rank it. "
        "After a share stands its 95 % interval (Wilson 1927)."
    )
    return Section("evaluation", EVALUATED, (Paragraph((intro,)), *evaluation_blocks(every)))


def _data(run: Run) -> Section:
    names = [table.name for table in EVALUATION.tables(run)]
    if not names:
        return Section("data", "Data")
    files = in_a_row((Link(data_address(run.model.id, name), name),) for name in names)
    said = Paragraph(("Every number above with all its digits: ", *files, "."))
    return Section("data", "Data", (said,))


def card_page(
    exhibit: Exhibit, run: Run, pages: Pages, comparisons: Sequence[Comparison] = ()
) -> Page:
    """The page of a model's card."""
    model = run.model
    card = card_of(exhibit, run, comparisons)
    return pages.page(
        "card.html",
        card_address(model.id),
        f"Model card · {model.title}",
        f"The model card of {model.title}: what it is for, how it was evaluated here, what its inside "
        "looks like, and which limits and biases were probed.",
        model=model,
        card=card,
        place=part_place(run, CARD),
    )
