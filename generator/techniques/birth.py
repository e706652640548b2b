"""The birth of induction: losses through a training of Cutaway's own, beside its one-layer control."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Figure, on_page, published
from generator.formatting import number
from generator.inputs.repeated_words import LONGEST, SHORTEST, WORDS
from generator.models.own_training import TEXTS
from generator.models.text_training import JUDGED, MEASURED, PRICED
from generator.paths import cache_root
from generator.probes.birth import EVEN_GUESS, Course, measure_birth
from generator.run import TEXTS as READS
from generator.run import Run, Section, Technique
from generator.table import Table

_NAMES = {2: "two layers", 1: "one layer"}


@dataclass(frozen=True)
class View:
    """What the section states; `step` is that of the model's own state, None of weights drawn anew."""

    figure: Figure
    own: Course
    control: Course
    step: int | None
    steps: int
    even_guess: float = EVEN_GUESS
    priced: float = PRICED
    words: int = len(WORDS)
    shortest: int = SHORTEST
    longest: int = LONGEST
    every: int = MEASURED


def why_not(run: Run) -> str:
    """Only of a training of Cutaway's own is it known what happened between its states."""
    source = run.model.provenance.source
    name = source.removeprefix("train:").partition("@")[0]
    known = source.startswith("train:") and name in TEXTS
    return "" if known else "its training was not watched: Cutaway did not do it."


def measure(run: Run) -> tuple[Course, ...]:
    """The losses of both trainings, from the record that each writes."""
    return measure_birth(cache_root(), run.seed)


def figure(run: Run) -> Figure:
    """Loss on the first and the second copy of a passage through training, of two layers and of one."""
    courses = run[BIRTH]
    told = "; ".join(
        f"{_NAMES[one.layers]}: from {number(float(one.second[0]), 2)} to "
        f"{number(float(one.second[-1]), 2)} nats on the second copy, "
        + (f"induction born at step {one.born}" if one.born is not None else "induction not born")
        for one in courses
    )
    return published(
        "birth",
        {
            "names": tuple(_NAMES[one.layers] for one in courses),
            "steps": courses[0].steps,
            "first": np.stack([one.first for one in courses]),
            "second": np.stack([one.second for one in courses]),
            "born": np.array([np.nan if one.born is None else one.born for one in courses]),
            "chance": EVEN_GUESS,
        },
        f"Lines of loss over training steps. {told}.",
        f"Mean loss on the two copies of a passage through training, on {JUDGED} rows that no training saw; "
        f"{told}. The upright line is the birth, the grey one an even guess among {len(WORDS)} words.",
    )


def view(run: Run) -> View:
    """The section on the model's page."""
    both = run[BIRTH]
    own = next(one for one in both if one.layers == len(run.model.layers))
    control = next(one for one in both if one.layers == 1)
    return View(
        figure=on_page(figure(run), f"{run.folder}/birth.svg", "birth"),
        own=own,
        control=control,
        step=_step(run),
        steps=int(own.steps[-1]),
    )


def _step(run: Run) -> int | None:
    """The step after which the model was kept."""
    named = run.model.provenance.revision
    return int(named.removeprefix("step ")) if named else None


def tables(run: Run) -> Iterator[Table]:
    """Every measurement of both trainings, and what each comes to."""
    yield Table("birth.csv", lambda: (_COURSE, _course(run[BIRTH])))
    yield Table("births.csv", lambda: (_BIRTHS, _births(run[BIRTH])))


_COURSE = ("training", "layers", "step", "first", "second", "foretold")
_BIRTHS = (
    "training", "layers", "born", "even_guess", "first", "second", "foretold",
    "foretold_most", "fall_from", "fall_to", "fall",
)  # fmt: skip


def _course(courses: Sequence[Course]) -> Iterator[Sequence[object]]:
    for one in courses:
        for step, *losses in zip(one.steps, one.first, one.second, one.foretold, strict=True):
            yield (one.name, one.layers, int(step), *losses)


def _births(courses: Sequence[Course]) -> Iterator[Sequence[object]]:
    for one in courses:
        ends = (one.first[-1], one.second[-1], one.foretold[-1])
        born = "" if one.born is None else one.born
        most = float(one.foretold.max())
        yield (one.name, one.layers, born, EVEN_GUESS, *ends, most, *one.steepest)


BIRTH = Technique(
    name="birth",
    title="The birth of induction",
    search="induction training birth phase change steps one layer",
    reads=READS,
    measure=measure,
    why_not=why_not,
    figures={"birth": figure},
    tables=tables,
    sections=(Section("model", "birth", "birth.html", view),),
)
