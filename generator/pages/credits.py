"""The line at the foot of a page that says whose pictures it shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from generator.addresses import part_address
from generator.inputs.shown import Picture
from generator.pages.page import Page
from generator.run import PICTURES, Run
from generator.techniques.credits import credits_of
from generator.techniques.pictures import picture_path, pool_path

NAMED = 6  # three thousand pages have this line; the list has all
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
    by_path = run.once("pictures by path", lambda: _by_path(run))
    paths = (figure.path for figure, _ in page.figures() if figure.drawing.paths)
    yield from (by_path[path] for path in paths if path in by_path)
    for section in page.context.get("sections", ()):
        for place in getattr(section.view, "from_pool", ()):
            yield run.inputs.pool[place]
        names = getattr(section.view, "from_images", ())
        if names:
            yield from (one for one in run.inputs.images if one.id in names)


def _by_path(run: Run) -> dict[str, Picture]:
    """The pictures of a model by where they lie in the site; none of them is opened for that."""
    curated: dict[str, Picture] = {picture_path(run, one.id): one for one in run.inputs.images}
    return curated | {pool_path(run, one): one for one in run.inputs.pool}
