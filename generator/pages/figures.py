"""The gallery of figures: a chosen few of every technique, each with the page it stands on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from generator.figures.figure import Drawing, Figure
from generator.figures.render import Drawn, render
from generator.pages.context import Place, home
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.run import Run, Technique
from generator.store import BusyError
from generator.techniques.heads import stacks_of
from generator.techniques.naming import evenly
from generator.techniques.standings import best_heads

ADDRESS = "figures/index.html"
LONGEST = 110
MOST = 4  # figures of a model in each group


@dataclass(frozen=True)
class Group:
    """Figures of some kinds, under one heading."""

    key: str
    name: str
    kinds: frozenset[str] = frozenset()


OTHERS = Group("others", "Others")  # of articles alone


def groups_of(techniques: Iterable[Technique[Any]]) -> tuple[Group, ...]:
    """A group for each technique, in page order; those of one title share theirs."""
    found: dict[str, Group] = {}
    for each in techniques:
        group = found.setdefault(each.title, Group(each.name.replace("_", "-"), each.title))
        kinds = group.kinds | {each.name, *each.figures}
        found[each.title] = replace(group, kinds=kinds)
    return tuple(found.values())


@dataclass(frozen=True)
class GalleryItem:
    """One figure of the gallery: its picture, where it stands, what it shows, and whose it is.

    `dark` is the picture for a dark ground, where there are two. `section` is that of the site:
    "models", "articles" or "lectures", and `title` the article's.
    """

    path: str
    target: str
    about: str
    model: str
    ink: bool
    dark: str = ""
    section: str = "models"
    title: str = ""


@dataclass(frozen=True)
class Thumbnail:
    """A small picture in the gallery, beside the words that say what it shows."""

    path: str
    ink: bool
    alt: str = ""
    pixelated: bool = False


# A figure of an article, behind its kind.
Told = tuple[str, GalleryItem]


def chosen_figures(
    runs: Sequence[Run], written: Iterable[Page], told: Sequence[Told] = ()
) -> dict[Group, list[GalleryItem]]:
    """The figures of each group, in the order of the models; a group without any is left out.

    Those `told` of in articles come behind the models' own.
    """
    models, groups = {run.folder: run for run in runs}, groups_of(runs[0].techniques)
    known = {kind: group for group in groups for kind in group.kinds}
    leading = {name: _leading(run) for name, run in models.items()}
    found: dict[tuple[Group, str], dict[str, GalleryItem]] = {}
    for page in written:
        model = "/".join(page.address.split("/")[:2])
        if model not in models or (
            "/heads/" in page.address and page.address not in leading[model]
        ):
            continue
        for figure, section in page.figures():
            if figure.kind in known:
                shown = _item(figure, page.address, section, models[model].id)
                found.setdefault((known[figure.kind], model), {}).setdefault(shown.path, shown)
    chosen = {
        group: [
            *(
                shown
                for model in models
                for shown in _spread(list(found.get((group, model), {}).values()), MOST)
            ),
            *(shown for kind, shown in told if known.get(kind, OTHERS) is group),
        ]
        for group in (*groups, OTHERS)
    }
    return {group: shown for group, shown in chosen.items() if shown}


def _item(figure: Figure, address: str, section: str, model: str) -> GalleryItem:
    target = f"{address}#{section}" if section else address
    return GalleryItem(figure.path, target, shortened(figure.alt), model, figure.ink)


def _leading(run: Run) -> set[str]:
    """The pages of the heads that are highest in some statistic: not three thousand maps, but these."""
    if run.compares:
        return set()
    try:
        stacks = stacks_of(run)
    except BusyError:  # and so their pages are not there yet
        return set()
    return {
        stack.link(*best_heads(statistic.mean, 1)[0]).target
        for stack in stacks
        for statistic in stack.statistics
    }


def shortened(alt: str) -> str:
    """The first sentence of an alt text, or its beginning."""
    first = re.split(r"(?<=[^\d.])[.:;] ", alt)[0].rstrip(".")
    return first if len(first) <= LONGEST else first[: LONGEST - 1].rsplit(" ", 1)[0] + "…"


def _spread(found: Sequence[GalleryItem], most: int) -> list[GalleryItem]:
    """At most `most` of them, evenly from first to last."""
    return [found[place] for place in evenly(len(found), most)]


def _thumbnails(pictures: Mapping[str, Drawn], store: Path) -> dict[str, tuple[str, Drawn]]:
    """For each picture the path of its thumbnail, and the thumbnail. A chart in SVG is small as it is."""
    places, drawings = {path: path for path in pictures}, []
    for path, drawn in pictures.items():
        if drawn.file.suffix != ".svg":
            name = path.removeprefix("models/").removesuffix(".webp").replace("/", "-")
            places[path] = f"figures/{name}.webp"
            data = np.frombuffer(drawn.file.read_bytes(), dtype=np.uint8)
            drawings.append(Drawing("thumbnail", {"picture": data}, (places[path],)))
    made, _ = render(drawings, store, 1, lambda: None)
    return {path: (place, made.get(place, pictures[path])) for path, place in places.items()}


def figures_page(
    runs: Sequence[Run],
    written: Iterable[Page],
    told: Sequence[Told],
    pictures: Mapping[str, Drawn],
    store: Path,
    pages: Pages,
) -> tuple[Page, dict[str, Drawn]]:
    """The gallery of what stands on the pages that were written, and its thumbnails by their path."""
    chosen = chosen_figures(runs, written, told)
    all_shown = [one for shown in chosen.values() for one in shown]
    paths = dict.fromkeys(path for one in all_shown for path in (one.path, one.dark) if path)
    small = _thumbnails({path: pictures[path] for path in paths}, store)
    pages = pages.with_pictures(dict(small.values()))

    def thumbs(one: GalleryItem) -> list[Thumbnail]:
        both = [path for path in (one.path, one.dark) if path]
        return [Thumbnail(small[path][0], one.ink) for path in both]

    groups = [(group, [(one, thumbs(one)) for one in shown]) for group, shown in chosen.items()]
    owners = {one.model for one in all_shown}
    sections = {one.section for one in all_shown}
    places = {"models": "models’ pages", "articles": "articles", "lectures": "lectures"}
    count = len({one.path for one in all_shown})
    page = pages.page(
        "figures.html",
        ADDRESS,
        "Figures",
        f"{count} figures of {len(groups)} techniques, each with the page that explains it.",
        place=Place((home(),)),
        groups=groups,
        models=[run for run in runs if run.id in owners],
        places={key: name for key, name in places.items() if key in sections},
    )
    return pages.fill(page), dict(small.values())
