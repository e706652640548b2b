"""What a site is made of once everything is drawn, and its files in `build/docs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from generator.articles.check import check_links
from generator.articles.document import Article
from generator.articles.glossary import TERMS, glossary_page
from generator.articles.published import asked_files, told_figures
from generator.articles.source import Writing
from generator.comparison import Comparison
from generator.exhibit import Exhibit
from generator.figures.render import Drawn
from generator.manifest import manifest, unfinished_manifest
from generator.pages.environment import Pages
from generator.pages.figures import figures_page
from generator.pages.jump import INDEX, jump_index, listed
from generator.pages.page import Page
from generator.pages.sections import technique_scripts, technique_tables
from generator.paths import data_root
from generator.progress import Step
from generator.run import Run
from generator.site import Tree, lay_out_statics
from generator.store import BusyError


@dataclass(frozen=True, eq=False)
class Content:
    """Pages that are not filled yet, with all that they show.

    `opened` are all models, also those that are only compared. What is not `finished` has no more than what
    was measured when it was made, and says so.
    """

    exhibit: Exhibit
    opened: Sequence[Run]
    comparisons: Sequence[Comparison]
    writing: Writing
    articles: Sequence[Article]
    made: Sequence[Page]
    pictures: Mapping[str, Drawn]
    pages: Pages
    finished: bool = True

    @property
    def runs(self) -> list[Run]:
        """The models that have pages."""
        return [run for run in self.opened if run.paged]

    def write(self, work: Path, step: Step) -> int:
        """Fill all pages and write them with what they lead to; the number of pages."""
        tree = Tree(work / "docs")
        filled = [self.pages.fill(page) for page in self.made]
        of_articles, drawn = told_figures(self.articles), work / "store" / "figures"
        figures, small = figures_page(
            [*self.runs, *self.comparisons], filled, of_articles, self.pictures, drawn, self.pages
        )
        shown = figures.context["groups"]
        words, pages = self.pages.words, self.pages.with_pictures(small)
        used = {term for page in (*filled, figures) for term in page.terms}
        glossary, told = glossary_page(words, used, shown, self.writing.bibliography, pages)
        tree.put(TERMS, told.encode())
        filled += [figures, glossary]
        for page in filled:
            tree.page(page)
            step(page.address)
        for run in (*self.runs, *self.comparisons):
            for table in technique_tables(run):
                with suppress(*() if self.finished else (BusyError,)):  # rows are made here
                    tree.put(run.data_address(table.name), table.csv.encode())
            for address, text in technique_scripts(run):
                tree.put(address, text.encode())
        files = self.writing.files
        for address, file in asked_files(self.articles, filled, files, every=self.finished).items():
            tree.put(address, file.read_bytes())
        if self.finished:
            stated, index = manifest(self.exhibit, self.opened), jump_index(self.runs, filled)
        else:
            stated, index = unfinished_manifest(self.exhibit), listed(filled)
        tree.put("manifest.json", stated.encode())
        tree.put(INDEX, index.encode())
        tree.pictures({**self.pictures, **small})
        lay_out_statics(tree, work / "theme", data_root())
        if self.finished:
            check_links(self.articles, filled, tree.addresses)
        tree.prune()
        return len(filled)
