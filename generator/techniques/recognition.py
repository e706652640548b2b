"""How well a classifier does, and what changes of a picture do to its class."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from generator.errors import UsageError
from generator.figures.figure import Figure, on_page, published
from generator.formatting import percent
from generator.inputs.images import pixels_of, square_of
from generator.inputs.pool import PoolPicture
from generator.probes.paired_images import Change, PairedImages, measure_paired_images
from generator.probes.recognition import Judged, Recognition, measure_recognition, right_classes
from generator.run import PICTURES, Run, Technique

# Pictures of the pool that are changed as the curated ones are, one a subject.
CHANGED = 45


@dataclass(frozen=True, eq=False)
class VisionEvaluation:
    """A classifier on the pictures that its classes have a name for, and on changed pictures.

    `curated` and `pool` are None where no class of the model is what a picture shows.
    """

    curated: Recognition | None
    pool: Recognition | None
    changed: PairedImages


def measure(run: Run) -> VisionEvaluation:
    """Accuracy where there is a right answer, and what changes of the pictures do."""
    model, images, pool, store = run.vision, run.inputs.images, run.inputs.pool, run.store
    curated, pooled = judged(run)
    others = _one_a_subject(pool, {one.sha256 for one in images})
    more = {
        f"pool/{one.id}": np.asarray(square_of(one.path, model.preprocessing)) for one in others
    }
    found = VisionEvaluation(
        curated=measure_recognition(model, curated, store),
        pool=measure_recognition(model, pooled, store),
        changed=measure_paired_images(model, {**run.seen, **more}, store),
    )
    run.step(f"{model.id}: evaluation")
    return found


def judged(run: Run) -> tuple[list[Judged], list[Judged]]:
    """The curated pictures and those of the pool, each with the classes that would be right."""
    how, labels = run.vision.preprocessing, run.vision.labels
    curated = [
        Judged(
            id=one.id,
            key=one.sha256,
            subject=one.id,
            right=right_classes(one.classes or (one.label,), labels),
            load=partial(pixels_of, one.path, how),
        )
        for one in run.inputs.images
    ]
    pooled = [
        Judged(
            id=one.id,
            key=one.sha256,
            subject=one.subject,
            right=right_classes(one.classes, labels),
            load=partial(pixels_of, one.path, how),
        )
        for one in run.inputs.pool
    ]
    return curated, pooled


def _one_a_subject(pool: Sequence[PoolPicture], curated: Container[str]) -> list[PoolPicture]:
    """The first picture of each subject, and of those at most CHANGED, evenly through the pool.

    What a curated picture shows, whose digests are given, is left out: it counts once.
    """
    firsts: dict[str, PoolPicture] = {}
    for one in pool:
        if one.sha256 not in curated and one.subject not in curated:
            firsts.setdefault(one.subject, one)
    listed = list(firsts.values())
    return listed[:: max(1, -(-len(listed) // CHANGED))]


def figure(run: Run) -> Figure:
    """How far the probability of a picture's class moves when the picture is changed."""
    changes = run[RECOGNITION].changed.changes
    if not changes:
        raise UsageError(f"{run.model.id} names no classes that changes of a picture could move.")
    return published("changes", _arguments(changes), _alt(changes), _CAPTION)


def changes_chart(run: Run) -> Figure:
    """The figure of the model's card, where pictures were changed."""
    return on_page(figure(run), f"{run.folder}/probes.svg", "changes", _WIDE)


_WIDE = 820  # CSS pixels
_CAPTION = "One dot a picture, orange where the most probable class became another one; the bar is the mean."


def _arguments(changes: Sequence[Change]) -> Mapping[str, Any]:
    return {
        "names": tuple(one.name for one in changes),
        "moves": tuple(one.moves for one in changes),
        "changed": tuple(one.before != one.after for one in changes),
    }


def _alt(changes: Sequence[Change]) -> str:
    shares = (f"{one.name} {percent(one.share)} of {len(one.pictures)}" for one in changes)
    return (
        "How far the probability of the first class moves, by change. "
        f"Another class: {'; '.join(shares)}."
    )


RECOGNITION = Technique(
    name="recognition",
    title="Limits and biases probed",
    search="evaluation accuracy",
    reads=PICTURES,
    measure=measure,
    figures={"changes": figure},
)
