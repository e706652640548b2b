"""What a card says: findings and what the exhibit states -> a tree of sections."""

from __future__ import annotations

from generator.addresses import Link, data_address
from generator.cards import inside, origin, probed, stated
from generator.cards.evaluated import evaluation_blocks
from generator.cards.tree import Card, Paragraph, Section, filled
from generator.errors import UsageError, did_you_mean
from generator.exhibit import Exhibit
from generator.findings import Carded, TextFindings
from generator.findings.evaluations import evaluations
from generator.pages.evaluation_tables import EVALUATION, PROBES

EVALUATED = "Evaluation run here"


def card_of(exhibit: Exhibit, found: Carded) -> Card:
    """The card of a model: sections that are empty are left out, the author's own are put in."""
    said = exhibit.model(found.model.id).card
    sections = (
        origin.about(found),
        stated.use(said),
        stated.training(said),
        origin.licence(found),
        _evaluation(found),
        stated.reported(said),
        inside.inside(found),
        probed.probed(found),
        _data(found),
        origin.environment(found, exhibit),
        origin.provenance(found),
        origin.cite(found, said, exhibit),
        stated.references(said),
        stated.contact(said),
        stated.missing(
            said,
            found.model.provenance.licence != origin.NOT_STATED,
            isinstance(found, TextFindings),
        ),
    )
    card = Card(found.model.title, found.model.about, filled(sections))
    for each in said.sections:
        section = stated.own(each, taken=card.keys())
        same = [one.key for one in card.sections if one.title.lower() == each.title.lower()]
        card = card.replaced(same[0], section) if same else card.added(section, each.after)
    known = [each.key for each in sections]
    for key in said.without:
        if key.split("/")[0] not in known:
            hint = did_you_mean(key, known)
            raise UsageError(f"{found.model.id}: card.without names no section '{key}'. {hint}")
        if any(each.key == key.split("/")[0] for each in card.sections):
            card = card.without(key)
    return card


def _evaluation(found: Carded) -> Section:
    every = [one for one in evaluations(found) if not one.limit]
    if not every:
        return Section("evaluation", EVALUATED)
    intro = (
        "Measured by Cutaway on small curated sets, each beside what it gives where nothing was learned. "
        "The numbers say whether the model works as it should, and how surely; they do not rank it. "
        "What stands behind a share is its 95 % interval (Wilson 1927)."
    )
    return Section("evaluation", EVALUATED, (Paragraph((intro,)), *evaluation_blocks(every)))


def _data(found: Carded) -> Section:
    name = found.model.id
    tables = (EVALUATION, PROBES)
    links = [Link(data_address(name, each), each) for each in tables]
    text = Paragraph(("Every number above with all its digits: ", links[0], ", ", links[1], "."))
    return Section("data", "Data", (text,))
