"""The pages of a vision model beside its layers and units, and the links between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from generator.addresses import Link, part_address
from generator.findings import VisionFindings
from generator.pages.context import Place, Strip, around, home, model_link
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.sections import FilledSection, sections_of, tables_below


@dataclass(frozen=True)
class Part:
    """One way into a model: its page, its name, and what a reader sees there.

    `lead` stands below its title, `description` is for search engines; {} is the model's name in both.
    `more_tables` are offered beside those of the techniques on the page.
    """

    key: str
    title: str
    about: str
    lead: str = ""
    description: str = ""
    more_tables: tuple[str, ...] = ()


ATTENTION = Part(
    "attention",
    "Attention over patches",
    "where every head looks in a picture, and the answer followed back through the blocks",
)
CLASSES = Part(
    "classes",
    "What made the class",
    "where the evidence for each class lies",
    "Where in a picture {} finds the evidence for what it says.",
    "Class activation maps, Grad-CAM and learned classes of {}: where in each picture the evidence lies, "
    "with the sums that check it.",
)
MATCHING = Part(
    "matching",
    "Pictures and texts",
    "which text fits which picture, and which patches move the match",
    "Which text fits which picture for {}, and which patches move the match.",
)
EVOLUTION = Part(
    "evolution",
    "Features, layer by layer",
    "patches and what is left of them in pixels",
    "What units of {} respond to, from the first layer to the last.",
    "How features grow through {}: units of its layers, the patches that excite them and their "
    "deconvolutions.",
    ("exemplars.csv", "pool.csv"),
)
FEATURES = Part(
    "features",
    "Feature visualisation",
    "pictures made to excite units and classes",
    "Pictures made from noise until a unit, or a class, of {} answers strongly.",
    "Pictures made to excite units and classes of {}, and what each of them reaches.",
)
BLOCKS = Part(
    "building-blocks",
    "Building blocks",
    "one layer taken apart, cell by cell",
    "What one layer of {} says of every part of a picture, and what that does to the classes.",
    "One layer of {} taken apart on pictures: the channels that respond in each cell, groups of channels, "
    "and what they do to the classes.",
)
# Of a network that names no classes.
CELLS = replace(
    BLOCKS,
    lead="What one layer of {} says of every part of a picture.",
    description="One layer of {} taken apart on pictures: the channels that respond in each cell, and groups "
    "of channels.",
)
TRAINING = Part(
    "training",
    "Through training",
    "the same units at several epochs",
    "The same units of {} at several states of its training.",
    "The same units of {} at several states of its training.",
    ("pool.csv",),
)
CONTROLS = Part(
    "controls",
    "Controls",
    "the same methods on random weights",
    "What the same methods show where there is nothing to see: {} with random weights.",
)
CARD = Part("card", "Model card", "what it is for, how well it does, what was probed")


def parts(findings: VisionFindings) -> tuple[Part, ...]:
    """The pages that this model has."""
    searched = findings.searched
    found = [ATTENTION] if findings.patches else []
    if findings.matching:
        found.append(MATCHING)
    found.append(CLASSES)
    if searched and searched.deconvolutions.featured:
        found.append(EVOLUTION)
    if findings.features or findings.dreams:
        found.append(FEATURES)
    found.append(BLOCKS if findings.model.labels else CELLS)
    if searched and searched.checkpoints and searched.checkpoints.states:
        found.append(TRAINING)
    if searched and searched.controls:
        found.append(CONTROLS)
    return (*found, CARD)


def part_links(findings: VisionFindings) -> tuple[Link, ...]:
    """A link to each of them."""
    model = findings.model.id
    return tuple(Link(part_address(model, part.key), part.title) for part in parts(findings))


def part_place(findings: VisionFindings, part: Part) -> Place:
    """Where one of them stands: below the model, between its neighbours."""
    links = part_links(findings)
    current = next(i for i, link in enumerate(links) if link.text == part.title)
    before, after = around(links, current)
    first = model_link(findings.model)
    strip = Strip("Ways in", links, current, worded=True)
    return Place((home(), first), (strip,), before or first, after)


def part_page(findings: VisionFindings, part: Part, pages: Pages) -> Page:
    """A page that consists of the sections of techniques."""
    model, run = findings.model, findings.run
    sections = sections_of(run, part.key)
    return pages.page(
        "topic.html",
        part_address(model.id, part.key),
        f"{part.title} · {model.title}",
        _of_page(sections, "description") or part.description.format(model.title),
        model=model,
        place=part_place(findings, part),
        topic=part,
        lead=_of_page(sections, "lead") or part.lead.format(model.title),
        sections=sections,
        tables=(*tables_below(run, part.key), *part.more_tables),
    )


def _of_page(sections: Iterable[FilledSection], name: str) -> str:
    """What the first section that knows it has for the whole page; "" where none has."""
    views = (one.view for one in sections)
    return next((str(getattr(view, name)) for view in views if hasattr(view, name)), "")
