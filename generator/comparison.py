"""Two models side by side: a run whose techniques ask both, and show what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from generator.addresses import comparison_id
from generator.run import Run, Technique


@dataclass(frozen=True, eq=False)
class Comparison(Run):
    """The run of the model `after`, which is held against that of another, `before`.

    Its techniques ask each of the two runs alone, through the store, and put side by side what they find: no
    network has to be in memory for it.
    """

    before: Run = field(kw_only=True)
    after: Run = field(kw_only=True)

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


def compared(before: Run, after: Run, techniques: Sequence[Technique[object]]) -> Comparison:
    """Two runs side by side, of which `techniques` can be asked."""
    own = {one.name: getattr(after, one.name) for one in fields(Run)}
    own |= {"techniques": tuple(techniques), "credits": [], "_results": {}}
    return Comparison(**own, before=before, after=after)


def sides(run: Run) -> tuple[Run, Run]:
    """The two runs that are compared, the one before the change first."""
    assert isinstance(run, Comparison)
    return run.before, run.after
