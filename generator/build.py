"""The whole pipeline: exhibit -> models and inputs -> probes -> figures -> pages -> site."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from generator.addresses import GLOSSARY
from generator.ahead import trainings
from generator.articles.catalogue import Catalogue
from generator.articles.document import Article
from generator.articles.dry_run import check_early
from generator.articles.errors import Mistakes
from generator.articles.kinds import kinds_of
from generator.articles.pages import article_pages, sections, starts
from generator.articles.previews import previews
from generator.articles.read import read_article
from generator.articles.source import Writing, read_writing
from generator.cards.content import card_page
from generator.comparison import Comparison
from generator.content import Content
from generator.engine import Work, affordable, asks_of, asks_of_pairs, workers
from generator.errors import UsageError, did_you_mean
from generator.exhibit import Exhibit, ModelSpec
from generator.figures.render import Drawn, render
from generator.forecast import forecast, mark_measured, tell_forecast
from generator.growing import SLICE, FirstSite
from generator.inputs.shown import Inputs
from generator.malloc import keep_freed
from generator.pages.comparison import comparison_pages
from generator.pages.environment import Pages
from generator.pages.gallery import gallery
from generator.pages.model import model_pages
from generator.pages.page import Page
from generator.pages.previews import model_previews
from generator.paths import cache_root, data_root
from generator.processes import fixed_threads
from generator.profile import Profile
from generator.progress import PROGRESS, Reporter, Step
from generator.report import tell_profile
from generator.run import Run, Technique
from generator.site import alone, check_target, run_builder
from generator.store import Store
from generator.subjects import (
    all_techniques,
    check_compared,
    comparisons_of,
    load_runs,
    opened_in_parts,
    possible_ids,
    read_inputs,
)
from generator.terms import Words
from generator.unfinished import is_finished
from generator.waiting import Waiting

ENGINES = ("local", "ray")
# What shows a first site, given what is asked of the models: what is left to ask.
First = Callable[[Sequence[Callable[[], Any]]], Sequence[Callable[[], Any]]]


@dataclass(frozen=True)
class Options:
    """How to build: where the site goes, where work is kept, on what device, with how many workers.

    `full` draws every unit in every way, which is work for a GPU. `profile` writes where the time went.
    `engine` is "local" or "ray", whose cluster is at `address`. `commands` describes the command line. `yes`
    agrees to whatever is forecast.
    """

    site: Path
    work: Path
    device: str = "auto"
    jobs: int = 0
    full: bool = False
    profile: bool = False
    engine: str = "local"
    address: str = ""
    commands: Callable[[], str] = str
    yes: bool = True

    @property
    def workers(self) -> int:
        """The number of processes that measure and draw."""
        return self.jobs or os.cpu_count() or 1

    @property
    def mapped(self) -> Path:
        """The folder of what is mapped into memory while a site is built."""
        return self.work / "mapped"


@dataclass(frozen=True)
class Summary:
    """What a build made."""

    site: Path
    pages: int
    figures: int
    bytes: int


@fixed_threads()
def build(exhibit: Exhibit, options: Options, reporter: Reporter) -> Summary:
    """Make the site of an exhibit. The site that was there stays until the new one is complete.

    Where there was none, or none that is finished, a first one is shown within a minute or so.
    """
    check_target(options.site, options.work, exhibit.base)
    if options.engine not in ENGINES:
        near = did_you_mean(options.engine, ENGINES)
        raise UsageError(f"--engine: '{options.engine}' is none of {', '.join(ENGINES)}. {near}")
    with alone(options.work):
        shutil.rmtree(options.mapped, ignore_errors=True)  # of a build that was killed
        try:
            if is_finished(options.site):
                return _build(exhibit, options, reporter)
            with reporter.written_to(options.work / PROGRESS):
                return _build(exhibit, options, reporter)
        finally:
            shutil.rmtree(options.mapped, ignore_errors=True)


def _build(exhibit: Exhibit, options: Options, reporter: Reporter) -> Summary:
    began = time.monotonic()
    keep_freed()
    writing = read_writing(exhibit.base, exhibit.writing)
    techniques = all_techniques(exhibit)
    check_compared(exhibit, fetched=False)
    check_early(writing, possible_ids(exhibit), kinds_of(techniques))
    inputs: Sequence[Inputs] = read_inputs(exhibit)
    store = Store(options.work / "store")
    store.sweep()
    store.weights = options.mapped
    pages = Pages(data_root() / "templates", {}, Words(writing.terms, GLOSSARY))
    publish = partial(_publish, exhibit, options)
    folders = options.work, options.site
    first = FirstSite(exhibit, writing, pages, *folders, options.commands, publish, began)
    exhibit, inputs, runs = _opened(first, inputs, options, store, techniques, reporter)
    count = min(options.workers, affordable(runs))
    tell_forecast(forecast(runs, options.workers, count), reporter, options.yes)
    first = replace(first, exhibit=exhibit)
    work = Work(exhibit, inputs, options.device, options.full, store.root, store.weights)
    comparisons, every, waiting = comparisons_of(exhibit, runs), runs, Waiting(options.mapped)
    asks = [*asks_of(runs), *asks_of_pairs(comparisons)]
    _measure(work, runs, asks, partial(first.ahead, runs, reporter), options, reporter)
    runs = [run for run in runs if run.paged]
    with reporter.stage("Contexts", None):
        each = [_pages(exhibit, run, comparisons, pages) for run in runs]
        made = waiting.made(*each, *(comparison_pages(one, pages) for one in comparisons))
        reporter.note(f"{store.reused} of {store.reused + store.made} results from the store")
        mark_measured(every)
    by_id = {run.id: run for run in (*runs, *comparisons)}
    catalogue = Catalogue(by_id, store, exhibit.seed, options.commands, techniques)
    articles = _read(writing, catalogue, waiting, reporter)
    front = gallery(exhibit, runs, comparisons, starts(articles), pages)
    made = [*waiting.made([front]), *made]
    pictures = _draw(exhibit, runs, waiting, articles, options, reporter, store.profile)
    pages = pages.with_pictures(pictures)
    made = [*article_pages(articles, exhibit, pages), *made]
    content = Content(exhibit, every, comparisons, writing, articles, made, pictures, pages)
    with reporter.stage("Pages", None) as step:
        count = content.write(options.work, step)
        reporter.note(f"{count} pages")
    with reporter.stage("Site", 1) as step:
        publish(articles)
        size = sum(file.stat().st_size for file in options.site.rglob("*") if file.is_file())
        reporter.note(f"{size / 1e6:.1f} MB")
        step("")
    if options.profile:
        tell_profile(store.profile, reporter, options.work / "profile.json")
    return Summary(options.site, count, len(pictures), size)


def _opened(
    first: FirstSite,
    inputs: Sequence[Inputs],
    options: Options,
    store: Store,
    techniques: tuple[Technique[Any], ...],
    reporter: Reporter,
) -> tuple[Exhibit, Sequence[Inputs], list[Run]]:
    """The exhibit with an entry for each model, their inputs, and the runs of all that were opened.

    While a training is waited for, a first site of what is open is shown, and more of it measured.
    """
    exhibit = first.exhibit
    with (
        reporter.stage("Models", len(exhibit.models)) as step,
        trainings(exhibit, cache_root(), options.workers - 1) as wait,
    ):
        exhibit, inputs = opened_in_parts(exhibit, inputs)
        check_compared(exhibit, fetched=True)
        first = replace(first, exhibit=exhibit)

        def meanwhile(runs: Sequence[Run]) -> Iterator[Callable[[], object]]:
            asks = asks_of(runs)
            if not first.shown:
                yield partial(first.ahead, list(runs), reporter, asks)
            yield from (partial(store.tried, ask, SLICE) for ask in asks)

        def ready(spec: ModelSpec, runs: Sequence[Run]) -> None:
            wait(spec, meanwhile(runs) if runs else iter(()))

        given = (options.device, store, step, reporter.step, techniques, options.full, ready)
        return exhibit, inputs, load_runs(exhibit, inputs, *given)


def _publish(exhibit: Exhibit, options: Options, articles: Sequence[Article]) -> None:
    """Have the site builder make the site of what is in `build/docs`, and put it in place."""
    config = exhibit.base / "mkdocs.yml"
    chosen = config if config.is_file() else data_root() / "mkdocs.yml"
    menu = sections(articles)
    run_builder(chosen, options.work, options.site, exhibit.site_url, menu)


def _read(
    writing: Writing, catalogue: Catalogue, waiting: Waiting, reporter: Reporter
) -> list[Article]:
    """The articles up to their pictures; what they ask for beyond the pages is measured here."""
    if not writing.sources:
        return []
    with reporter.stage("Articles", len(writing.sources)) as step:
        articles, mistakes = list[Article](), Mistakes()
        for source in writing.sources:
            with mistakes:
                articles.append(read_article(source, catalogue, writing.bibliography))
                waiting.add(articles[-1].drawings)
            step(source.address)
        mistakes.tell()
    return articles


def _measure(
    work: Work,
    runs: Sequence[Run],
    asks: Sequence[Callable[[], Any]],
    first: First,
    options: Options,
    reporter: Reporter,
) -> None:
    """Measure what pages show, in several processes; `first` shows what is there early on."""
    store = runs[0].store
    if options.engine == "ray":
        from generator.engine_ray import fill_by_ray

        with reporter.stage("Workers", None):
            first(asks)
            fill_by_ray(work, options.workers, options.address, store.profile, reporter.step)
    count = 1 if options.engine == "ray" else min(options.workers, affordable(runs))
    with (
        workers(work, count, store, reporter.step),
        reporter.stage("Probes", len(asks)) as step,
    ):
        every = [partial(_asked, ask, step) for ask in asks]
        store.shared(every if options.engine == "ray" else first(every))
    for run in runs:
        run.control.forget()


def _asked(ask: Callable[[], Any], step: Step) -> None:
    ask()
    step("")


def _pages(
    exhibit: Exhibit, run: Run, comparisons: Sequence[Comparison], pages: Pages
) -> Iterator[Page]:
    """The pages of a model, whose figures are still to be drawn."""
    yield from model_pages(run, pages)
    yield card_page(exhibit, run, pages, comparisons)


def _draw(
    exhibit: Exhibit,
    runs: Sequence[Run],
    waiting: Waiting,
    articles: Sequence[Article],
    options: Options,
    reporter: Reporter,
    profile: Profile,
) -> dict[str, Drawn]:
    """All pictures by their path, with the previews, which are made of other pictures."""
    wanted = waiting.drawings
    with reporter.stage("Figures", len(wanted)) as step:
        place = options.work / "store" / "figures"
        pictures, reused = render(wanted, place, options.workers, lambda: step(""), profile)
        shared = model_previews(runs, exhibit.title, pictures)
        shared += previews(articles, exhibit, pictures)
        more, _ = render(shared, place, 1, lambda: None)
        reporter.note(f"{reused} of {len(wanted)} drawings from the store")
    return pictures | more
