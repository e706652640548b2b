"""What a build will take, said before it begins: time, memory and bytes.

The model of cost is a count of forward passes, each timed once: what each kind of work takes in passes was
fitted to the default exhibit when its cold build took 652 s on two cores. It says ten minutes and 118 MB for
599 s and 119 MB now; for the two small sites of the tests 76 CPU s and 11 MB where they take 113 and 21, and
25 and 8 for 20 and 5. It says how long to wait, not how fast anything is: of networks unlike these it may be
off by more than a factor of two.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from generator.engine import needed_bytes
from generator.errors import UsageError
from generator.models.text_model import TextModel
from generator.models.token_units import token_neurons
from generator.models.unit_layer import neuron_layers
from generator.probes.attribution import DRAWN, LARGEST, MANY, MANY_OF_TWIN, OF_TWIN
from generator.probes.exemplars import unit_layers
from generator.progress import Reporter
from generator.run import PAIRS, PICTURES, Run
from generator.store import digest_of, write_atomically
from generator.techniques.live import likely_load
from generator.techniques.measured_stack import heads_of
from generator.techniques.word_attribution import MOST
from generator.versions import versions_beneath

HOUR = 3600.0
# Forward passes of a model, for each of what it is made of.
_OF_UNIT, _OF_FEATURE, _OF_PICTURE, _OF_POOL = 1.7, 40.0, 208.0, 1.7
# Of a text, and of a head on it in the sweep of a network and of its random twin.
_OF_HEAD, _OF_TEXT = 0.48, 26.0
_OF_WORDS = 130.0  # of a text whose words are weighed
_OF_PASSAGE = 3.3  # that neurons are searched in, with their ablation and with random weights
_FULL = 12.0  # times the passes of a unit and of its visualisation, where every unit is drawn in every way
# Seconds of processors for a page, a model and the rest; bytes of a unit's page, and of a head's for a text.
_PAGE, _MODEL, _START = 0.1, 5.0, 8.0
_DICTIONARY = 45.0  # seconds of one, with its controls
_EXPORT = 7.0  # of a network that readers are offered, with its check
_UNIT_BYTES, _HEAD_BYTES, _SITE_BYTES = 24_000, 7_000, 7_000_000
_BUSY = 0.89  # of the cores, on average


@dataclass(frozen=True)
class Forecast:
    """Seconds by the clock, bytes of memory of all processes, bytes of the site, and models known already."""

    seconds: float
    memory: int
    bytes: int
    known: int = 0

    @property
    def words(self) -> str:
        """All of it in one line."""
        known = f"; {self.known} of the models measured before" if self.known else ""
        return (
            f"Forecast, roughly: {_time(self.seconds)}, {self.memory / 1e9:.1f} GB of memory at most, "
            f"a site of {self.bytes / 1e6:.0f} MB{known}"
        )


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < HOUR else f"{seconds / HOUR:.1f} h"


def forecast(runs: Sequence[Run], workers: int, largest: int) -> Forecast:
    """What the build of some runs takes with a number of processes, `largest` of them measuring at once."""
    cpu, size, known = _START, _SITE_BYTES, 0
    for run in runs:
        if not run.paged:  # opened to be compared
            cpu += _MODEL + _OF_HEAD * _swept_in_all(run) * _pass_seconds(run)
            continue
        units, heads = _units(run), sum(stack.count for stack in heads_of(run.model))
        texts = 1 if run.reads == PICTURES else len(run.inputs.texts)
        cpu += _MODEL + _PAGE * (units + heads + len(run.model.layers))
        if _mark(run).exists():
            known += 1
        else:
            cpu += _passes(run, units) * _pass_seconds(run)
            cpu += _DICTIONARY * len(getattr(run.model, "dictionaries", ()))
        size += _UNIT_BYTES * units + _HEAD_BYTES * heads * texts
        load = likely_load(run)
        size += load
        cpu += _EXPORT * bool(load) * (not _mark(run).exists())
    cores = min(workers, os.cpu_count() or 1)
    return Forecast(cpu / cores / _BUSY, largest * needed_bytes(runs), size, known)


def _units(run: Run) -> int:
    """How many units have a page."""
    if isinstance(run.model, TextModel):
        found = token_neurons(run.model) if run.inputs.passages else ()
        return sum(one.units if run.full else run.budget.neurons for one in found)
    if not run.inputs.pool:
        return 0
    spatial = sum(layer.units for layer in unit_layers(run.vision))
    most = [(layer.units, run.budget.neurons) for layer in neuron_layers(run.vision)]
    return spatial + sum(units if run.full else min(units, asked) for units, asked in most)


def _passes(run: Run, units: int) -> float:
    """How many forward passes the measurement of a model takes as long as."""
    budget, full = run.budget, _FULL if run.full else 1.0
    swept = _swept_in_all(run)
    if run.reads != PICTURES:
        weighed = min(MOST, budget.ablate, len(run.inputs.texts))
        return (
            _OF_HEAD * swept
            + _OF_TEXT * len(run.inputs.texts)
            + _OF_WORDS * weighed
            + _OF_PASSAGE * len(run.inputs.passages) * bool(units)
        )
    wanted = units if run.full else budget.features + 2 * budget.classes
    return (
        _OF_UNIT * units * full
        + _OF_FEATURE * wanted * budget.steps
        + _OF_PICTURE * len(run.inputs.images) * run.share
        + _OF_POOL * len(run.inputs.pool)
        + _OF_HEAD * swept
    )


def _swept_in_all(run: Run) -> float:
    """How many times a head is silenced on an input."""
    return sum(_swept(run, stack.count) for stack in heads_of(run.model)) * run.budget.ablate


def _swept(run: Run, heads: int) -> float:
    """How many heads of a stack are silenced, of a network and of its random twin on average."""
    if run.full or run.reads in (PICTURES, PAIRS):
        return heads
    own = LARGEST + DRAWN if heads > MANY else heads
    return (own + (2 * OF_TWIN if heads > MANY_OF_TWIN else heads)) / 2


def _pass_seconds(run: Run) -> float:
    """Seconds of one forward pass on one input, the least of three."""
    once: Callable[[], object]
    if run.reads == PICTURES:
        pixels = next(iter(run.pixels.values()))
        once = lambda: run.vision.run(pixels, lambda *_: None)  # noqa: E731
    elif run.reads == PAIRS:
        ids = run.pair.encode(run.inputs.texts[0]).ids
        once = lambda: run.pair.run(ids, ids)  # noqa: E731
    else:
        every = sorted(run.encodings.values(), key=lambda one: len(one.ids))
        once = lambda: run.language.run(every[len(every) // 2].ids)  # noqa: E731
    # Other work on the machine does not slow down processor time; a GPU has none that is counted.
    clock = time.process_time if run.model.device.type == "cpu" else time.perf_counter
    times = []
    with torch.no_grad():
        for _ in range(4):
            started = clock()
            once()
            times.append(clock() - started)
    return min(times[1:])


def _mark(run: Run) -> Path:
    """The file that says that all was measured of a run."""
    parts = {
        "model": run.model.key,
        "inputs": run.inputs.key,
        "budget": run.budget.model_dump(mode="json"),
        "full": run.full,
        "seed": run.seed,
        "versions": versions_beneath("generator.techniques"),
    }
    return run.store.root / "measured" / digest_of(parts)


def mark_measured(runs: Sequence[Run]) -> None:
    """Remember that all was measured of some runs: the next forecast counts it no more."""
    for run in runs:
        write_atomically(_mark(run), b"measured\n")


def tell_forecast(made: Forecast, reporter: Reporter, yes: bool) -> None:
    """Say what a build takes. Raises UsageError where it takes over an hour and nobody agrees."""
    reporter.console.print(made.words, soft_wrap=True)
    if made.seconds <= HOUR or yes:
        return
    console = reporter.console
    if console.is_terminal and not console.quiet:
        if console.input("Go on? [y/N] ").strip().lower() in {"y", "yes"}:
            return
        raise UsageError("Stopped before anything was measured.", SMALLER)
    raise UsageError(f"This build takes about {_time(made.seconds)}.", SMALLER)


SMALLER = (
    "Say --yes to start all the same, or choose less: fewer `units` of a model, a smaller `pool`, fewer "
    "`features` or `ablate: 0` under `make`; and no --full."
)
