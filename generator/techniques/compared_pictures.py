"""What two classifiers answer to the same pictures, in numbers and in words, and where the evidence lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from generator.comparison import sides
from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.figures.overlay import heated
from generator.figures.panels import Panel
from generator.formatting import amount, number, percent
from generator.probes.picture_answers import (
    PictureAnswers,
    RightAndWrong,
    measure_picture_answers,
    right_and_wrong,
)
from generator.run import PICTURES, Run, Technique
from generator.techniques.class_maps import CLASS_MAPS
from generator.techniques.grad_cam import GRAD_CAM
from generator.techniques.naming import one_of
from generator.techniques.recognition import judged

POOL = "pool/"  # before the name of a picture of the pool


@dataclass(frozen=True, eq=False)
class ComparedPictures:
    """The answers of both to the same pictures, those of the pool behind the curated ones.

    `counted` are the pictures of the pool that both could name rightly, None where there are none. `once` are
    the places of all but those of the pool that are among the curated ones, too.
    """

    labels: tuple[str, ...]
    names: tuple[str, ...]
    curated: int
    before: PictureAnswers
    after: PictureAnswers
    counted: RightAndWrong | None
    once: tuple[int, ...]

    @cached_property
    def changed(self) -> np.ndarray:
        """Whether the first guess is another, (pictures,); False where a picture comes a second time."""
        first = np.isin(np.arange(len(self.names)), self.once)
        return np.asarray((self.before.top != self.after.top) & first)

    @cached_property
    def apart(self) -> np.ndarray:
        """Half the sum over classes of the change of probability, of the curated pictures."""
        moved = np.abs(self.after.shares - self.before.shares)
        return np.asarray(moved.sum(1) / 2)

    def label(self, index: int) -> str:
        """The name of a class."""
        return self.labels[index] if index < len(self.labels) else f"class {index}"


def measure_answers(run: Run) -> PictureAnswers:
    """What a network says of the curated pictures and of those of the pool."""
    curated, pooled = judged(run)
    found = measure_picture_answers(run.vision, [*curated, *pooled], len(curated), run.store)
    run.step(f"{run.model.id}: answers")
    return found


def why_no_answers(run: Run) -> str:
    """Why a network answers with no classes; "" where it does."""
    return "" if run.vision.labels else run.vision.no_classes


PICTURE_ANSWERS = Technique(
    name="picture_answers",
    title="Answers to all pictures",
    search="classes probabilities",
    reads=PICTURES,
    why_not=why_no_answers,
    measure=measure_answers,
)


def picture_answers(run: Run) -> ComparedPictures | str:
    """What two classifiers say of the same pictures; or why they cannot be compared."""
    before, after = sides(run)
    for one in (before, after):
        if why_no_answers(one):
            return f"{one.title}: {why_no_answers(one)}"
    if before.vision.labels != after.vision.labels:
        return "the two choose among other classes."
    curated, pooled = judged(after)
    first, second = before[PICTURE_ANSWERS], after[PICTURE_ANSWERS]
    # By what is in the files: two pictures can have one name.
    shown = [[(one.id, one.key) for part in judged(run) for one in part] for run in (before, after)]
    if shown[0] != shown[1]:
        return "the two were not shown the same pictures."
    if not first.pictures:
        return "they were shown no pictures."
    count = len(curated)
    named = [place for place, each in enumerate(pooled) if each.right]
    at, subjects = [count + place for place in named], [pooled[place].subject for place in named]
    table = right_and_wrong(first.right[at], second.right[at], subjects) if at else None
    names = (*(each.id for each in curated), *(f"{POOL}{each.id}" for each in pooled))
    seen = {each.key for each in curated}
    again = [count + place for place, each in enumerate(pooled) if each.key in seen]
    once = tuple(place for place in range(len(names)) if place not in again)
    return ComparedPictures(after.vision.labels, names, count, first, second, table, once)


def evidence_figure(run: Run, found: ComparedPictures, image: str = "") -> Figure:
    """Where the evidence for each model's first guess lies in one curated picture.

    Left out, the picture is the one whose probabilities moved most.
    """
    if not found.curated:
        raise UsageError(f"{run.id}: there is no curated picture to show evidence in.")
    known = {name: place for place, name in enumerate(found.names[: found.curated])}
    place = (
        known[one_of("picture", image, known, f"{run.id} has no")] if image else farthest(found)[0]
    )
    after, name = sides(run)[1], found.names[place]
    picture, seen = after.image(name), after.seen[name]
    row, said = [Panel(seen, picture.label)], []
    for one, answers in zip(sides(run), (found.before, found.after), strict=True):
        guess, share = found.label(int(answers.top[place])), float(answers.probability[place])
        values = _evidence(one, name)
        said.append(f"{one.title} says {guess} ({percent(share)})")
        drawn = seen if values is None else heated(seen, values, float(values.max()) or 1.0)
        row.append(Panel(drawn, one.title, f"{guess}, {percent(share)}"))
    told = f"{said[0]}, {said[1]}; probabilities moved by {number(float(found.apart[place]))}"
    return published(
        "panels",
        {"rows": (tuple(row),), "widest": 300.0},
        f"The picture of {picture.label}, and over it the evidence for each model’s first guess: {told}.",
        f"The picture of {picture.label}: {told} (half the sum of all changes). Over it, where the evidence "
        "for the first guess lies, each map up to its own largest value.",
    )


def _evidence(run: Run, picture: str) -> np.ndarray | None:
    """The map of a network's first guess: of its last feature maps, by CAM or else by Grad-CAM."""
    maps = run[CLASS_MAPS][picture].classes
    if maps:
        return maps[0].values.clip(0)
    depths = run[GRAD_CAM][picture].depths
    return depths[-1].values if depths else None


