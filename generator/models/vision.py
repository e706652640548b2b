"""A built network that takes pictures becomes a model: its layers are read, its classes named."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from generator.errors import CutawayError, UsageError, did_you_mean
from generator.exhibit import ModelSpec, Preprocessing
from generator.models.alter import altered
from generator.models.anatomy import read_anatomy
from generator.models.digest import state_digest
from generator.models.intake import (
    BLUE_FIRST,
    GREY,
    alike,
    failure,
    give_grey,
    give_red_first,
    side_of,
    takes_grey,
    what_it_takes,
)
from generator.models.layer import Layer
from generator.models.memory_order import keep_channels_together
from generator.models.mlp_neurons import unplaced
from generator.models.model import NO_CLASSES, Provenance, VisionModel, logits_of
from generator.models.patches import VisionAttention, attends, find_attention
from generator.models.pretrained import check_numbers
from generator.models.trace import Trace, trace
from generator.models.vision_trial import tried


@dataclass(frozen=True, eq=False)
class Network:
    """A built network, before its layers are read."""

    module: nn.Module
    architecture: str
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    licence: str = ""
    notes: tuple[str, ...] = ()
    no_classes: str = NO_CLASSES
    """Why it has no labels, where it has none."""
    counted: bool = False
    """Whether what it answers with are classes, though nothing names them."""
    unstated: bool = False
    """Whether nothing but the exhibit's entry can say how its pictures are prepared."""
    exclusive: bool = True
    """Whether one class alone can be right (softmax), or each is judged by itself (sigmoid)."""


def numbered(count: int) -> tuple[str, ...]:
    """Names for classes that nothing names."""
    return tuple(f"class {index}" for index in range(count))


