"""How well a model does what it is for, and what it leans to: what a model card states of it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from generator.card_schema import Pairs
from generator.inputs.images import CuratedImage, pixels_of, square_of
from generator.inputs.pool import PoolPicture
from generator.models.model import Encoding, LanguageModel, VisionModel
from generator.models.twin import random_twin
from generator.probes.language_loss import LanguageLoss, measure_language_loss
from generator.probes.paired_images import PairedImages, measure_paired_images
from generator.probes.paired_texts import PairedTexts, measure_paired_texts
from generator.probes.paraphrases import Paraphrases, measure_paraphrases
from generator.probes.recognition import Judged, Recognition, measure_recognition, right_classes
from generator.store import Store

Step = Callable[[str], None]

# Pictures of the pool that are changed as the curated ones are, one a subject.
CHANGED = 45


@dataclass(frozen=True, eq=False)
class TextEvaluation:
    """A transformer on the curated texts and on sentences that differ in one word.

    `loss` is None for a model that predicts no tokens, `paraphrases` for one that is no sentence encoder.
    `paired` has a result for each of the probes of `pairs` that fits the model.
    """

    loss: LanguageLoss | None
    paraphrases: Paraphrases | None
    pairs: Pairs
    paired: tuple[PairedTexts, ...]


@dataclass(frozen=True, eq=False)
class VisionEvaluation:
    """A classifier on the pictures that its classes have a name for, and on changed pictures.

    `curated` and `pool` are None where no class of the model is what a picture shows.
    """

    curated: Recognition | None
    pool: Recognition | None
    changed: PairedImages


def evaluate_text(
    model: LanguageModel,
    encodings: Mapping[str, Encoding],
    pairs: Pairs,
    seed: int,
    store: Store,
    step: Step,
) -> TextEvaluation:
    """Losses or similarities, and leans, each beside those of the network with random weights."""
    # Making the twin takes seconds: once for all, and only if a result is not in the store.
    twin = cache(partial(random_twin, model, seed))
    loss = measure_language_loss(model, encodings, seed, store, twin)
    paraphrases = measure_paraphrases(model, pairs.paraphrases, seed, store, twin)
    step(f"{model.id}: evaluation")
    paired = measure_paired_texts(model, pairs.probes, seed, store, twin)
    step(f"{model.id}: paired sentences")
    return TextEvaluation(loss, paraphrases, pairs, paired)


def evaluate_vision(
    model: VisionModel,
    images: Sequence[CuratedImage],
    pool: Sequence[PoolPicture],
    seen: Mapping[str, np.ndarray],
    store: Store,
    step: Step,
) -> VisionEvaluation:
    """Accuracy where there is a right answer, and what changes of the pictures do.

    `seen` has the curated pictures as the network sees them, uint8 (H, W, 3).
    """
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
        changed=measure_paired_images(model, {**seen, **more}, store),
    )
    step(f"{model.id}: evaluation")
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
