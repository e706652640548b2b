"""Pages filled without a build: every picture counts as drawn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from generator.figures.render import Drawn
from generator.pages.environment import Pages
from generator.pages.model import model_pages
from generator.pages.page import Page
from generator.paths import data_root
from generator.run import Run


def quoted(html: str) -> str:
    """A page as written with the quotes that leaf pages leave to the browser."""
    return re.sub(r"(?<=[\w-])=([\w.#:/%-]+)(?=[ >])", r'="\1"', html)


class _Everything(dict[str, Drawn]):
    """Any picture; what is drawn is tested elsewhere."""

    def __contains__(self, path: object) -> bool:
        return True

    def __missing__(self, path: str) -> Drawn:
        return Drawn(Path(path), 100, 80)


def any_pages() -> Pages:
    """The site's templates, with every picture that is asked for."""
    return Pages(data_root() / "templates", _Everything())


def filled(run: Run, make: Callable[[Run, Pages], Iterable[Page]] = model_pages) -> dict[str, Page]:
    """The pages that `make` makes of a run, with their bodies, by address."""
    pages = any_pages()
    return {page.address: pages.fill(page) for page in make(run, pages)}


def filled_page(run: Run, address: str) -> Page:
    """One page of a run: none after it is made."""
    pages = any_pages()
    return next(pages.fill(page) for page in model_pages(run, pages) if page.address == address)
