"""The gallery: a card for each model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from generator.addresses import GALLERY, Link, model_address
from generator.exhibit import Exhibit
from generator.figures.figure import Figure
from generator.pages.context import Place, inputs_text, size_text
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.run import PICTURES, TEXTS, Run
from generator.store import BusyError
from generator.techniques.attention import ATTENTION
from generator.techniques.attention_drawings import head_card
from generator.techniques.filters import filter_card
from generator.techniques.links import model_link
from generator.techniques.measured_stack import heads_of
from generator.techniques.naming import counted


@dataclass(frozen=True)
class Way:
    """A way into what was written: its page, and what a reader finds there."""

    link: Link
    about: str


def gallery(exhibit: Exhibit, runs: Sequence[Run], reading: Sequence[Way], pages: Pages) -> Page:
    """The front page of the site, with the ways into what was written."""
    return pages.page(
        "gallery.html",
        GALLERY,
        exhibit.title,
        exhibit.description,
        exhibit=exhibit,
        reading=reading,
        cards=[_card(run) for run in runs],
        place=Place((), (), None, model_link(runs[0].model)),
    )


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
