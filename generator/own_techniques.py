"""Techniques of the user's own: of files that the exhibit names, and of installed packages.

A mistake in one is told with its file and line, and leaves the rest of the site standing.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import wraps
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from generator.errors import UsageError
from generator.exhibit import Exhibit
from generator.models.compat import repair_torchvision
from generator.run import Technique
from generator.store import BusyError

GROUP = "cutaway.techniques"


class TechniqueError(UsageError):
    """What went wrong in a technique of the user's own, with its file and line."""


def own_techniques(exhibit: Exhibit) -> tuple[Technique[Any], ...]:
    """Those of the files that the exhibit names, and of all packages that offer some.

    Raises UsageError for a file that is not there, that cannot be run, or that holds none.
    """
    files = [(exhibit.base / Path(one).expanduser()).resolve() for one in exhibit.techniques]
    named = [each for file in files for each in _of_file(file)]
    return tuple(guarded(each) for each in (*named, *_of_packages()))


def with_own(
    built_in: Sequence[Technique[Any]], own: Sequence[Technique[Any]]
) -> tuple[Technique[Any], ...]:
    """All techniques. Raises UsageError where two have a name, or a kind of figure, in common."""
    every = (*built_in, *own)
    _refuse_twice("name", ((each.name, each) for each in every))
    _refuse_twice("kind of figure", ((kind, each) for each in every for kind in each.figures))
    return every


def _refuse_twice(what: str, names: Iterable[tuple[str, Technique[Any]]]) -> None:
    taken: dict[str, Technique[Any]] = {}
    for name, each in names:
        if name in taken:
            other = taken[name].origin or "Cutaway itself"
            raise UsageError(f"{each.origin}: the {what} '{name}' is taken, by {other}.")
        taken[name] = each


def _of_file(file: Path) -> list[Technique[Any]]:
    if not file.is_file():
        raise UsageError(f"techniques: there is no file {file}.")
    name = f"cutaway_own_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None  # of a file that ends in .py or not
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    repair_torchvision()  # which it may import
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(_where_it_failed(error, str(file))) from error
    there = [each for each in vars(module).values() if isinstance(each, Technique)]
    if not there:
        raise UsageError(f"{file}: holds no technique, which is a Technique(...) at its top level.")
    return [replace(each, origin=str(file)) for each in there]


def _of_packages() -> Iterator[Technique[Any]]:
    for point in entry_points(group=GROUP):
        try:
            found = point.load()
        except Exception as error:
            raise UsageError(f"the technique '{point.name}' of {point.value}: {error}") from error
        file = sys.modules[point.module].__file__ or point.value
        for each in found if isinstance(found, Sequence) else (found,):
            yield replace(each, origin=file)


def guarded(technique: Technique[Any]) -> Technique[Any]:
    """The technique, whose mistakes raise TechniqueError with their file and line."""

    def guard(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            try:
                return function(*arguments, **keywords)
            except (UsageError, BusyError):
                raise
            except Exception as error:
                raise TechniqueError(_where_it_failed(error, technique.origin)) from error

        return call

    def tables(run: Any) -> list[Any]:
        """All rows are made here, so that a mistake in them is told here."""
        made = list(technique.tables(run))
        for table in made:
            _ = table.csv
        return made

    return replace(
        technique,
        measure=guard(technique.measure),
        why_not=guard(technique.why_not),
        figures={kind: guard(function) for kind, function in technique.figures.items()},
        tables=guard(tables),
        scripts=guard(technique.scripts),
        sections=tuple(replace(one, view=guard(one.view)) for one in technique.sections),
    )


def _where_it_failed(error: Exception, origin: str) -> str:
    """Where in the user's file it went wrong, and what."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == origin]
    line = own[-1].lineno if own else getattr(error, "lineno", None)
    where = f"{Path(origin).name}, line {line}" if line else Path(origin).name
    return f"{where}: {type(error).__name__}: {str(error).strip() or 'no message'}"
