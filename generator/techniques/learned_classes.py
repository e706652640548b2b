"""Classes of the exhibit's own, learned on a network's last features and judged on held-out pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.errors import UsageError
from generator.figures.figure import Drawing, Figure, published
from generator.figures.overlay import signed, signed_colours
from generator.figures.panels import Panel, Scale, in_rows
from generator.formatting import number, percent
from generator.inputs.images import square_of
from generator.inputs.pool import PoolPicture
from generator.probes.learned_classes import LearnedClasses, LearnedMap, learn_classes
from generator.run import PICTURES, Run, Section, Technique
from generator.table import Table
from generator.techniques.class_maps import place_of
from generator.techniques.exemplars import needs_pool
from generator.techniques.naming import one_of
from generator.techniques.pictures import pool_photograph


@dataclass(frozen=True)
class Class:
    """One learned class on one picture; `mean` of the map plus `bias` is the `score`."""

    name: str
    score: float
    probability: float
    mean: float
    bias: float
    figure: Figure


@dataclass(frozen=True)
class Item:
    """A held-out picture with the evidence for and against each class."""

    fold: int
    label: str
    truth: str
    predicted: str
    picture: Figure
    classes: tuple[Class, ...]


@dataclass(frozen=True)
class View:
    """How well the classes are told apart, and some held-out pictures."""

    learned: LearnedClasses
    chance: float | None
    items: tuple[Item, ...]


def measure(run: Run) -> LearnedClasses:
    """The classes that the groups of the pool name, learned by logistic regression."""
    pool = run.inputs.pool
    groups, things = [one.group for one in pool], [one.subject for one in pool]
    return learn_classes(
        run.vision, run.pool_images, groups, things, seed=run.seed, store=run.store, step=run.step
    )


def figure(run: Run, image: str = "") -> Figure:
    """Evidence for and against classes learned on the pool, on a held-out picture of it."""
    learned = None if needs_pool(run) else run[LEARNED_CLASSES]
    if learned is None or not learned.shown:
        raise UsageError(
            f"no classes were learned with {run.model.id}: the exhibit's pool does not allow it."
        )
    known = {one.picture: one for one in learned.shown}
    found = known[one_of("picture", image or next(iter(known)), known, "no learned maps of the")]
    chosen = _picture(run, found)
    run.credits.append(chosen)
    picture, peak = _seen(run, chosen), float(np.abs(found.values).max())
    row = [Panel(picture, chosen.label, f"held out; shows {learned.classes[found.truth]}")]
    for place, name in enumerate(learned.classes):
        note = f"{percent(float(found.probabilities[place]))}"
        row.append(Panel(signed(picture, found.values[place], peak), name, note))
    text, taken = number(peak, 2), learned.classes[found.predicted]
    scale = Scale(signed_colours(), f"−{text}", text, "evidence")
    return published(
        "panels",
        {"rows": in_rows(row, 4), "scale": scale},
        f"The picture of {chosen.label} and the evidence for each of {len(learned.classes)} learned classes "
        f"over it; it is taken for {taken}, most for that {place_of(found.values[found.predicted])}.",
        "Evidence for (orange) and against (blue) the classes that logistic regression learned on the pool, "
        f"on a picture that was held out. It is taken for {taken}.",
    )


def view(run: Run) -> View:
    """The section on the page of classes."""
    learned = run[LEARNED_CLASSES]
    chance = float(learned.learned.shuffled_majority.mean()) if learned.learned else None
    return View(learned, chance, tuple(_item(run, learned, one) for one in learned.shown))


def _item(run: Run, learned: LearnedClasses, one: LearnedMap) -> Item:
    picture, names = _picture(run, one), learned.classes
    paths = [f"{run.folder}/classes/learned-{one.picture}-{n}.webp" for n in range(len(names))]
    arguments = {"picture": _seen(run, picture), "maps": one.values}
    drawing = Drawing("signed_overlays", arguments, tuple(paths))
    classes = [
        Class(
            name,
            float(one.scores[n]),
            float(one.probabilities[n]),
            float(one.values[n].mean()),
            float(one.bias[n]),
            Figure(
                drawing,
                f"Evidence for {name} (orange) and against it (blue) in the picture of {picture.label}; "
                f"most for it {place_of(one.values[n])}.",
                number=n,
                kind="learned_cam",
            ),
        )
        for n, name in enumerate(names)
    ]
    return Item(
        one.fold,
        picture.label,
        names[one.truth],
        names[one.predicted],
        pool_photograph(run, picture),
        tuple(classes),
    )


def _picture(run: Run, one: LearnedMap) -> PoolPicture:
    return next(each for each in run.inputs.pool if each.id == one.picture)


def _seen(run: Run, picture: PoolPicture) -> np.ndarray:
    return np.asarray(square_of(picture.path, run.vision.preprocessing))


def tables(run: Run) -> Iterator[Table]:
    """What every held-out picture was taken for, and how well the classes are told apart."""
    if needs_pool(run) or run[LEARNED_CLASSES].learned is None:
        return
    names = run[LEARNED_CLASSES].classes
    header = ("picture", "part", "class", "taken_for", *(f"p_{name}" for name in names))
    yield Table("learned_classes.csv", lambda: (header, _held_out(run[LEARNED_CLASSES])))
    yield Table("learned_scores.csv", lambda: (_SCORES, _scores(run[LEARNED_CLASSES])))


_SCORES = ("score", "value", "standard_error")


def _held_out(learned: LearnedClasses) -> Iterator[Sequence[object]]:
    names, found = learned.classes, learned.learned
    assert found is not None
    for n, picture in enumerate(learned.pictures):
        truth, taken = names[learned.truth[n]], names[found.predicted[n]]
        yield (picture, int(found.fold[n]), truth, taken, *found.probabilities[n])


def _scores(learned: LearnedClasses) -> Iterator[Sequence[object]]:
    """How well classes are told apart on held-out pictures, and what chance reaches."""
    assert learned.learned is not None
    yield "accuracy", learned.accuracy, learned.standard_error
    yield "most frequent class", learned.majority, ""
    yield "shuffled labels", learned.shuffled, ""
    yield "shuffled labels, most frequent", learned.learned.shuffled_majority.mean(), ""


LEARNED_CLASSES = Technique(
    name="learned_classes",
    title="Learned classes",
    search="logistic regression linear probe own classes",
    reads=PICTURES,
    measure=measure,
    why_not=needs_pool,
    figures={"learned_cam": figure},
    tables=tables,
    sections=(Section("classes", "learned", "learned_classes.html", view),),
)
