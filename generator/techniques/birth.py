"""The birth of induction: losses through a training of Cutaway's own, beside its one-layer control."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Figure, on_page, published
from generator.formatting import number, percent
from generator.inputs.repeated_words import LONGEST, SHORTEST, WORDS
from generator.models.own_training import TEXTS
from generator.models.text_training import JUDGED, MEASURED
from generator.paths import cache_root
from generator.probes.birth import Course, measure_birth
from generator.run import TEXTS as READS
from generator.run import Run, Section, Technique
from generator.table import Table

_NAMES = {2: "two layers", 1: "one layer"}


@dataclass(frozen=True)
class View:
    """What the section states; `born` is empty where induction is not."""

    figure: Figure
    name: str
    born: str
    before: str
    steepest: tuple[str, str, str]
    first: str
    second: str
    control: str
    control_share: str
    chance: str
    words: int
    shortest: int
    longest: int
    rows: int
    every: int
    is_control: bool


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
            "chance": float(np.log(len(WORDS))),
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
    before, after, fall = own.steepest
    return View(
        figure=on_page(figure(run), f"{run.folder}/birth.svg", "birth"),
        name=_NAMES[own.layers],
        born="" if own.born is None else f"{own.born:,}",
        before="" if own.born is None else f"{own.born - MEASURED:,}",
        steepest=(f"{before:,}", f"{after:,}", number(fall, 2)),
        first=number(float(own.first[-1]), 2),
        second=number(float(own.second[-1]), 2),
        control=number(float(control.second[-1]), 2),
        control_share=percent(float(control.foretold.max())),
        chance=number(float(np.log(len(WORDS))), 2),
        words=len(WORDS),
        shortest=SHORTEST,
        longest=LONGEST,
        rows=JUDGED,
        every=MEASURED,
        is_control=own.layers == 1,
    )


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
        yield (one.name, one.layers, born, np.log(len(WORDS)), *ends, most, *one.steepest)


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
