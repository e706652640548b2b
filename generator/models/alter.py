"""What an exhibit does to a network's weights before anything is read of it: `altered:` of its entry.

An altered network is a model like any other: the digest of its weights, its trial, and so every key of what
is measured, are of the altered weights; its provenance says what was done.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from generator.altered_schema import Altered
from generator.errors import CutawayError, UsageError
from generator.exhibit import PICTURE, ModelSpec
from generator.formatting import percent
from generator.inputs.source import Source
from generator.models.adapter import adapter_folder, merge
from generator.models.any_model import AnyModel
from generator.models.digest import state_digest
from generator.models.dispatch import noise
from generator.models.model import VisionModel
from generator.models.randomise import random_twin, randomised
from generator.models.rounding import round_all, round_matrices
from generator.models.silence import silence

M = TypeVar("M", bound=AnyModel)
_NOISE = 8  # pictures over which a network of random weights counts the statistics of its norms
# Added to a seed: random controls are drawn from the exhibit's own, and would be the same weights.
_APART = 2**20


def prepared(spec: ModelSpec, source: Source, base: Path, cache: Path) -> ModelSpec:
    """The entry with its adapter on this machine. Raises UsageError for one that will not do."""
    if not spec.altered.adapter:
        return spec
    folder = adapter_folder(spec.altered.adapter, spec.id, source, base, cache)
    return spec.model_copy(update={"altered": spec.altered.model_copy(update={"adapter": folder})})


def altered(model: M, spec: ModelSpec) -> M:
    """The model with its weights altered in place as its entry says, before they are tried.

    Random weights are drawn by `redrawn`. Raises CutawayError where something cannot be done.
    """
    asked = spec.altered
    if not asked.any or asked.redrawn:
        return model
    try:
        done = _done(model, asked)
    except UsageError:
        raise
    except CutawayError as error:
        raise CutawayError(f"{spec.id}: altered: {error}", error.hint) from error
    says = f"Altered after it was loaded: {'; then '.join(done)}.{_of_tower(spec)}"
    provenance = replace(
        model.provenance,
        weights_sha256=state_digest(model.module.state_dict()),
        notes=(*model.provenance.notes, says),
    )
    return replace(model, provenance=provenance)


def _done(model: M, asked: Altered) -> list[str]:
    """Alter the weights; what was done, in words with the numbers that were measured."""
    done, module = [], model.module
    if asked.adapter:
        done.append(merge(module, Path(asked.adapter)))
    if asked.bits:
        error = percent(round_matrices(module, asked.bits))
        done.append(
            f"every weight matrix rounded to {asked.bits} bits by blocks of 32 (relative error {error})"
        )
    if asked.dtype:
        error = percent(round_all(module, asked.dtype), 2)
        done.append(
            f"all weights rounded to {asked.dtype} (relative error {error}), and computed with in float32"
        )
    if asked.silent:
        silence(model, asked.silent)
        done.append(f"{', '.join(asked.silent)} silenced: their weights set to zero")
    return done


def redrawn(model: AnyModel, spec: ModelSpec, seed: int) -> AnyModel:
    """The model with all its weights drawn anew, if its entry says so: nothing of it was learned.

    They are other weights than those of its random control, though both may come of one seed. The trial is
    that of the weights that were loaded, as for every random control. Batch norms count their statistics over
    a few pictures of noise.
    """
    if not spec.altered.redrawn:
        return model
    drawn_from = _APART + (seed if spec.altered.random is True else int(spec.altered.random))
    made: AnyModel
    if isinstance(model, VisionModel):
        pictures = noise(model.preprocessing.size, _NOISE, drawn_from)
        made = randomised(model, [pictures], drawn_from)
    else:
        made = random_twin(model, drawn_from)
    told = (*made.provenance.notes, *([tower.strip()] if (tower := _of_tower(spec)) else []))
    provenance = replace(made.provenance, notes=told)
    return replace(made, id=model.id, title=model.title, provenance=provenance)


def _of_tower(spec: ModelSpec) -> str:
    """What must be said of one of two towers; "" of a network that has none."""
    if spec.part != PICTURE:
        return ""
    return " The tower that texts are compared through is as it was."
