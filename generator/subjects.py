"""What a build is about: each model of an exhibit, loaded, with what it is run on and how much is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from generator.card_schema import Pairs
from generator.errors import UsageError, did_you_mean
from generator.exhibit import Choices, Exhibit, ModelSpec
from generator.findings import Findings, measure_seq2seq, measure_text, measure_vision
from generator.inputs.datasets import on_disk
from generator.inputs.images import CuratedImage, curated_images
from generator.inputs.pairs import compared
from generator.inputs.pool import PoolPicture, image_pool
from generator.inputs.texts import CuratedText, curated_texts, held_out_texts
from generator.models.checkpoints import Checkpoints, load_checkpoints
from generator.models.load import AnyModel, load_model, parts_of
from generator.models.model import VisionModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.towers import PARTS
from generator.paths import cache_root
from generator.progress import Step
from generator.store import Store


@dataclass(frozen=True)
class Inputs:
    """What a model is run on."""

    images: tuple[CuratedImage, ...]
    texts: tuple[CuratedText, ...]
    held_out: tuple[CuratedText, ...]
    pool: tuple[PoolPicture, ...]
    pairs: Pairs


@dataclass(frozen=True, eq=False)
class Subject:
    """A loaded model, the states of its training that the exhibit names, and what it is run on.

    `other_tower` is the id of the model that is the other tower of the same network, where both are shown.
    """

    model: AnyModel
    checkpoints: Checkpoints
    inputs: Inputs
    choices: Choices
    other_tower: str = ""


def possible_ids(exhibit: Exhibit) -> list[str]:
    """The ids that models may have: whether a network has two towers is known once it is fetched."""
    ids = [spec.id for spec in exhibit.models]
    whole = [spec.id for spec in exhibit.models if not spec.part]
    return [*ids, *(f"{name}-{part}" for name in whole for part in PARTS)]


def opened_in_parts(
    exhibit: Exhibit, inputs: Sequence[Inputs]
) -> tuple[Exhibit, tuple[Inputs, ...]]:
    """The exhibit with an entry for each model, a network of two towers stands for two, and their inputs."""
    base, cache = exhibit.base, cache_root()
    pairs = [
        (part, shown)
        for spec, shown in zip(exhibit.models, inputs, strict=True)
        for part in parts_of(spec, base, cache)
    ]
    models, shown_to = zip(*pairs, strict=True)
    ids = [spec.id for spec in models]
    twice = next((name for name in ids if ids.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"models: the id '{twice}' stands for two models, one of them a tower.")
    return exhibit.model_copy(update={"models": models}), shown_to


def read_inputs(exhibit: Exhibit) -> list[Inputs]:
    """What each model is run on; pictures that several are shown are read once.

    Raises UsageError for what names an input that is not there, before any model is loaded.
    """
    texts, held_out, pairs = curated_texts(exhibit), held_out_texts(exhibit), compared(exhibit)
    read: dict[Any, Inputs] = {}
    found = []
    for spec in exhibit.models:
        shown = on_disk(exhibit.shown_to(spec), cache_root())
        key = (shown.images, shown.pool)
        if key not in read:
            read[key] = Inputs(curated_images(shown), texts, held_out, image_pool(shown), pairs)
        _check(spec, read[key].images)
        found.append(read[key])
    return found


def _check(spec: ModelSpec, images: Sequence[CuratedImage]) -> None:
    """Raises UsageError where `make` names a picture that the model is not shown."""
    known = [image.id for image in images]
    named = [("dream", spec.make.dream), *(("blocks", name) for name in spec.make.blocks)]
    for key, name in named:
        if name and name not in known:
            hint = did_you_mean(name, known)
            raise UsageError(f"{spec.id}: make.{key} names no picture '{name}'. {hint}")


def load_subjects(
    exhibit: Exhibit, inputs: Sequence[Inputs], device: str, step: Step
) -> list[Subject]:
    """Load every model. `step` is told the name of each that is loaded."""
    base, cache, seed = exhibit.base, cache_root(), exhibit.seed
    subjects = []
    for spec, shown in zip(exhibit.models, inputs, strict=True):
        model = load_model(spec, base, cache, seed=seed, device=device)
        checkpoints = load_checkpoints(spec, model, base, cache, seed=seed)
        other = other_tower(spec, exhibit.models)
        subjects.append(Subject(model, checkpoints, shown, spec.make, other))
        step(spec.id)
    return subjects


def other_tower(spec: ModelSpec, models: Sequence[ModelSpec]) -> str:
    """The id of the entry that is the other tower of the same network; "" where there is none."""
    whole = (spec.source, spec.weights)
    others = (one for one in models if spec.part and one.part not in (None, spec.part))
    return next((one.id for one in others if (one.source, one.weights) == whole), "")


def measure(
    subject: Subject, seed: int, store: Store, step: Step, *, full: bool, lean: bool = False
) -> Findings:
    """Run all probes on one model, through the store. Raises UsageError where it is shown nothing.

    `lean` leaves out what only pages of a site show, such as dreams and building blocks.
    """
    model, inputs = subject.model, subject.inputs
    if not isinstance(model, VisionModel):
        if not inputs.texts:
            raise UsageError(f"{model.id} takes texts, and the exhibit names none ('texts').")
        if isinstance(model, Seq2SeqModel):
            return measure_seq2seq(model, inputs.texts, subject.choices, seed, store, step)
        found = measure_text(
            model,
            inputs.texts,
            inputs.pairs,
            subject.choices,
            seed,
            store,
            step,
            held_out=inputs.held_out,
        )
        return replace(found, pictures="" if lean else subject.other_tower)
    if not inputs.images:
        raise UsageError(f"{model.id} takes pictures, and the exhibit names none ('images').")
    return measure_vision(
        model,
        inputs.images,
        inputs.pool,
        subject.checkpoints,
        subject.choices,
        seed=seed,
        full=full,
        lean=lean,
        texts=inputs.texts if subject.other_tower else (),
        store=store,
        step=step,
    )
