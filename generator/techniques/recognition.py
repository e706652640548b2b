"""How well a classifier does, and what changes of a picture do to its class."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from generator.inputs.images import pixels_of, square_of
from generator.inputs.pool import PoolPicture
from generator.probes.paired_images import PairedImages, measure_paired_images
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
    how, labels = model.preprocessing, model.labels
    curated = [
        Judged(
            id=one.id,
            key=one.sha256,
            subject=one.id,
            right=right_classes(one.classes or (one.label,), labels),
            load=partial(pixels_of, one.path, how),
        )
        for one in images
    ]
    pooled = [
        Judged(
            id=one.id,
            key=one.sha256,
            subject=one.subject,
            right=right_classes(one.classes, labels),
            load=partial(pixels_of, one.path, how),
        )
        for one in pool
    ]
    others = _some(pool, {one.sha256 for one in images})
    more = {f"pool/{one.id}": np.asarray(square_of(one.path, how)) for one in others}
    found = VisionEvaluation(
        curated=measure_recognition(model, curated, store),
        pool=measure_recognition(model, pooled, store),
        changed=measure_paired_images(model, {**run.seen, **more}, store),
    )
    run.step(f"{model.id}: evaluation")
    return found


def _some(pool: Sequence[PoolPicture], curated: Container[str]) -> list[PoolPicture]:
    """The first picture of each subject, and of those at most CHANGED, evenly through the pool.

    What a curated picture shows, whose digests are given, is left out: it counts once.
    """
    firsts: dict[str, PoolPicture] = {}
    for one in pool:
        if one.sha256 not in curated and one.subject not in curated:
            firsts.setdefault(one.subject, one)
    listed = list(firsts.values())
    return listed[:: max(1, -(-len(listed) // CHANGED))]


RECOGNITION = Technique(
    name="recognition",
    title="Limits and biases probed",
    search="evaluation accuracy",
    reads=PICTURES,
    measure=measure,
)
