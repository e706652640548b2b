"""A first site, within a minute of a build that has none to show: what is measured and drawn by then.

What is not there says so. Nothing is chosen for it: every technique gets a little time, then more, and what
a page needs and the store does not have is pending. The whole site is made from scratch afterwards, of runs
that have never met anything pending, so that its bytes do not depend on the first one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from generator.articles.catalogue import Catalogue
from generator.articles.document import Article
from generator.articles.errors import WritingError, WritingErrors
from generator.articles.pages import article_pages, starts
from generator.articles.read import read_article
from generator.articles.source import Writing
from generator.content import Content
from generator.exhibit import Exhibit
from generator.figures.figure import Drawing
from generator.figures.render import Drawn, render
from generator.pages.environment import Pages
from generator.pages.gallery import gallery
from generator.pages.model import model_pages
from generator.pages.page import Page, figures_in
from generator.pages.sections import FilledSection, each_once, pending
from generator.progress import Reporter, silent
from generator.run import Run
from generator.store import BusyError, KeptStore, Store
from generator.unfinished import is_finished

T = TypeVar("T")
Ask = Callable[[], Any]

SLICE = 0.2  # seconds that each technique gets first
# Seconds of a build after which the first site is measured and drawn, and how long either takes at least.
MEASURED, DRAWN = (30.0, 5.0), (42.0, 8.0)


def _end(began: float, limit: tuple[float, float]) -> float:
    """When the time for something is over, by the monotonic clock."""
    return max(began + limit[0], time.monotonic() + limit[1])


def answered_first(asks: Sequence[Ask], store: Store, until: float) -> list[Ask]:
    """Ask each for a little time, then for twice as long, until the time is over; what is left."""
    left, seconds = list(asks), SLICE
    while left and time.monotonic() < until:
        left = [ask for ask in left if not store.tried(ask, min(seconds, until - time.monotonic()))]
        seconds *= 2
    return left


@dataclass(frozen=True)
class FirstSite:
    """What a first site is made of, and how it is put in place: `publish` is told its articles.

    `began` is when the build began, by the monotonic clock. `shown` has the number of models of each one that
    was made: the next is made where there are more.
    """

    exhibit: Exhibit
    writing: Writing
    pages: Pages
    work: Path
    site: Path
    commands: Callable[[], str]
    publish: Callable[[Sequence[Article]], None]
    began: float
    shown: list[int] = field(default_factory=list)

    def ahead(self, runs: Sequence[Run], reporter: Reporter, asks: Sequence[Ask]) -> Sequence[Ask]:
        """Show a first site where there is no finished one and asking takes its time; what is left to ask."""
        if is_finished(self.site) or len(runs) in self.shown:
            return asks
        self.shown.append(len(runs))
        store = runs[0].store
        left = answered_first(asks, store, _end(self.began, MEASURED))
        if left:
            reporter.step("the first pages")
            try:
                with store.profile.of("first site", "all models"):
                    self.make(runs, _end(self.began, DRAWN))
                says = f"The first pages are there: cutaway serve {self.site}"
            except Exception as error:  # whatever it is, the build itself will meet it, and tell it
                says = f"The first pages could not be made: {error}"
            reporter.console.print(says, soft_wrap=True)
        return left

    def make(self, runs: Sequence[Run], until: float) -> None:
        """Make the site of what is in the store now; pages that are not made by then are left out."""
        kept = [_of_kept(run, self.work / "store") for run in runs if run.paged]
        made = list(_until(until, _in_turn([model_pages(run, self.pages) for run in kept])))
        articles = self._articles(kept, until)
        made = [gallery(self.exhibit, kept, (), starts(articles), self.pages), *made]
        pictures = self._draw(made, articles, until)
        articles = [one for one in articles if _are_drawn(one.drawings, pictures)]
        # Not made anew: it would show what was measured since, and is not drawn.
        made[0] = replace(made[0], context={**made[0].context, "starts": starts(articles)})
        pages = self.pages.of_unfinished.with_pictures(pictures)
        whole = [page for page in (_as_drawn(one, kept, pictures) for one in made) if page]
        every = [*article_pages(articles, self.exhibit, pages), *whole]
        shown = (self.exhibit, kept, (), self.writing, articles, every, pictures, pages)
        Content(*shown, finished=False).write(self.work, silent)
        self.publish(articles)

    def _articles(self, runs: Sequence[Run], until: float) -> list[Article]:
        """The articles that name nothing that is pending; their mistakes are told later."""
        by_id = {run.model.id: run for run in runs}
        made_by = (self.exhibit.seed, self.commands, runs[0].techniques)
        catalogue, found = Catalogue(by_id, runs[0].store, *made_by), list[Article]()
        for source in _until(until, self.writing.sources):
            try:
                found.append(read_article(source, catalogue, self.writing.bibliography))
            except (BusyError, WritingError, WritingErrors):
                continue
        return found

    def _draw(
        self, made: Sequence[Page], articles: Sequence[Article], until: float
    ) -> dict[str, Drawn]:
        """What there is time for, from the gallery downwards; the gallery's own in any case."""
        ordered = sorted(made, key=lambda page: page.address.count("/"))
        of_pages = [[one.drawing for one, _ in page.figures()] for page in ordered]
        first, *rest = (*of_pages[:1], *(one.drawings for one in articles), *of_pages[1:])
        pictures: dict[str, Drawn] = {}
        for drawing in chain(first, _until(until, chain.from_iterable(rest))):
            if drawing.paths[0] not in pictures:
                drawn, _ = render([drawing], self.work / "store" / "figures", 1, lambda: None)
                pictures |= drawn
        return pictures


def _of_kept(run: Run, store: Path) -> Run:
    """The same run, which measures nothing and shares no result with it."""
    kept, own = KeptStore(store), replace(run, credits=[], _results={}, comparisons=())
    return replace(own, store=kept, step=silent)


def _until(end: float, each: Iterator[T] | Sequence[T]) -> Iterator[T]:
    for one in each:
        if time.monotonic() > end:
            return
        yield one


def _in_turn(several: Sequence[Iterator[T]]) -> Iterator[T]:
    """One of each, then the next of each, to the end of the longest."""
    going = list(several)
    while going:
        found = [(each, next(each, None)) for each in going]
        going = [each for each, one in found if one is not None]
        yield from (one for _, one in found if one is not None)


def _are_drawn(drawings: Sequence[Drawing], pictures: Mapping[str, Drawn]) -> bool:
    return all(path in pictures for one in drawings for path in one.paths)


def _as_drawn(page: Page, runs: Sequence[Run], pictures: Mapping[str, Drawn]) -> Page | None:
    """A page with those of its sections pending that are not drawn; None where something else is not."""

    def drawn(shown: Any) -> bool:
        return _are_drawn([figure.drawing for figure, _ in figures_in(shown)], pictures)

    techniques = {each.name: each for each in runs[0].techniques}
    sections: tuple[FilledSection, ...] = tuple(page.context.get("sections", ()))
    others = [value for name, value in page.context.items() if name != "sections"]
    if not drawn(others):
        return None
    if not sections:
        return page
    told = (
        one if drawn([one.view]) else pending(techniques[one.technique], one.id) for one in sections
    )
    return replace(page, context={**page.context, "sections": tuple(each_once(told))})