def class_names(spec: ModelSpec, usual: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The names of the classes: those of the exhibit's entry before a library's."""
    if isinstance(spec.classes, tuple):
        return spec.classes
    return usual if spec.classes in {None, len(usual)} else numbered(spec.classes or 0)


def finish(
    network: Network, spec: ModelSpec, place: Mapping[str, Any], device: torch.device
) -> VisionModel:
    """Read the layers of a built network and bring it to the device.

    `place` has the provenance that the source knows. Raises CutawayError if it takes no such picture.
    """
    module = network.module.float().eval().requires_grad_(False)
    check_numbers(module, spec.id)
    module.to(device)  # another one may compute the same in other operations
    network = _as_it_takes_them(replace(network, module=module), spec, device)
    how = spec.preprocessing or network.preprocessing
    traced = _traced(module, how.size, spec, device)
    try:
        attention, no_attention = _attention(module, how.size) if attends(traced) else (None, "")
        anatomy = read_anatomy(module, traced, attention)
        with torch.no_grad():
            answer = logits_of(module(torch.zeros(1, 3, how.size, how.size, device=device)))
    except CutawayError as error:
        raise CutawayError(f"{spec.id}: refused, {error}", error.hint) from error
    provenance = Provenance(
        weights_sha256=state_digest(module.state_dict()),
        architecture=network.architecture,
        licence=spec.licence or network.licence or "not stated",
        notes=network.notes,
        **place,
    )
    names = [layer.name for layer in anatomy.layers]
    model = VisionModel(
        id=spec.id,
        title=spec.name,
        about=spec.about,
        kind="vision transformer" if attention else _kind(anatomy.layers),
        module=module,
        provenance=provenance,
        layers=anatomy.layers,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        device=device,
        preprocessing=how,
        labels=_labels(network, spec, answer, spec.weights == "random"),
        filters=anatomy.filters,
        left_out=(*anatomy.left_out, *unplaced(no_attention)),
        paged=_chosen(spec, spec.layers, names),
        with_units=_chosen(spec, spec.units, names),
        attention=attention,
        no_attention=no_attention,
        no_classes=network.no_classes,
        exclusive=network.exclusive,
    )
    return tried(altered(model, spec))


def _traced(module: nn.Module, size: int, spec: ModelSpec, device: torch.device) -> Trace:
    """What a network computes of a picture, in the order of memory in which it computes from here on.

    Raises CutawayError, with what it takes, if it takes none.
    """
    keep_channels_together(module, size, device)
    try:
        return trace(module, torch.zeros(1, 3, size, size, device=device))
    except Exception as error:  # whatever a network's own code raises, assertions included
        reason = failure(module, size, device) or str(error)
        raise CutawayError(
            f"{spec.id}: the network does not run on a {size} px picture: {reason}",
            what_it_takes(module, device),
        ) from error


def _as_it_takes_them(network: Network, spec: ModelSpec, device: torch.device) -> Network:
    """The network with pictures of the side and the channels that it takes, and what must be told of it."""
    module, how = network.module, spec.preprocessing or network.preprocessing
    unstated = spec.preprocessing is None and network.unstated
    side = side_of(module, how.size, device) if unstated else how.size
    only = ", the only usual size that it runs on" if side != how.size else ""
    how = how.model_copy(update={"size": side})
    grey = takes_grey(module, side, device)
    if grey and unstated:
        how = how.model_copy(update={"mean": (0.0,) * 3, "std": (1.0,) * 3})
    if grey and not alike(how):
        raise CutawayError(
            f"{spec.id}: it takes pictures of one channel, for which three means and deviations are stated.",
            "State one of each: preprocessing: {size: ..., mean: ..., std: ...} in the model's entry.",
        )
    notes = [*network.notes]
    if unstated:
        taken = "values from 0 to 1" if grey else "ImageNet's mean and deviation"
        notes.append(
            f"How pictures are prepared was not stated: taken are {taken} at {side} px{only}. If it was "
            "trained otherwise, state preprocessing: {size: ..., mean: ..., std: ...}."
        )
    if grey:
        notes.append(GREY)
        give_grey(module)
    elif how.channels == "bgr":
        notes.append(BLUE_FIRST)
        if not give_red_first(module, side, device):
            raise CutawayError(
                f"{spec.id}: it takes pictures with blue before red, and more than convolutions reads their "
                "channels: its weights cannot be turned."
            )
    return replace(network, preprocessing=how, notes=tuple(notes))


def _labels(network: Network, spec: ModelSpec, answer: Tensor, random: bool) -> tuple[str, ...]:
    """The names of the classes, as many as the network answers with.

    A network of the user's own that names none has numbered ones, if it ends in one vector.
    """
    labels = network.labels
    if not labels and network.counted and answer.dim() == 2 and answer.shape[1] > 1:
        return numbered(answer.shape[1])
    if labels and (answer.dim() != 2 or answer.shape[1] != len(labels)):
        raise CutawayError(
            f"{spec.id}: {len(labels)} classes are named, and the network answers with "
            f"{' x '.join(str(side) for side in answer.shape[1:])} numbers.",
            "State classes: in the model's entry, as a number or as the names in order.",
        )
    return numbered(len(labels)) if random and spec.classes is None else labels


def _attention(module: nn.Module, size: int) -> tuple[VisionAttention | None, str]:
    """The attention of a vision transformer, or why it cannot be shown; neither, if there is none."""
    try:
        return find_attention(module, size), ""
    except CutawayError as error:
        return None, str(error)


def _kind(layers: tuple[Layer, ...]) -> str:
    several = sum("convolution" in layer.kind for layer in layers) > 1
    return "convolutional network" if several else "vision network"


def _chosen(spec: ModelSpec, patterns: Sequence[str], names: list[str]) -> frozenset[str]:
    chosen: set[str] = set()
    for pattern in patterns:
        matched = fnmatch.filter(names, pattern)
        if not matched:
            raise UsageError(
                f"{spec.id}: no layer matches '{pattern}'. {did_you_mean(pattern, names)}",
                hint=f"'cutaway inspect {spec.source}' lists the layers.",
            )
        chosen.update(matched)
    return frozenset(chosen)
