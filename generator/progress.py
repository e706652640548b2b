"""What the user sees while a site is built: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table


def terminal(width: int | None = None, *, quiet: bool = False) -> Console:
    """The terminal, on which text is shown as it is: what a user named may hold brackets and colons."""
    return Console(width=width, quiet=quiet, markup=False, emoji=False, highlight=False)


Step = Callable[[str], None]


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
    _step: Step = field(default=lambda _: None, init=False, repr=False)

    def step(self, detail: str) -> None:
        """Tell the stage that runs now that a piece of work is done."""
        self._step(detail)

    @contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[Step]:
        """One stage of `total` steps; call what is yielded with the name of each finished step."""
        started = time.perf_counter()
        self._note = ""
        if self.console.is_terminal:
            with _bars(self.console) as bars:
                task = bars.add_task(name, total=total, detail="")

                def step(detail: str) -> None:
                    bars.update(task, advance=1, detail=detail)

                self._step = step
                yield step
        else:
            self.console.print(f"{name} ...")
            self._step = self._plain_step
            yield self._plain_step
        seconds = time.perf_counter() - started
        self.stages.append(StageTime(name, seconds, self._note))
        if not self.console.is_terminal:
            self.console.print(f"{name}: {seconds:.1f} s {self._note}".rstrip())

    def note(self, text: str) -> None:
        """Say what came of the stage that runs now."""
        self._note = text

    def _plain_step(self, detail: str) -> None:
        if self.verbose and detail:
            self.console.print(f"  {detail}")


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


def print_summary(reporter: Reporter, site: Path, pages: int, figures: int, size: int) -> None:
    """Seconds and results of each stage, what was made, and how to look at it."""
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "seconds", ""):
        table.add_column(name, justify="right" if name == "seconds" else "left")
    for stage in reporter.stages:
        table.add_row(stage.name, f"{stage.seconds:.1f}", stage.note)
    total = sum(stage.seconds for stage in reporter.stages)
    table.add_row(
        "total", f"{total:.1f}", f"{pages:,} pages, {figures:,} figures, {size / 1e6:.1f} MB"
    )
    reporter.console.print(table)
    reporter.console.print(f"The site is in {site}", soft_wrap=True)
    reporter.console.print(f"Look at it: cutaway serve {site}", soft_wrap=True)
