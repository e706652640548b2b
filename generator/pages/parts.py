"""The pages of a model beside its layers, units and heads: what each shows, and the links between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from generator.addresses import Link, part_address
from generator.models.stacks import PATCHES
from generator.pages.context import Place, Strip, around, below_model, home
from generator.pages.environment import Pages
from generator.pages.page import Page, there
from generator.pages.part import (
    BLOCKS,
    CARD,
    CELLS,
    CLASSES,
    CONTROLS,
    COURSE,
    DECODING,
    DECODING_HEADS,
    DICTIONARIES,
    EVOLUTION,
    FEATURES,
    MATCHING,
    OVER_PATCHES,
    PATCHING,
    PICTURES_PART,
    TRAINING,
    TRY_PICTURE,
    TRY_TEXT,
    WORDS,
    WORKED,
    Part,
)
from generator.pages.sections import FilledSection, sections_of, tables_below
from generator.run import PICTURES, TEXTS, Run, why_not
from generator.store import BusyError
from generator.techniques.context import CONTEXT
from generator.techniques.controls import CONTROLS as CONTROLLED
from generator.techniques.decoding import DECODING as DECODED
from generator.techniques.deconvolution import DECONVOLUTION
from generator.techniques.deep_dream import DEEP_DREAM
from generator.techniques.dictionaries import DICTIONARIES as KEPT
from generator.techniques.features import FEATURES as VISUALISED
from generator.techniques.head_scores import ABOUT
from generator.techniques.links import model_link
from generator.techniques.live import offered
from generator.techniques.matching import MATCHING as MATCHED
from generator.techniques.measured_stack import StackHeads, heads_of
from generator.techniques.patching import PATCHING as PATCHED
from generator.techniques.text_training import TEXT_TRAINING as COURSED
from generator.techniques.training import TRAINING as TRAINED
from generator.techniques.word_attribution import WORDS as WEIGHED


def _all_heads(stack: StackHeads) -> Part:
    """All heads of a stack over texts, side by side."""
    heads = f"{stack.stack.adjective} heads".strip()
    about = "every attention map side by side; open one, follow a token, see q and k"
    return Part(
        stack.stack.page("attention"),
        f"All {heads}",
        ABOUT.get(stack.stack.name, about),
        f"{stack.count:,} attention heads on one text, layers downwards, heads to the right. Choose one to "
        "see it large.",
        f"The attention maps of {stack.count} heads of {{}} side by side.",
        ("heads.csv", "heads_by_text.csv", "links.csv"),
        heading=f"All {heads} of {{}}",
        page="attention",
        subject=(stack,),
        searchable=False,
    )


def _atlas(stack: StackHeads) -> Part:
    """All heads of a stack in numbers."""
    title = f"Atlas of {stack.stack.adjective} heads".replace("  ", " ")
    roles = () if stack.stack is PATCHES else ("roles.csv",)
    return Part(
        stack.stack.page("atlas"),
        title,
        "every head in one picture and one table: any two statistics, sorted, filtered",
        description=f"All {stack.count} attention heads of {{}} in one scatter plot over any two statistics "
        "and in one table that sorts and filters.",
        more_tables=("heads.csv", "statistics.csv", *roles),
        heading=f"{title}: {{}}",
        page="atlas",
        subject=(stack,),
        searchable=False,
    )


def parts(run: Run) -> tuple[Part, ...]:
    """The pages that a model has, in order."""
    made = _of_pictures if run.reads == PICTURES else _of_texts
    return run.once("parts", lambda: (*_live(run), *made(run), CARD))


def _live(run: Run) -> Iterator[Part]:
    if _are_there(lambda: offered(run)):
        yield TRY_PICTURE if run.reads == PICTURES else TRY_TEXT


def _of_pictures(run: Run) -> Iterator[Part]:
    for stack in heads_of(run.model):
        yield replace(OVER_PATCHES, subject=(stack,))
        yield _atlas(stack)
    if not why_not(MATCHED, run):
        yield MATCHING
    yield CLASSES
    if run.inputs.pool and _are_there(lambda: run[DECONVOLUTION].featured):
        yield EVOLUTION
    if _are_there(lambda: (*run[VISUALISED], *run[DEEP_DREAM])):
        yield FEATURES
    yield BLOCKS if run.vision.labels else CELLS
    trained = run.inputs.pool and not why_not(TRAINED, run)
    if trained and _are_there(lambda: run[TRAINED].states):
        yield TRAINING
    if run.inputs.pool and _are_there(lambda: run[CONTROLLED]):
        yield CONTROLS
    yield PICTURES_PART


def _are_there(results: Callable[[], Any]) -> bool:
    """Whether there are results to show, now."""
    try:
        return bool(results())
    except BusyError:
        return False


def _of_texts(run: Run) -> Iterator[Part]:
    stacks = heads_of(run.model)
    for stack in stacks:
        yield _all_heads(stack)
        if len(stacks) > 1:
            yield _atlas(stack)
    weighed = not why_not(WEIGHED, run) and _are_there(
        lambda: any(not one.reason for one in run[WEIGHED].values())
    )
    if run.reads != TEXTS:
        if weighed:
            yield WORDS
        return
    if _are_there(lambda: run[CONTEXT] is not None):
        yield WORKED
    yield _atlas(stacks[0])
    if not why_not(DECODED, run) and _are_there(
        lambda: any(not (lens.reason and shares.reason) for lens, shares in run[DECODED])
    ):
        yield DECODING_HEADS if run.language.attention_only else DECODING
    told = ((PATCHED, PATCHING), (KEPT, DICTIONARIES), (COURSED, COURSE))
    yield from (part for technique, part in told if not why_not(technique, run))
    if weighed:
        yield WORDS


def part_link(run: Run, part: Part) -> Link:
    """A link to one of them."""
    return Link(part_address(run.model.id, part.key), part.title)


def ways(run: Run) -> list[tuple[Link, str]]:
    """A link to each, with what a reader sees there; pictures are compared with texts in the other tower."""
    found = [(part_link(run, part), part.about) for part in parts(run)]
    found += [(link, "what is other inside, and what is not") for link in run.comparisons]
    if run.other_tower and run.reads == TEXTS and run.language.compared:
        link = Link(part_address(run.other_tower, MATCHING.key), MATCHING.title)
        found.insert(-1, (link, MATCHING.about))
    return found


def part_place(run: Run, part: Part) -> Place:
    """Where one of them stands: below the model, between its neighbours."""
    if run.reads != PICTURES:
        return below_model(run)
    links = tuple(part_link(run, each) for each in parts(run))
    current = next(i for i, link in enumerate(links) if link.text == part.title)
    before, after = around(links, current)
    first = model_link(run.model)
    strip = Strip("Ways in", links, current, worded=True)
    return Place((home(), first), (strip,), before or first, after)


def part_pages(run: Run, pages: Pages) -> Iterator[Page]:
    """All of them but the card, which is written where the whole exhibit is known."""
    for part in parts(run):
        if part is not CARD:
            yield from there(partial(part_page, run, part, pages))


def part_page(run: Run, part: Part, pages: Pages) -> Page:
    """A page that consists of the sections of techniques."""
    model = run.model
    sections = sections_of(run, part.page or part.key, *part.subject)
    return pages.page(
        "topic.html",
        part_address(model.id, part.key),
        f"{part.title} · {model.title}",
        _of_page(sections, "description") or part.description.format(model.title),
        searchable=part.searchable,
        model=model,
        place=part_place(run, part),
        kind=part.page or part.key,
        heading=(part.heading or part.title).format(model.title),
        lead=_of_page(sections, "lead") or part.lead.format(model.title),
        sections=sections,
        tables=(*tables_below(run, part.page or part.key), *part.more_tables),
    )


def _of_page(sections: Iterable[FilledSection], name: str) -> str:
    """What the first section that knows it has for the whole page; "" where none has."""
    views = (one.view for one in sections)
    return next((str(getattr(view, name)) for view in views if hasattr(view, name)), "")
