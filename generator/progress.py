"""What the user sees while a site is built: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def terminal(width: int | None = None, *, quiet: bool = False) -> Console:
    """The terminal, on which text is shown as it is: what a user named may hold brackets and colons."""
    return Console(width=width, quiet=quiet, markup=False, emoji=False, highlight=False)


Step = Callable[[str], None]
EVERY = 15.0  # seconds between lines where there is no terminal


@dataclass(frozen=True)
class StageTime:
    """How long a stage took and what came of it, for the summary."""

    name: str
    seconds: float
    note: str


@dataclass
class Reporter:
    """Shows stages as they run and remembers their times."""

    console: Console
    verbose: bool = False
    stages: list[StageTime] = field(default_factory=list)
    _told: Step = field(default=lambda _: None, init=False, repr=False)

    def step(self, detail: str) -> None:
        """Tell the stage that runs now what was done last; it is one step of the stage, or less."""
        self._told(detail)

    @contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[Step]:
        """One stage of `total` steps; call what is yielded with the name of each finished step."""
        started = time.perf_counter()
        self._note = ""
        if self.console.is_terminal:
            with _bars(self.console) as bars:
                task = bars.add_task(name, total=total, detail="")
                self._told = lambda detail: bars.update(task, detail=detail)
                yield lambda detail: bars.update(task, advance=1, detail=detail)
        else:
            self.console.print(f"{name} ...")
            lines = _Lines(self, name, total)
            self._told = lines.tell
            yield lines.step
        seconds = time.perf_counter() - started
        self.stages.append(StageTime(name, seconds, self._note))
        if not self.console.is_terminal:
            self.console.print(f"{name}: {seconds:.1f} s {self._note}".rstrip())

    def note(self, text: str) -> None:
        """Say what came of the stage that runs now."""
        self._note = text


class _Lines:
    """A stage without a terminal, as in the log of a server or in a notebook: a line now and then."""

    def __init__(self, reporter: Reporter, name: str, total: int | None) -> None:
        self._reporter, self._name, self._total = reporter, name, total
        self._started = self._last = time.perf_counter()
        self._done = 0

    def step(self, detail: str) -> None:
        self._done += 1
        self.tell(detail)

    def tell(self, detail: str) -> None:
        now = time.perf_counter()
        if self._reporter.verbose and detail:
            self._reporter.console.print(f"  {detail}")
        elif now - self._last >= EVERY:
            self._last = now
            words = [detail] if detail else []
            if self._total:
                words.append(f"{self._done} of {self._total}")
            if self._total and self._done:
                left = (now - self._started) * (self._total / self._done - 1)
                words.append(f"about {left:.0f} s left")
            self._reporter.console.print(f"  {self._name}: {', '.join(words)}", soft_wrap=True)


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
        console=console,
        transient=False,
    )
