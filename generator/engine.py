"""Local workers: processes that fill the store with what a build asks for, beside the build itself.

The store is the only hand-over. Every process walks over the same work and takes what no other is at: nothing
is scheduled, a process that dies loses no more than what it was making, and the results are the same whatever
the number of processes, since each computes on the same number of threads.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from generator.exhibit import Exhibit
from generator.inputs.shown import Inputs
from generator.malloc import keep_freed
from generator.mapped import let_go
from generator.own_techniques import TechniqueError
from generator.pages.sections import asked
from generator.processes import ignoring_interrupts, threads
from generator.profile import Spent
from generator.progress import Step, silent
from generator.run import Control, Run, Technique, why_not
from generator.store import Store
from generator.subjects import all_techniques, load_runs

_AFTER = 2.0  # seconds of making, before a process that has to import torch is worth its start
DEATHS = 3  # of workers that are replaced
_TIMES, _BESIDE = 2, 10**9  # what a process takes: times the weights, and bytes


@dataclass(frozen=True)
class Work:
    """What a worker has to know: the models, their inputs, how they are measured, where that is kept.

    `weights` is where those of models are mapped.
    """

    exhibit: Exhibit
    inputs: Sequence[Inputs]
    device: str
    full: bool
    store: Path
    weights: Path | None


def asks_of(runs: Sequence[Run]) -> list[Callable[[], Any]]:
    """What the pages of models show: technique by technique, of one model after the other in turn.

    What they show of random weights comes at the end, where the network of random weights is made once.
    """
    shown = [list(_shown(run)) for run in runs]
    of_each = [
        [
            *(partial(_ask, run, each) for each in techniques),
            *(partial(_ask, run.control, each) for each in techniques if each.controlled),
        ]
        for run, techniques in zip(runs, shown, strict=True)
    ]
    return [ask for several in zip_longest(*of_each) for ask in several if ask is not None]


def asks_of_pairs(comparisons: Sequence[Run]) -> list[Callable[[], Any]]:
    """What the pages of two models side by side show, which takes both in one process."""
    return [partial(_ask, one, each) for one in comparisons for each in asked(one)]


def _shown(run: Run) -> Iterator[Technique[Any]]:
    """The techniques that the pages of a model show, and those that the pages of its comparisons ask it."""
    if run.paged:
        yield from (each for each in asked(run) if each.shows)
    if run.comparisons:
        wanted = dict.fromkeys(one for each in run.techniques for one in each.asks)
        yield from (each for each in wanted if not why_not(each, run))


def _ask(run: Run | Control, technique: Technique[Any]) -> None:
    try:
        with contextlib.suppress(TechniqueError):  # told on the page that shows it
            run[technique]
    finally:
        let_go()  # the next is asked of another model


def affordable(runs: Sequence[Run]) -> int:
    """The processes that the free memory is enough for, each but this one with one model and its twin."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return os.cpu_count() or 1
    lines = (line.split() for line in meminfo.read_text().splitlines())
    free = next((int(line[1]) * 1024 for line in lines if line[0] == "MemAvailable:"), 0)
    return 1 + max(0, free // needed_bytes(runs) - 1)


def needed_bytes(runs: Sequence[Run]) -> int:
    """What a process takes that measures the largest model and its twin."""
    return _TIMES * 4 * max(run.model.parameters for run in runs) + _BESIDE


@contextlib.contextmanager
def workers(work: Work, count: int, store: Store, step: Step) -> Iterator[None]:
    """Until the end of the block, fill the store in `count` processes, this one among them.

    The others start once there is something to do; `step` is told what they have done.
    """
    others = _Others(work, count - 1, store, step)
    store.making = others.attend
    try:
        yield
    finally:
        others.end()


@dataclass
class _Others:
    """The processes beside this one. Threads hear what they say, so that nobody waits to be heard."""

    work: Work
    count: int
    store: Store
    step: Step
    deaths: int = 0
    first: float = 0.0
    running: dict[int, BaseProcess] = field(default_factory=dict)
    hearing: list[threading.Thread] = field(default_factory=list)
    spent: list[Spent] = field(default_factory=list)

    def attend(self) -> None:
        """Start who is missing."""
        self.first = self.first or time.monotonic()
        if time.monotonic() - self.first < _AFTER:
            return
        for number in range(self.count):
            died = number in self.running and bool(self.running[number].exitcode)
            if number not in self.running or (died and self.deaths < DEATHS):
                self.deaths += died
                self._start(number)

    def end(self) -> None:
        """End the others, whatever they are at: nobody asks for it any more."""
        self.store.making = silent
        for process in self.running.values():
            process.terminate()
            process.join()
        for thread in self.hearing:
            thread.join()
        for one in self.spent:
            self.store.profile.add(one)

    def _start(self, number: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of torch's threads can hang
        here, there = context.Pipe(duplex=False)
        with ignoring_interrupts():
            process = context.Process(target=_fill, args=(self.work, there, number), daemon=True)
            process.start()
        there.close()
        self.running[number] = process
        self.hearing.append(threading.Thread(target=self._hear, args=(here,), daemon=True))
        self.hearing[-1].start()

    def _hear(self, line: Connection) -> None:
        with contextlib.suppress(EOFError, OSError):  # it has ended
            while True:
                said = line.recv()
                if isinstance(said, Spent):
                    self.spent.append(said)
                else:
                    self.step(said)


def _fill(work: Work, line: Connection, number: int) -> None:
    """What a worker does, which ends with its parent."""
    fill(work, line.send, number, _end_without_parent)


def fill(
    work: Work, say: Callable[[Any], None], number: int, making: Callable[[], None] | None = None
) -> None:
    """Make what no other process is at, one model after the other; `say` is told what was done and spent.

    It waits for nobody: what is still busy when it has seen a model is left to whoever is at it. Every other
    worker begins with the last model, where fewer are.
    """
    keep_freed()
    torch.set_num_threads(threads())
    store = Store(work.store, waits=False)
    store.making = making or silent
    store.weights = work.weights

    def told(ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        finally:
            for one in store.profile.take():
                say(one)

    techniques = all_techniques(work.exhibit)
    models = list(zip(work.exhibit.models, work.inputs, strict=True))
    for spec, shown in models if number % 2 else reversed(models):
        one = work.exhibit.model_copy(update={"models": (spec,)})
        # What is busy raises, and so does every mistake: the parent meets these too, and tells them.
        with contextlib.suppress(Exception):
            given = (one, [shown], work.device, store, silent, say, techniques, work.full)
            store.shared([partial(told, ask) for ask in asks_of(load_runs(*given))])
        # A run and its control know each other, and are not gone before the next model is there otherwise.
        gc.collect()


def _end_without_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)
