"""Trainings of Cutaway's own, begun in other processes while the first models are opened."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

from generator.errors import CutawayError
from generator.exhibit import Exhibit, ModelSpec
from generator.inputs.source import parse_source
from generator.models.load_training import is_trained, train
from generator.processes import fixed_threads, ignoring_interrupts

_POLL = 0.1  # seconds between two looks at whether a training has ended

Wait = Callable[[ModelSpec, Iterator[Callable[[], object]]], None]


@contextmanager
def trainings(exhibit: Exhibit, cache: Path, count: int) -> Iterator[Wait]:
    """Within the block, what the cache lacks is trained in at most `count` other processes.

    Yields what waits for the training of a model to end, and meanwhile does one thing after the other. One
    that fails, or whose process dies, is done, and its mistake told, where the model is opened.
    """
    names = [name for name in _names(exhibit) if not is_trained(name, cache, exhibit.seed)]
    context = multiprocessing.get_context("spawn")  # a fork of torch's threads can hang
    running: dict[str, BaseProcess] = {}
    with ignoring_interrupts():
        for number in range(min(count, len(names))):
            own = names[number::count]
            given = (own, cache, exhibit.seed)
            process: BaseProcess = context.Process(target=_train_all, args=given, daemon=True)
            process.start()
            running |= dict.fromkeys(own, process)

    def wait(spec: ModelSpec, meanwhile: Iterator[Callable[[], object]]) -> None:
        for name in _names_of(spec, exhibit.base):
            while name in running and running[name].is_alive():
                if is_trained(name, cache, exhibit.seed):
                    break
                next(meanwhile, partial(time.sleep, _POLL))()

    try:
        yield wait
    finally:
        for process in running.values():
            process.terminate()


def _names(exhibit: Exhibit) -> list[str]:
    """The trainings that an exhibit names, each once, in order."""
    named = (name for spec in exhibit.models for name in _names_of(spec, exhibit.base))
    return list(dict.fromkeys(named))


def _names_of(spec: ModelSpec, base: Path) -> Iterator[str]:
    for text in (spec.source, *(one.source for one in spec.checkpoints)):
        source = parse_source(text, base)
        if source.kind == "train":
            yield source.name


def _train_all(names: Sequence[str], cache: Path, seed: int) -> None:
    with fixed_threads(), suppress(CutawayError):
        for name in names:
            train(name, cache, seed)
