"""Works that take turns, and what is told of them: seconds of the processor, ratios, limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from generator.malloc import keep_freed
from generator.processes import fixed_threads

Times = Mapping[str, list[float]]


@dataclass(frozen=True)
class Measured:
    """One number and its limit; it is a ratio unless it has a unit."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def held(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        number, limit = (f"{each:.3g} {self.unit}".strip() for each in (self.value, self.limit))
        return f"{self.what:<68} {number:>8}   at most {limit:>6}   {'' if self.held else 'OVER'}"


@fixed_threads()
def take_turns(runs: int, works: Mapping[str, Callable[[], object]]) -> Times:
    """Seconds of this process's processor time, user and system, that each work took on each turn.

    Works take turns, so that a machine that is busy, or grows warm, hits all alike; a first turn is not
    counted. As in a build there is one thread, and freed memory is kept.
    """
    keep_freed()
    times: dict[str, list[float]] = {name: [] for name in works}
    for run in range(runs + 1):
        for name, work in works.items():
            started = time.process_time()
            work()
            if run:
                times[name].append(time.process_time() - started)
    return times


def ratio(times: Times, ours: str, bare: str) -> float:
    """The median over turns of what one work took over what another took on the same turn."""
    return median(one / other for one, other in zip(times[ours], times[bare], strict=True))


def told(times: Times, count: int = 1) -> None:
    """Print the median of each work, in milliseconds for one of `count`."""
    for name, found in times.items():
        print(f"  {name}: {1000 * median(found) / count:.1f} ms")
