"""The gallery: a card for each model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from generator.addresses import GALLERY, Link, model_address
from generator.exhibit import Exhibit
from generator.figures.figure import Figure
from generator.findings import Findings, Seq2SeqFindings, TextFindings
from generator.pages.context import Place, model_link, size_text
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.techniques.naming import counted


@dataclass(frozen=True)
class Way:
    """A way into what was written: its page, and what a reader finds there."""

    link: Link
    about: str


def gallery(
    exhibit: Exhibit, findings: Sequence[Findings], reading: Sequence[Way], pages: Pages
) -> Page:
    """The front page of the site, with the ways into what was written."""
    return pages.page(
        "gallery.html",
        GALLERY,
        exhibit.title,
        exhibit.description,
        exhibit=exhibit,
        reading=reading,
        cards=[_card(found, pages) for found in findings],
        place=Place((), (), None, model_link(findings[0].model)),
    )


def _card(found: Findings, pages: Pages) -> dict[str, object]:
    model = found.model
    if isinstance(found, TextFindings):
        inside = f"{len(model.layers)} layers × {found.model.heads} heads"
        seen = f"{len(found.texts)} texts"
    elif isinstance(found, Seq2SeqFindings):
        counts = [f"{len(one.layers)} × {one.heads}" for one in found.stacks]
        inside = f"{' + '.join(counts)} heads in encoder, decoder and across"
        seen = f"{len(found.texts)} texts"
    else:
        inside = ", ".join(counted(found.model))
        seen = f"{len(found.images)} pictures"
    return {
        "link": Link(model_address(model.id), model.title),
        "model": model,
        "size": f"{size_text(model.parameters)} parameters",
        "inside": inside,
        "seen": seen,
        "figure": _picture(found, pages),
    }


def _picture(found: Findings, pages: Pages) -> Figure | None:
    path = f"models/{found.model.id}/card.webp"
    if not pages.has(path):
        return None
    if isinstance(found, Seq2SeqFindings):
        alt = f"All cross-attention heads of {found.model.title} on one text, as small blue maps."
        return pages.figure(path, alt, ink=True)
    if isinstance(found, TextFindings):
        alt = f"All attention heads of {found.model.title} on one text, as small blue maps."
        return pages.figure(path, alt, ink=True)
    return pages.figure(
        path, f"The first filters of {found.model.title} as small coloured squares."
    )
