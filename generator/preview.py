"""The pages of an exhibit as it is written now, each made when somebody asks for it.

The built site lends the shell of a page: header, styles and scripts. What stands in it is made anew, so that
the site builder is not run, and no page is written that nobody looks at.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from generator.addresses import GLOSSARY, Link
from generator.articles.catalogue import Catalogue
from generator.articles.errors import Mistakes
from generator.articles.pages import pages_of
from generator.articles.read import read_article
from generator.articles.source import Source, Writing, read_writing
from generator.cards.content import card_page
from generator.comparison import Comparison
from generator.comparison_schema import ComparisonSpec
from generator.errors import CutawayError
from generator.exhibit import Exhibit
from generator.exhibit_yaml import load_exhibit
from generator.figures.drawing import Drawing
from generator.figures.render import Drawn, render
from generator.pages.comparison import comparison_pages
from generator.pages.environment import Pages
from generator.pages.model import model_pages
from generator.pages.page import Page
from generator.pages.sections import technique_scripts, technique_tables
from generator.paths import data_root
from generator.preview_runs import PreviewModel, PreviewRuns
from generator.progress import silent
from generator.run import Run
from generator.store import Store
from generator.subjects import (
    all_techniques,
    check_compared,
    comparison_links,
    comparison_of,
    load_runs,
    opened_in_parts,
    read_inputs,
)
from generator.terms import Words

# What stands before and behind a page in the three shells of the theme: lean, slides, and its own.
_SHELLS = (
    ('<main class="md-typeset c-lean">', "</main>"),
    ('javascripts/palette.js"></script>', "</body>"),
    ('<article class="md-content__inner md-typeset">', "</article>"),
)
_TITLE = re.compile(r"<title>.*?</title>", re.DOTALL)


@dataclass
class Preview:
    """An exhibit in the folder `base`, whose site was built at `site` with its work kept at `work`.

    `version` is raised by every change; `mistake` is what is wrong with the last one, "" where nothing is:
    then the last good pages stay. All of it may be asked for in several threads.
    """

    base: Path
    site: Path
    work: Path
    device: str = "auto"
    commands: Callable[[], str] = str
    version: int = 0
    mistake: str = ""
    making: str = ""  # of a site that is still being built
    _models: dict[str, PreviewModel] = field(default_factory=dict)
    _changed: set[str] = field(default_factory=set)  # models that are not what was built
    _exhibit: Exhibit | None = None
    _catalogue: Catalogue | None = None
    _writing: Writing = field(default_factory=Writing)
    _made: dict[str, str] = field(default_factory=dict)  # text files and pages, by address
    _files: dict[str, Path] = field(default_factory=dict)  # pictures, by address
    _pages: dict[str, dict[str, Page]] = field(default_factory=dict)  # of changed models
    _stale: set[Path] = field(default_factory=set)  # articles that name changed models, perhaps
    _seen: set[str] = field(default_factory=set)  # addresses of articles that somebody looked at
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def refresh(self, changed: Collection[Path] = ()) -> None:
        """Read the exhibit again after some files have changed; all of it where none are named."""
        with self._lock:
            try:
                self._refresh(changed)
                self.mistake = ""
            except Exception as error:  # whatever it is, the next change is looked at again
                self.mistake = _message_of(error)
            self.version += 1

    def page(self, address: str) -> str | None:
        """A page or another text as it would be now; None where it is what was built."""
        with self._lock:
            try:
                self._make(address)
                self._make_ready(address)
            except Exception as error:
                self.mistake, self.version = _message_of(error), self.version + 1
            return self._made.get(address)

    def file(self, address: str) -> Path | None:
        """A picture that was drawn since the site was built."""
        return self._files.get(address)

    def _make(self, address: str) -> None:
        """Make a page that is not what was built, if it was not made already."""
        first, model, *_ = [*address.split("/"), ""]
        shown = first in {"models", "compare"}
        if shown and model in self._changed and address not in self._made:
            page = self._of_model(model).get(address)
            if page is not None:
                drawings = [figure.drawing for figure, _ in page.figures()]
                self._show(page, self._with_pictures(drawings))
        for source in self._writing.sources:
            if source.path in self._stale and address.startswith(
                f"{source.section}/{source.stem}/"
            ):
                self._stale.discard(source.path)
                self._write(source)

    def _make_ready(self, address: str) -> None:
        """Load the models that an article names when somebody first looks at it: it may be edited next."""
        body = next((one.body for one in self._writing.sources if one.address == address), "")
        if body and address not in self._seen:
            self._seen.add(address)
            named = [model for name, model in self._models.items() if f'"{name}"' in body]
            threading.Thread(target=_load, args=(named,), daemon=True).start()

    def _refresh(self, changed: Collection[Path]) -> None:
        exhibit = load_exhibit(self.base)
        folder = (exhibit.base / exhibit.writing).resolve() if exhibit.writing else None
        only_writing = changed and folder and all(folder in path.parents for path in changed)
        if not (only_writing and self._catalogue):
            self._open(exhibit)
        before, self._writing = self._writing, read_writing(exhibit.base, exhibit.writing)
        new = [one for one in self._writing.sources if self._is_new(one, before)]
        # Each leads to its neighbours; what was built is taken to be as it is listed, but for what is new.
        if _listed(before) != _listed(self._writing) if self.version else new:
            self._stale |= {source.path for source in self._writing.sources}
        mistakes = Mistakes([*self._writing.mistakes])
        for source in new:
            self._stale.discard(source.path)
            with mistakes:
                self._write(source)
        mistakes.tell()

    def _is_new(self, source: Source, before: Writing) -> bool:
        """Whether an article is not the one that was read last, or built."""
        if not self.version:
            built = self.site / source.address
            return not built.is_file() or built.stat().st_mtime < source.path.stat().st_mtime
        return source not in before.sources or before.bibliography != self._writing.bibliography

    def _open(self, exhibit: Exhibit) -> None:
        """All models with what they are shown; each is loaded when it is asked for."""
        techniques, store = all_techniques(exhibit), Store(self.work / "store")
        alone, inputs = opened_in_parts(exhibit, read_inputs(exhibit))
        check_compared(alone, fetched=True)
        pairs = _other_pairs(self._exhibit, alone) if self._exhibit else []
        told = {name for pair in pairs for name in pair.models}  # whose pages lead to them
        models: dict[str, PreviewModel] = {}
        for spec, shown in zip(alone.models, inputs, strict=True):
            one = alone.model_copy(update={"models": (spec,)})
            given = (one, [shown], self.device, store, silent, silent, techniques)
            load = partial(_loaded, comparison_links(spec, alone), *given)
            model = PreviewModel(spec, shown, exhibit.seed, load)
            known = self._models.get(spec.id) if spec.id not in told else None
            models[spec.id] = known.shown_as(model) if known else model
            if self._models and models[spec.id] is not known:
                for name in (spec.id, *(pair.id for pair in alone.comparisons_of(spec.id))):
                    self._forget(name)
        for pair in pairs:
            self._forget(pair.id)
        self._models, self._exhibit = models, alone
        runs = PreviewRuns(models, {one.id: one for one in alone.compare})
        self._catalogue = Catalogue(runs, store, exhibit.seed, self.commands, techniques)

    def _forget(self, model: str) -> None:
        """What was made of a model is not what it would be now."""
        self._changed.add(model)
        self._stale |= {source.path for source in self._writing.sources}
        self._pages.pop(model, None)
        places = (f"models/{model}/", f"compare/{model}/")
        for address in [one for one in self._made if one.startswith(places)]:
            del self._made[address]

    def _write(self, source: Source) -> None:
        """Make the page of an article, and its slides."""
        assert self._catalogue and self._exhibit
        article = read_article(source, self._catalogue, self._writing.bibliography)
        pages = self._with_pictures(article.drawings)
        beside = self._writing.of(source.section)
        made = {page.address: page for page in pages_of(article, beside, self._exhibit, pages)}
        article.document.mistakes.tell()
        for page in made.values():
            self._show(page, pages)

    def _of_model(self, model: str) -> Mapping[str, Page]:
        """The pages of a model, or of two, that are not what was built, before they are filled; and texts."""
        assert self._exhibit and self._catalogue
        if model not in self._pages:
            runs, pages = self._catalogue.runs, self._with_pictures(())
            if model not in {*runs}:  # what was taken out of the exhibit
                return {}
            run, changes = runs[model], self._exhibit.comparisons_of(model)
            if isinstance(run, Comparison):
                made = [*comparison_pages(run, pages)]
            else:
                beside = [comparison_of(one, runs) for one in changes if one.after == model]
                card = card_page(self._exhibit, run, pages, beside)
                made = [*model_pages(run, pages), card]
            self._pages[model] = {page.address: page for page in made}
            self._made |= dict(technique_scripts(run))
            for table in technique_tables(run):
                self._made[run.data_address(table.name)] = table.csv
        return self._pages[model]

    def _show(self, page: Page, pages: Pages) -> None:
        """Fill a page and put it into the shell of a built one."""
        shell = self._shell_of(page.address)
        if shell:
            self._made[page.address] = in_shell(shell, pages.fill(page))

    def _with_pictures(self, drawings: Sequence[Drawing]) -> Pages:
        """Templates with these drawings, drawn."""
        pages = Pages(data_root() / "templates", {}, Words(self._writing.terms, GLOSSARY))
        kept = self.work / "store" / "figures"
        wanted = list({drawing.paths: drawing for drawing in drawings}.values())
        pictures: dict[str, Drawn] = render(wanted, kept, 1, lambda: None)[0] if wanted else {}
        self._files |= {address: drawn.file for address, drawn in pictures.items()}
        return pages.with_pictures(pictures)

    def _shell_of(self, address: str) -> str:
        """The built page at an address, or another of its kind; "" where there is none."""
        built = self.site / address
        others: Iterator[Path] = built.parent.parent.glob("*/index.html")
        found = built if built.is_file() else next((one for one in sorted(others)), None)
        return found.read_text(encoding="utf-8") if found else ""


def in_shell(built: str, page: Page) -> str:
    """A built page with the body and the title of another."""
    begins, ends = next(pair for pair in _SHELLS if pair[0] in built)
    start, end = built.index(begins) + len(begins), built.rindex(ends)
    title = page.title.replace("&", "&amp;").replace("<", "&lt;")
    head = _TITLE.sub(lambda _: f"<title>{title}</title>", built[:start], count=1)
    return f"{head}{page.body}{built[end:]}"


def _message_of(error: Exception) -> str:
    if isinstance(error, CutawayError):
        return f"{error} {error.hint}".strip()
    return f"{type(error).__name__}: {error}"


def _other_pairs(before: Exhibit, after: Exhibit) -> list[ComparisonSpec]:
    """What one of two exhibits compares, and the other does not, or says something else of."""
    one, other = ([*exhibit.compare] for exhibit in (before, after))
    return [
        *(pair for pair in one if pair not in other),
        *(pair for pair in other if pair not in one),
    ]


def _load(models: Sequence[PreviewModel]) -> None:
    for model in models:
        with suppress(Exception):  # said when the article is made
            _ = model.run


def _loaded(links: tuple[Link, ...], *given: Any) -> list[Run]:
    """A run that leads to all that it is compared with: alone it knows the titles of no others."""
    return [replace(run, comparisons=links) for run in load_runs(*given)]


def _listed(writing: Writing) -> list[tuple[str, str]]:
    return [(source.address, source.meta.title) for source in writing.sources]
