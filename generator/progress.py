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


def terminal(width: int | None = None, *, quiet: bool = False) -> Console:
    """The terminal, on which text is shown as it is: what a user named may hold brackets and colons."""
    return Console(width=width, quiet=quiet, markup=False, emoji=False, highlight=False)


Step = Callable[[str], None]
Show = Callable[[str, int], None]  # is told what was done last, and how many steps that was
EVERY = 15.0  # seconds between lines where there is no terminal
PROGRESS = "progress.txt"  # in the folder of the work, while a site has to be waited for


def silent(*_: object) -> None:
    """Tells nobody."""


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
    _told: Step = field(default=silent, init=False, repr=False)
    _file: Path | None = field(default=None, init=False, repr=False)

    def step(self, detail: str) -> None:
        """Tell the stage that runs now what was done last; it is one step of the stage, or less."""
        self._told(detail)

    @contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[Step]:
        """One stage of `total` steps; call what is yielded with the name of each finished step."""
        started = time.perf_counter()
        self._note = ""
        line = _Line(self._file, name, total)
        if self.console.is_terminal:
            with _bars(self.console) as bars:
                task = bars.add_task(name, total=total, detail="")

                def show(detail: str, done: int) -> None:
                    bars.update(task, advance=done, detail=detail)

                self._told = _also(show, line, 0)
                yield _also(show, line, 1)
        else:
            self.console.print(f"{name} ...")
            lines = _Lines(self, name, total)
            self._told = _also(lines.show, line, 0)
            yield _also(lines.show, line, 1)
        seconds = time.perf_counter() - started
        self.stages.append(StageTime(name, seconds, self._note))
        if not self.console.is_terminal:
            self.console.print(f"{name}: {seconds:.1f} s {self._note}".rstrip())

    def note(self, text: str) -> None:
        """Say what came of the stage that runs now."""
        self._note = text

    @contextmanager
    def written_to(self, path: Path) -> Iterator[None]:
        """Within the block keep a line in a file that says what is done now, for whoever waits elsewhere."""
        self._file = path
        try:
            yield
        finally:
            self._file = None
            path.unlink(missing_ok=True)


@dataclass
class _Line:
    """The line of a stage in a file; none where there is no file."""

    path: Path | None
    name: str
    total: int | None
    done: int = 0
    detail: str = ""

    def show(self, detail: str, done: int) -> None:
        self.done += done
        self.detail = detail or self.detail
        if self.path:
            counted = f"{self.done} of {self.total}" if self.total else ""
            words = ", ".join(word for word in (self.detail, counted) if word)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(f"{self.name}: {words}".removesuffix(": "), encoding="utf-8")


def _also(show: Show, line: _Line, done: int) -> Step:
    def step(detail: str) -> None:
        show(detail, done)
        line.show(detail, done)

    return step


class _Lines:
    """A stage without a terminal, as in the log of a server or in a notebook: a line now and then."""

    def __init__(self, reporter: Reporter, name: str, total: int | None) -> None:
        self._reporter, self._name, self._total = reporter, name, total
        self._started = self._last = time.perf_counter()
        self._done = 0

    def show(self, detail: str, done: int) -> None:
        self._done += done
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
