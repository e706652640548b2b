"""The gallery: a card for each model."""

from __future__ import annotations

from collections.abc import Sequence

from generator.addresses import (
    GALLERY,
    Link,
    comparison_address,
    model_address,
    part_address,
)
from generator.comparison import Comparison
from generator.errors import UsageError
from generator.exhibit import Exhibit
from generator.figures.figure import Figure, on_page
from generator.pages.context import Place, inputs_text, size_text
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.part import CLASSES
from generator.run import PICTURES, TEXTS, Run
from generator.store import BusyError
from generator.techniques.activation_maps import journey
from generator.techniques.attention import ATTENTION
from generator.techniques.attention_drawings import head_card
from generator.techniques.filters import filter_card
from generator.techniques.grad_cam import GRAD_CAM
from generator.techniques.links import model_link
from generator.techniques.measured_stack import heads_of
from generator.techniques.naming import counted

WIDE = 1320  # CSS pixels of the picture that the front page opens with


Way = tuple[Link, str]
"""A way into what was written: its page, and what a reader finds there."""
Start = tuple[str, Sequence[Way]]
"""Where somebody starts who came to read, to teach, or to make a site of their own."""


def gallery(
    exhibit: Exhibit,
    runs: Sequence[Run],
    comparisons: Sequence[Comparison],
    starts: Sequence[Start],
    pages: Pages,
) -> Page:
    """The front page of the site, with the ways into what was written."""
    return pages.page(
        "gallery.html",
        GALLERY,
        exhibit.title,
        exhibit.description,
        lean=False,
        exhibit=exhibit,
        starts=starts,
        journey=next(filter(None, map(_journey, runs)), None),
        cards=[_card(run) for run in runs],
        columns=_columns(len(runs)),
        comparisons=[
            (Link(comparison_address(one.id), one.title), one.about) for one in comparisons
        ],
        place=Place((), (), None, model_link(runs[0].model)),
    )


def _journey(run: Run) -> tuple[Figure, Link] | None:
    """What a picture model does to the picture it is surest of, if that is measured; and where to go on."""
    if run.reads != PICTURES:
        return None
    try:
        sure = {
            name: found.depths[-1].probability
            for name, found in run[GRAD_CAM].items()
            if found.depths
        }
        if not sure:
            return None
        drawn = on_page(
            journey(run, max(sure, key=sure.__getitem__)), "journey.webp", "journey", WIDE
        )
    except (BusyError, UsageError):  # not measured yet, or nothing to be drawn
        return None
    return drawn, Link(part_address(run.model.id, CLASSES.key), "What made the class")


def _columns(cards: int) -> int:
    """So many cards a row that none is left alone in the last one."""
    fits = (columns for columns in (4, 3, 5) if cards <= columns or cards % columns != 1)
    return min(next(fits, 4), cards)


def _card(run: Run) -> dict[str, object]:
    model = run.model
    return {
        "link": Link(model_address(model.id), model.title),
        "model": model,
        "size": f"{size_text(model.parameters)} parameters",
        "inside": _inside(run),
        "seen": inputs_text(run),
        "figure": _picture_there(run),
    }


def _picture_there(run: Run) -> Figure | None:
    """The picture of a model's card, if what it shows is measured."""
    try:
        return model_picture(run)
    except BusyError:
        return None


def _inside(run: Run) -> str:
    if run.reads == PICTURES:
        return ", ".join(counted(run.vision))
    if run.reads == TEXTS:
        return f"{len(run.model.layers)} layers × {run.language.heads} heads"
    counts = [f"{len(one.layers)} × {one.heads}" for one in heads_of(run.model)]
    return f"{' + '.join(counts)} heads in encoder, decoder and across"


def model_picture(run: Run) -> Figure | None:
    """The picture of a model's card; None of a network without filters that can be seen."""
    return filter_card(run) if run.reads == PICTURES else _heads_picture(run)


def _heads_picture(run: Run) -> Figure:
    """The heads of a model's last stack on the longest text."""
    stack = heads_of(run.model)[-1]
    attentions = run[ATTENTION][stack.stack.name].attentions
    heads = f"cross-attention heads of {run.model.title}" if stack.several else ""
    alt = f"All {heads or f'attention heads of {run.model.title}'} on one text, as small blue maps."
    longest = max(attentions, key=lambda one: one.weights[0, 0].size)
    return Figure(head_card(run, longest), alt, ink=True)
