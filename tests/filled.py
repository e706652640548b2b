"""Pages filled without a build: every picture counts as drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from generator.figures.figure import Drawing
from generator.figures.render import Drawn
from generator.findings import Findings
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.paths import data_root
from generator.plates import drawings


class _Everything(dict[str, Drawn]):
    """Any picture; what is drawn is tested elsewhere."""

    def __contains__(self, path: object) -> bool:
        return True

    def __missing__(self, path: str) -> Drawn:
        return Drawn(Path(path), 100, 80)


def any_pages(known: Iterable[Drawing] = ()) -> Pages:
    """The site's templates, with every picture that is asked for."""
    return Pages(data_root() / "templates", _Everything(), drawings=known)


def filled(make: Callable[[Findings, Pages], Iterable[Page]], found: Findings) -> dict[str, Page]:
    """The pages that `make` makes of findings, with their bodies, by address."""
    pages = any_pages(drawings(found))
    return {page.address: pages.fill(page) for page in make(found, pages)}
