"""The sections of a page, each filled by its technique."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from generator.run import Run, Technique, why_not
from generator.table import Table
from generator.techniques import TECHNIQUES


@dataclass(frozen=True, eq=False)
class FilledSection:
    """A section with what its template shows; `technique` is the name of its own."""

    technique: str
    id: str
    template: str
    view: Any


def asked(run: Run) -> Iterator[Technique[Any]]:
    """The techniques that apply to a model, in page order."""
    return (each for each in TECHNIQUES if not why_not(each, run))


def sections_of(run: Run, page: str, *subject: Any) -> tuple[FilledSection, ...]:
    """The sections of one page; `subject` is what the page is about beside the model."""
    filled = (
        FilledSection(each.name, one.id, f"sections/{one.template}", one.view(run, *subject))
        for each in asked(run)
        for one in each.sections
        if one.page == page
    )
    return tuple(one for one in filled if one.view is not None)


def technique_tables(run: Run) -> Iterator[Table]:
    """The tables of all techniques that apply to a model."""
    for each in asked(run):
        yield from each.tables(run)


def tables_below(run: Run, page: str) -> tuple[str, ...]:
    """The names of the tables with the numbers of one page."""
    there = [each for each in asked(run) if any(one.page == page for one in each.sections)]
    return tuple(table.name for each in there for table in each.tables(run))
