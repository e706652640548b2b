"""The classes, layers, pictures and units that readers name, each found or refused with the nearest name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator

from generator.errors import UsageError, did_you_mean
from generator.models.layer import Layer
from generator.models.model import Model, VisionModel


def _several(value: Any) -> Any:
    """One name or number stands for a list of one."""
    return (value,) if isinstance(value, str | int) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_several)]
Numbers = Annotated[tuple[int, ...], BeforeValidator(_several)]
Classes = Annotated[tuple[int | str, ...], BeforeValidator(_several)]


def listed(words: Sequence[str]) -> str:
    """Words in a row: a, b and c."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def evenly(count: int, most: int) -> list[int]:
    """At most so many of the numbers below `count`, evenly from the first to the last."""
    places = np.linspace(0, count - 1, min(most, count)).round().astype(int)
    return [int(place) for place in np.unique(places)]


def one_of(what: str, name: Any, known: Iterable[str], no: str = "there is no") -> str:
    """A name that is known. Raises UsageError with the nearest one otherwise."""
    choices = list(known)
    if name not in choices:
        raise UsageError(f"{no} {what} '{name}'. {did_you_mean(str(name), choices)}".strip())
    return str(name)


def layer_of(model: Model, name: str | int) -> Layer:
    """A layer by its name. A transformer's are numbers from 0."""
    known = {layer.name: layer for layer in model.layers}
    return known[one_of("layer", str(name), known, f"{model.id} has no")]


def unit_of(layer: Layer, unit: int) -> int:
    """A unit of a layer."""
    if not 0 <= unit < layer.units:
        raise UsageError(f"{layer.name} has the units 0 to {layer.units - 1}, not {unit}.")
    return unit


def class_of(model: VisionModel, name: str | int) -> int:
    """A class by its label, one of the names in its label, or its number; the first of equal ones."""
    if isinstance(name, int) or (name.isdigit() and name not in model.labels):
        number = int(name)
        if not 0 <= number < len(model.labels):
            raise UsageError(
                f"{model.id} has the classes 0 to {len(model.labels) - 1}, not {number}."
            )
        return number
    names: dict[str, int] = {}
    for number, label in enumerate(model.labels):
        for each in (label, *(part.strip() for part in label.split(","))):
            names.setdefault(each, number)
    return names[one_of("class", name, names, f"{model.id} knows no")]


def counted(model: VisionModel) -> tuple[str, str]:
    """How many layers and units a network has: a block's output repeats what its last layer makes."""
    units = sum(layer.units for layer in model.layers if not layer.joins)
    return layers_text(model.layers), f"{units:,} units"


def layers_text(layers: Sequence[Layer]) -> str:
    """How many layers there are, and how many outputs of blocks stand in the list beside them."""
    blocks = sum(layer.joins for layer in layers)
    among = f" and {blocks} block outputs" if blocks else ""
    return f"{len(layers) - blocks} layers{among}"
