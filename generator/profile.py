"""Where the time of a build goes: seconds by model and technique, and by kind of figure."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock and of processors that one thing took, without what it asked for."""

    what: str
    of: str
    wall: float
    cpu: float


def used() -> float:
    """Seconds that processors have worked for this process, and for its children that have ended."""
    return sum(os.times()[:4])


@dataclass
class Profile:
    """What each piece of work took; what is asked for within it counts for itself.

    `began` is when it was opened: seconds by the clock, and those that processors had been at work.
    """

    began: tuple[float, float] = field(default_factory=lambda: (time.perf_counter(), used()))
    spent: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    _open: list[tuple[str, str]] = field(default_factory=list)
    _since: tuple[float, float] = (0.0, 0.0)

    @contextmanager
    def of(self, what: str, of: str) -> Iterator[None]:
        """Count the time until the end of the block for `what` (a technique, a stage) of `of` (a model)."""
        self._charge()
        self._open.append((what, of))
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def add(self, one: Spent) -> None:
        """Count what another process spent."""
        total = self.spent.setdefault((one.what, one.of), [0.0, 0.0])
        total[0] += one.wall
        total[1] += one.cpu

    @property
    def busy(self) -> float:
        """The processors that have been at work since it was opened, on average."""
        return (used() - self.began[1]) / max(time.perf_counter() - self.began[0], 1e-9)

    @property
    def all(self) -> list[Spent]:
        """Everything, the dearest first."""
        every = [Spent(*key, *seconds) for key, seconds in self.spent.items()]
        return sorted(every, key=lambda one: -one.cpu)

    def take(self) -> list[Spent]:
        """The same, forgotten here."""
        self._charge()
        every = self.all
        self.spent.clear()
        return every

    def _charge(self) -> None:
        now = time.perf_counter(), time.process_time()
        if self._open:
            wall, cpu = (after - before for after, before in zip(now, self._since, strict=True))
            self.add(Spent(*self._open[-1], wall, cpu))
        self._since = now