def farthest(found: ComparedPictures) -> list[int]:
    """The curated pictures, that whose probabilities moved most first."""
    return [int(place) for place in np.argsort(-found.apart, kind="stable")]


@dataclass(frozen=True)
class PictureRow:
    """A picture with another first guess: the guesses and their probabilities, and which of them is right."""

    name: str
    guesses: tuple[str, str]
    chances: tuple[float, float]
    right: tuple[bool, bool]


def listed_of(shown: int, changed: int) -> str:
    """Which pictures a table has that shows some of those with another first guess."""
    if changed == 1:
        return "The picture with another first guess"
    count = f"The {changed}" if shown == changed else f"{shown} of {changed:,}"
    return f"{count} pictures with another first guess, those first that both are surest of"


def said_of_pictures(run: Run, found: ComparedPictures) -> Iterator[str]:
    """How many first guesses are others, and which of the two is right more often."""
    count, changed = len(found.once), int(found.changed.sum())
    every = "the picture" if count == 1 else f"all {count:,} pictures"
    if not changed and (found.before.probability == found.after.probability).all():
        yield f"Both say the same of {every}, with the same probability."
        return
    if not changed:
        yield f"The first guess is the same for {every}; probabilities moved."
    elif changed == count:
        yield f"The first guess is another for {every}."
    else:
        verb = "has" if changed == 1 else "have"
        share = percent(changed / count)
        yield f"Of {count:,} pictures {changed:,} {verb} another first guess ({share})."
    table = found.counted
    if table is None:
        return
    before, after = (one.title for one in sides(run))
    right = [(table.both + one) / table.pictures for one in (table.before, table.after)]
    tested = f" (McNemar’s exact test: p = {number(table.p)})" if np.isfinite(table.p) else ""
    yield (
        f"Of {amount(table.pictures, 'picture')} of the pool whose class is known {before} names "
        f"{percent(right[0])} rightly, {after} {percent(right[1])}; the first alone {table.before}, the "
        f"second alone {table.after}{tested}."
    )


def picture_row(run: Run, found: ComparedPictures, place: int) -> PictureRow:
    """One picture, by its place."""
    one, other = found.before, found.after
    labels = {each.id: each.label for each in run.inputs.images} if place < found.curated else {}
    name = found.names[place]
    return PictureRow(
        labels.get(name, name),
        (found.label(int(one.top[place])), found.label(int(other.top[place]))),
        (float(one.probability[place]), float(other.probability[place])),
        (bool(one.right[place]), bool(other.right[place])),
    )


HEADER = (
    "picture", "curated", "guess_before", "probability_before", "guess_after", "probability_after", "changed",
    "right_before", "right_after", "label_probability_before", "label_probability_after",
)  # fmt: skip


def picture_rows(found: ComparedPictures) -> Iterator[Sequence[object]]:
    """Every picture, with what both say of it."""
    one, other = found.before, found.after
    for place, name in enumerate(found.names):
        known = np.isfinite(one.named[place])
        right = [int(each.right[place]) if known else "" for each in (one, other)]
        yield (
            name, int(place < found.curated), found.label(int(one.top[place])), one.probability[place],
            found.label(int(other.top[place])), other.probability[place], int(found.changed[place]),
            *right, one.named[place], other.named[place],
        )  # fmt: skip
