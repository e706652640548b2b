"""Loading networks that take pictures: timm, torchvision and transformers architectures."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from generator.errors import CutawayError, UsageError, did_you_mean
from generator.exhibit import ModelSpec, Preprocessing
from generator.models.anatomy import read_anatomy
from generator.models.compat import repair_torchvision
from generator.models.digest import state_digest
from generator.models.layer import Layer
from generator.models.model import Provenance, VisionModel
from generator.models.patches import VisionAttention, attends, find_attention
from generator.models.trace import trace
from generator.models.vision_trial import tried


@dataclass(frozen=True, eq=False)
class Network:
    """A built network, before its layers are read."""

    module: nn.Module
    architecture: str
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    licence: str = ""


def build_timm(name: str, *, pretrained: bool, seed: int, classes: int | None = None) -> Network:
    """A timm architecture, with the weights of its default tag or with random ones.

    `classes` is the number of its classes, if not the usual one; without any it ends in features.
    """
    repair_torchvision()
    import timm
    from timm.data import ImageNetInfo, infer_imagenet_subset, resolve_data_config

    bare = name.split(".")[0]
    if not timm.is_model(bare):
        raise UsageError(f"timm has no model '{name}'. {did_you_mean(bare, timm.list_models())}")
    torch.manual_seed(seed)
    other = {} if classes is None else {"num_classes": classes}
    module = timm.create_model(name, pretrained=pretrained, **other)
    config = resolve_data_config({}, model=module)
    subset = infer_imagenet_subset(module)
    count = int(getattr(module, "num_classes", 0))
    labels = _numbered(count)
    if subset:
        info = ImageNetInfo(subset)
        labels = tuple(info.index_to_description(index).split(",")[0] for index in range(count))
    how = Preprocessing(
        size=config["input_size"][-1],
        crop=config["crop_pct"],
        mean=config["mean"],
        std=config["std"],
        interpolation=config["interpolation"] if config["interpolation"] != "random" else "bicubic",
    )
    licence = str((module.pretrained_cfg or {}).get("license") or "") if pretrained else ""
    return Network(module, f"timm:{name}", how, labels, licence)


def build_torchvision(name: str, weights: str | None, *, pretrained: bool, seed: int) -> Network:
    """A torchvision classifier. `weights` names a member of its weights enum."""
    torchvision = repair_torchvision()
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise _no_classifier(torchvision.models, name, known)
    enum = torchvision.models.get_model_weights(name)
    if weights is not None and weights not in enum.__members__:
        raise UsageError(
            f"'{name}' has no weights '{weights}'. {did_you_mean(weights, enum.__members__)}"
        )
    member = enum[weights] if weights else enum.DEFAULT
    torch.manual_seed(seed)
    module = torchvision.models.get_model(name, weights=member if pretrained else None)
    recipe = member.transforms()
    size = recipe.crop_size[0]
    how = Preprocessing(
        size=size,
        crop=min(1.0, size / recipe.resize_size[0]),
        mean=tuple(recipe.mean),
        std=tuple(recipe.std),
        interpolation=recipe.interpolation.value,
    )
    tag = f"@{member.name}" if pretrained else ""
    return Network(module, f"torchvision:{name}{tag}", how, tuple(member.meta["categories"]))


# What the networks of torchvision that are no classifiers of pictures do, by the part that holds them.
_OTHER_KINDS = {
    "segmentation": "labels each pixel of a picture",
    "detection": "finds objects in pictures",
    "video": "classifies videos",
    "optical_flow": "follows what moves between two pictures",
    "quantization": "is quantised and computes with whole numbers",
}


def _no_classifier(models: Any, name: str, known: Sequence[str]) -> UsageError:
    """Why torchvision's network of this name cannot be opened."""
    for part, does in _OTHER_KINDS.items():
        if name in models.list_models(module=getattr(models, part)):
            within = max((each for each in known if each in name), key=len, default="")
            hint = f"torchvision:{within}, which it is built on, can be opened." if within else ""
            opened = "opened are networks that give a picture classes or features"
            return UsageError(f"torchvision's '{name}' {does}; {opened}.", hint)
    return UsageError(f"torchvision has no network '{name}'. {did_you_mean(name, known)}")


