"""Two models side by side: a run whose techniques ask both, and show what changed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import ClassVar, TypeVar

from generator.addresses import comparison_id
from generator.errors import UsageError
from generator.run import Run
from generator.technique import Technique

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Comparison(Run):
    """The run of the model `after`, which is held against that of another, `before`.

    Its techniques ask each of the two runs alone, through the store, and put side by side what they find.
    `about` is what the exhibit says of the change.
    """

    compares: ClassVar[bool] = True
    before: Run = field(kw_only=True)
    after: Run = field(kw_only=True)
    about: str = field(default="", kw_only=True)

    @property
    def title(self) -> str:
        """The name that readers see."""
        return f"{self.before.title} and {self.after.title}"

    @property
    def id(self) -> str:
        """Its name in addresses: /compare/<before>-<after>/."""
        return comparison_id(self.before.model.id, self.after.model.id)

    @property
    def folder(self) -> str:
        """The folder of its pages and pictures in the site."""
        return f"compare/{self.id}"

    @property
    def source(self) -> str:
        """Where a figure says that it comes from."""
        return f"{self.before.source}; {self.after.source}"


def compared(before: Run, after: Run, about: str = "") -> Comparison:
    """Two runs side by side."""
    own = {one.name: getattr(after, one.name) for one in fields(Run)}
    own |= {"credits": [], "_results": {}}
    return Comparison(**own, before=before, after=after, about=about)


def sides(run: Run) -> tuple[Run, Run]:
    """The two runs that are compared, the one before the change first."""
    assert isinstance(run, Comparison)
    return run.before, run.after


def other_kind(run: Run) -> str:
    """Why two models that take other things are not compared; "" where both take the same."""
    before, after = sides(run)
    if before.reads == after.reads:
        return ""
    return f"{before.title} takes {before.reads}, {after.title} {after.reads}."


def found_in(run: Run, technique: Technique[T | str], what: str) -> T:
    """What a technique found of two models. Raises UsageError, with the reason, for those not compared."""
    found = run[technique]
    if isinstance(found, str):
        raise UsageError(f"{run.id}: {what} are not compared: {found}")
    return found
