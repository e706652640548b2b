"""What an article can name: models, layers, units, heads, pictures, texts, classes, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from generator.errors import UsageError, did_you_mean
from generator.inputs.shown import Picture
from generator.pages.sections import technique_tables
from generator.run import Run, Technique
from generator.store import Store
from generator.table import Table
from generator.techniques import TECHNIQUES
from generator.techniques.naming import one_of

Row = dict[str, str]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The models of an exhibit with what was measured on them, by the names that articles use.

    A run is taken from `runs` when it is first asked for. `commands` describes the command line for the
    guide. Everything here raises UsageError with the nearest valid name for a name that is not there.
    """

    runs: Mapping[str, Run]
    store: Store
    seed: int
    commands: Callable[[], str] = str
    techniques: Sequence[Technique[Any]] = TECHNIQUES
    _tables: dict[str, dict[str, Table]] = field(default_factory=dict)
    _asked: dict[str, Run] = field(default_factory=dict)

    def run(self, model: str) -> Run:
        """A model with what it is run on and what was found."""
        if model not in self.runs:
            raise unknown_model(model, self.runs)
        if model not in self._asked:
            self._asked[model] = self.runs[model]
            self._asked[model].credits.clear()
        return self._asked[model]

    @property
    def credits(self) -> list[Picture]:
        """The pictures that were asked for, which the article that shows them must give credit for."""
        return [one for run in self._asked.values() for one in run.credits]

    def forget_credits(self) -> None:
        """Begin another article."""
        for run in self._asked.values():
            run.credits.clear()

    def table(self, model: str, name: str) -> list[Row]:
        """The rows of a published table as text; each is made once."""
        if model not in self._tables:
            made = technique_tables(self.run(model))
            self._tables[model] = {one.name.removesuffix(".csv"): one for one in made}
        known = self._tables[model]
        return known[one_of("table", name.removesuffix(".csv"), known, f"{model} has no")].records


def unknown_model(name: str, known: Iterable[str]) -> UsageError:
    """A model that an article names and the exhibit does not."""
    return UsageError(
        f"the exhibit shows no model '{name}'. {did_you_mean(name, known)}",
        hint="Add it to 'models' in exhibit.yml, or take out what names it.",
    )
