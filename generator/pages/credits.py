"""The line at the foot of a page that says whose pictures it shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from generator.addresses import part_address
from generator.inputs.shown import Picture
from generator.pages.page import Page
from generator.run import PICTURES, Run
from generator.techniques.credits import credits_of
from generator.techniques.pictures import photographs
from generator.techniques.pool import pool_photographs

NAMED = 12
KEY = "pictures"


@dataclass(frozen=True)
class Credits:
    """Who is named, each with the anchor in the list; how many are not, and where the list is."""

    names: tuple[tuple[str, str], ...]
    more: int
    address: str


def with_credits(run: Run, page: Page) -> Page:
    """The page with a line on whose pictures it shows; as it is where it shows none."""
    address = part_address(run.model.id, KEY)
    if run.reads != PICTURES or page.address == address:
        return page
    names: dict[str, str] = {}
    for credit in credits_of(run, _shown(run, page)):
        names.setdefault(credit.name, credit.anchor)
    if not names:
        return page
    first = tuple(names.items())[:NAMED]
    credits = Credits(first, len(names) - len(first), address)
    return replace(page, context={**page.context, "credits": credits})


def _shown(run: Run, page: Page) -> Iterator[Picture]:
    """The pictures on a page: those that stand there, and those that its sections say they are made of."""
    curated, pool = photographs(run), pool_photographs(run) if run.inputs.pool else None
    for figure, _ in page.figures():
        if figure.drawing is curated:
            yield run.inputs.images[figure.number]
        elif figure.drawing is pool:
            yield run.inputs.pool[figure.number]
    for section in page.context.get("sections", ()):
        for place in getattr(section.view, "from_pool", ()):
            yield run.inputs.pool[place]
        names = getattr(section.view, "from_images", ())
        yield from (one for one in run.inputs.images if one.id in names)
