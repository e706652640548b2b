"""The sections of a page, each filled by its technique."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from generator.files import tell
from generator.own_techniques import TechniqueError
from generator.run import Run, Section, Technique, why_not
from generator.store import BusyError
from generator.table import Table

T = TypeVar("T")

OWN = "own:"  # before the path of a template of the user's own


@dataclass(frozen=True, eq=False)
class FilledSection:
    """A section with what its template shows; `technique` is the name of its own.

    One that `leads` stands in the head of its page, and not among the others.
    """

    technique: str
    id: str
    template: str
    view: Any
    leads: bool = False

    @property
    def anchor(self) -> str:
        """Where on its page a link to what it shows leads."""
        return self.id

    @property
    def pending(self) -> bool:
        """Whether it says only that its technique is not measured, or drawn, yet."""
        return isinstance(self.view, Pending)


@dataclass(frozen=True)
class Pending:
    """What stands in an unfinished site in the place of what is still being measured or drawn."""

    title: str


@dataclass(frozen=True)
class Reason:
    """Why a technique of the user's own has nothing to show here."""

    title: str
    reason: str


def asked(run: Run) -> Iterator[Technique[Any]]:
    """The techniques that apply to a model, in page order."""
    return (each for each in run.techniques if not why_not(each, run))


def sections_of(run: Run, page: str, *subject: Any) -> tuple[FilledSection, ...]:
    """The sections of one page; `subject` is what the page is about beside the model."""
    filled = (
        _filled(run, each, one, subject)
        for each in run.techniques
        for one in each.sections
        if one.page == page
    )
    return tuple(each_once(one for one in filled if one is not None))


def each_once(sections: Iterable[FilledSection]) -> Iterator[FilledSection]:
    """The sections; of those that are pending none whose id, or whose technique, stands there already."""
    every = list(sections)
    told = {name for one in every if not one.pending for name in (one.id, one.technique)}
    for one in every:
        if not one.pending or told.isdisjoint((one.id, one.technique)):
            yield one
        told |= {one.id, one.technique}


def _filled(
    run: Run, technique: Technique[Any], section: Section, subject: tuple[Any, ...]
) -> FilledSection | None:
    reason = why_not(technique, run)
    if not reason:
        try:
            with run.store.profile.of(technique.name, run.model.id):
                view = section.view(run, *subject)
        except BusyError:
            return replace(pending(technique, section.id), leads=section.leads)
        except TechniqueError as error:
            reason = str(error)
            tell(f"{run.model.id}: {technique.title} is left out: {reason}")
        else:
            template = _template(technique, section)
            made = FilledSection(technique.name, section.id, template, view, section.leads)
            return made if view else None
    if not technique.origin:
        return None
    view = Reason(technique.title, reason)
    return FilledSection(technique.name, section.id, "sections/reason.html", view)


def pending(technique: Technique[Any], anchor: str) -> FilledSection:
    """The section of a technique that is still being measured or drawn."""
    return FilledSection(technique.name, anchor, "sections/pending.html", Pending(technique.title))


def _template(technique: Technique[Any], section: Section) -> str:
    """The name of a template: a file beside a technique of the user's own, or one of the site's."""
    beside = Path(technique.origin).parent / section.template
    if technique.origin and beside.is_file():
        return f"{OWN}{beside}"
    return f"sections/{section.template}"


def technique_tables(run: Run) -> Iterator[Table]:
    """The tables of all techniques that apply to a model; those of one that fails are left out."""
    for each in asked(run):
        yield from _tables(run, each)


def _tables(run: Run, technique: Technique[Any]) -> Iterator[Table]:
    """The tables of a technique, the same whoever asks: their rows are made once."""

    def make(_: Run) -> tuple[Table, ...]:
        return run.once(("tables", technique), lambda: tuple(technique.tables(run)))

    return _published(run, technique, "tables", make)


def technique_scripts(run: Run) -> Iterator[tuple[str, str]]:
    """What the components of a model's pages load: address in the site, and text."""
    for each in asked(run):
        yield from _published(run, each, "scripts", each.scripts)


def _published(
    run: Run, technique: Technique[Any], what: str, make: Callable[[Run], Iterable[T]]
) -> Iterator[T]:
    """What a technique publishes; nothing of one that fails, or that is not measured yet."""
    try:
        yield from make(run)
    except BusyError:
        pass
    except TechniqueError as error:
        tell(f"{run.model.id}: the {what} of {technique.title} are left out: {error}")


def search_words(run: Run, page: str) -> str:
    """What readers also call the techniques on a page."""
    there = [each for each in asked(run) if any(one.page == page for one in each.sections)]
    return " ".join(each.search for each in there)


def tables_below(run: Run, page: str) -> tuple[str, ...]:
    """The names of the tables with the numbers of one page."""
    there = [each for each in asked(run) if any(one.page == page for one in each.sections)]
    return tuple(table.name for each in there for table in _tables(run, each))
