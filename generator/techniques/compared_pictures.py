"""What two classifiers answer to the same pictures, and where the evidence for it lies in both."""

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
from generator.formatting import number, percent
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