def build_transformers(folder: Path) -> Network:
    """A transformers image classifier saved in `folder`."""
    repair_torchvision()
    from transformers import AutoModelForImageClassification
    from transformers.utils import logging

    logging.disable_progress_bar()  # the build has a bar of its own
    module = AutoModelForImageClassification.from_pretrained(folder, local_files_only=True)
    names: Mapping[int, str] = module.config.id2label
    labels = tuple(names[index] for index in sorted(names))
    how = _processor(folder / "preprocessor_config.json")
    return Network(module, f"transformers:{type(module).__name__}", how, labels)


def _processor(path: Path) -> Preprocessing:
    if not path.is_file():
        return Preprocessing()
    stated: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    size = stated.get("size", 224)
    side = size if isinstance(size, int) else next(iter(size.values()))
    crop = stated.get("crop_size", side)
    target = crop if isinstance(crop, int) else next(iter(crop.values()))
    share = float(stated.get("crop_pct") or target / side)
    return Preprocessing(
        size=int(target),
        crop=min(1.0, share),
        mean=tuple(stated.get("image_mean", (0.485, 0.456, 0.406))),
        std=tuple(stated.get("image_std", (0.229, 0.224, 0.225))),
    )


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"class {index}" for index in range(count))


def fit_weights(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load weights by name, or in order where names differ and every shape agrees.

    Raises CutawayError if neither fits.
    """
    own = module.state_dict()
    named_alike = set(own) == set(state)
    theirs = {name: state[name] for name in own} if named_alike else state
    mismatch = _first_mismatch(own, theirs)
    if mismatch:
        raise CutawayError(f"The weights do not fit the architecture: {mismatch}.")
    module.load_state_dict(dict(zip(own, theirs.values(), strict=True)))


def _first_mismatch(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    if len(own) != len(state):
        return f"it has {len(own)} tensors, the file {len(state)}"
    for (name, mine), (other, theirs) in zip(own.items(), state.items(), strict=True):
        if mine.shape != theirs.shape:
            return f"{name} is {tuple(mine.shape)}, the file's {other} {tuple(theirs.shape)}"
    return ""


def finish(
    network: Network, spec: ModelSpec, place: Mapping[str, Any], device: torch.device
) -> VisionModel:
    """Read the layers of a built network and bring it to the device.

    `place` holds the fields of the provenance that the source knows: source, origin, revision,
    files. Raises CutawayError if the network takes no picture of the stated size.
    """
    module = network.module.float().eval().requires_grad_(False)
    how = spec.preprocessing or network.preprocessing
    random = spec.weights == "random"
    digest = state_digest(module.state_dict())
    # Another device may compute the same in other operations.
    module.to(device)
    try:
        traced = trace(module, torch.zeros(1, 3, how.size, how.size, device=device))
    except Exception as error:  # whatever a network's own code raises, assertions included
        raise CutawayError(
            f"{spec.id}: the network does not run on a {how.size} px picture: {error}"
        ) from error
    try:
        attention, no_attention = _attention(module, how.size) if attends(traced) else (None, "")
        anatomy = read_anatomy(module, traced, attention)
    except CutawayError as error:
        raise CutawayError(f"{spec.id}: refused, {error}", error.hint) from error
    provenance = Provenance(
        weights_sha256=digest,
        architecture=network.architecture,
        licence=spec.licence or network.licence or "not stated",
        **place,
    )
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
        labels=_numbered(len(network.labels)) if random else network.labels,
        filters=anatomy.filters,
        left_out=anatomy.left_out,
        paged=_chosen(spec, spec.layers, [layer.name for layer in anatomy.layers]),
        with_units=_chosen(spec, spec.units, [layer.name for layer in anatomy.layers]),
        attention=attention,
        no_attention=no_attention,
    )
    return tried(model)


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
