"""The kinds of figure that an article can ask for, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call

from generator.articles import (
    kinds_classes,
    kinds_heads,
    kinds_layers,
    kinds_made,
    kinds_patches,
    kinds_reading,
    kinds_units,
)
from generator.articles.catalogue import Catalogue
from generator.errors import UsageError, did_you_mean
from generator.figures.figure import Figure
from generator.run import why_not
from generator.techniques import TECHNIQUES
from generator.techniques.naming import one_of

OF_TECHNIQUES = {kind: each for each in TECHNIQUES for kind in each.figures}
KINDS: Mapping[str, Callable[..., Figure]] = {
    **{kind: each.figures[kind] for kind, each in OF_TECHNIQUES.items()},
    "control": kinds_classes.control,
    "exemplars": kinds_units.exemplars,
    "deconvolution": kinds_units.deconvolution,
    "evolution": kinds_units.evolution,
    "unit_responses": kinds_units.unit_responses,
    "building_blocks": kinds_made.building_blocks,
    "nmf": kinds_made.nmf,
    "filters": kinds_layers.filters,
    "activation_maps": kinds_layers.activation_maps,
    "sparsity": kinds_layers.sparsity,
    "training": kinds_layers.training,
    "training_course": kinds_layers.training_course,
    "attention_map": kinds_heads.attention_map,
    "attention_heads": kinds_heads.attention_heads,
    "head_scatter": kinds_heads.head_scatter,
    "head_grid": kinds_heads.head_grid,
    "patch_attention": kinds_patches.patch_attention,
    "patch_rollout": kinds_patches.patch_rollout,
    "readings": kinds_reading.readings,
    "rollout": kinds_reading.rollout,
    "context_steps": kinds_reading.context_steps,
    "logit_lens": kinds_reading.logit_lens_of,
    "logit_attribution": kinds_reading.logit_attribution,
    "ablation": kinds_reading.ablation,
    "circuits": kinds_reading.circuits,
}


def figure(catalogue: Catalogue, kind: str, parameters: Mapping[str, Any]) -> Figure:
    """A figure of some kind. Raises UsageError, with the nearest name, for a wrong one."""
    check_parameters(kind, parameters)
    given = dict(parameters)
    shown: Any = catalogue
    if kind in OF_TECHNIQUES:
        shown = catalogue.run(str(given.pop("model")))
        reason = why_not(OF_TECHNIQUES[kind], shown)
        if reason:
            raise UsageError(f"{shown.model.id}: '{kind}': {reason}")
    checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(KINDS[kind])
    try:
        return checked(shown, **given)
    except ValidationError as error:
        detail = error.errors()[0]
        name = ".".join(str(part) for part in detail["loc"])
        raise UsageError(f"'{kind}': {name}: {detail['msg']}.") from error


def check_parameters(kind: str, names: Collection[str]) -> None:
    """Raises UsageError for a kind that there is not, for a parameter too many, and for one too few."""
    known = parameters_of(one_of("kind of figure", kind, KINDS))
    for name in names:
        if name not in known:
            near = did_you_mean(name, known)
            raise UsageError(f"'{kind}' takes no parameter '{name}'. {near}")
    for name, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and name not in names:
            raise UsageError(f"'{kind}' needs the parameter '{name}'.")


def parameters_of(kind: str) -> dict[str, inspect.Parameter]:
    """The parameters of a kind by name; a figure of a technique needs a model before its own."""
    stated = dict(inspect.signature(KINDS[kind], eval_str=True).parameters)
    first = next(iter(stated.values()))
    del stated[first.name]
    if kind in OF_TECHNIQUES:
        model = inspect.Parameter("model", inspect.Parameter.KEYWORD_ONLY, annotation=str)
        return {"model": model, **stated}
    return stated
