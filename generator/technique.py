"""The record of a technique: one question that can be asked of a model, in one file.

Its functions are given a run (generator/run.py), which knows this record and is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from generator.figures.figure import Figure
from generator.section import Section
from generator.table import Table
from generator.widget import Widget

R = TypeVar("R", covariant=True)


def _nothing(_: Any) -> Iterable[Any]:
    return ()


@dataclass(frozen=True, eq=False)
class Technique(Generic[R]):
    """One question that can be asked of a model, in one file.

    `reads` says for what kind of model it is made, or for which, and `why_not` returns the sentence that
    pages print where it does not apply to one, else "". `measure` goes through the store of the run, and may
    ask the run for other techniques. `controlled`: pages show it on random weights too. `figures`, and
    `widgets`, which are live, have the names by which articles and the command line ask for them; `tables`
    are published with the model, and so are `scripts`, pairs of an address and a text, which widgets load.
    `search` has words by which readers find it, `versions` those of what is measured, where finer than a
    module's. One that `compares` two models is asked of both side by side, and `asks` these techniques of
    each. `origin` is the file or package of a user's own.
    """

    name: str
    title: str
    search: str
    reads: str | tuple[str, ...]
    measure: Callable[[Any], R]
    why_not: Callable[[Any], str] = lambda _: ""
    figures: Mapping[str, Callable[..., Figure]] = field(default_factory=dict)
    widgets: Mapping[str, Callable[..., Widget]] = field(default_factory=dict)
    tables: Callable[[Any], Iterable[Table]] = _nothing
    sections: tuple[Section, ...] = ()
    scripts: Callable[[Any], Iterable[tuple[str, str]]] = _nothing
    versions: Callable[[Any], Any] = _nothing
    controlled: bool = False
    compares: bool = False
    asks: tuple[Technique[Any], ...] = ()
    origin: str = ""

    def asked_of(self, run: Any) -> R:
        """What a run finds, measured once: the `measure` of another technique that shows the same."""
        return run[self]

    @property
    def takes(self) -> tuple[str, ...]:
        """What the models that it is made for take."""
        return (self.reads,) if isinstance(self.reads, str) else self.reads

    @property
    def shows(self) -> bool:
        """Whether pages show it, or techniques that they show ask for it: others are for articles."""
        return bool(self.sections) or self.tables is not _nothing or not self.figures
