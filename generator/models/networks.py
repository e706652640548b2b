"""Networks for pictures, built: of timm, torchvision and transformers, or of a file that the user names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from generator.errors import CutawayError, UsageError, did_you_mean, first_line
from generator.exhibit import ModelSpec, Preprocessing
from generator.inputs.source import parse_source
from generator.models.compat import repair_torchvision
from generator.models.exported import read_archive
from generator.models.hub import asked_once
from generator.models.library_transform import prepared_by, same_as_library
from generator.models.model import NO_CLASSES
from generator.models.own import build_own, is_own
from generator.models.prepare import of_folder, of_timm
from generator.models.pretrained import library, open_pretrained
from generator.models.program import Program
from generator.models.transformer import stated_licence
from generator.models.vision import Network, class_names, numbered

_OF_PICTURES = (
    "input_size",
    "interpolation",
    "crop_pct",
    "crop_mode",
    "mean",
    "std",
    "fixed_input_size",
)


def build(
    reference: str,
    spec: ModelSpec,
    base: Path,
    *,
    pretrained: bool,
    seed: int,
    classes: int | None = None,
    stated: Mapping[str, Any] | None = None,
) -> Network:
    """A network of a library, or of a file that the user names, without the file's weights.

    `classes` is the number of its classes, if not the usual one, and `stated` the configuration that
    timm wrote beside weights.
    """
    if is_own(reference):
        return build_own(reference, spec, base, seed)
    if spec.arguments:
        raise UsageError(f"{spec.id}: arguments go with architecture: ./FILE.py:CLASS.")
    source = parse_source(reference, base)
    try:
        if source.kind == "timm":
            with asked_once() if pretrained else nullcontext():
                return build_timm(
                    source.name,
                    spec,
                    pretrained=pretrained,
                    seed=seed,
                    classes=classes,
                    stated=stated,
                )
        if source.kind == "torchvision":
            return build_torchvision(
                source.name,
                source.revision,
                spec,
                pretrained=pretrained,
                seed=seed,
                classes=classes,
            )
    except (OSError, RuntimeError) as error:
        raise CutawayError(
            f"{reference}: the weights could not be had: {first_line(error)}",
            hint="With no network, give a weights file: weights: ./FILE, or weights: random.",
        ) from error
    raise UsageError(
        f"architecture: '{reference}' must be timm:NAME, torchvision:NAME or ./FILE.py:CLASS."
    )


def class_count(spec: ModelSpec) -> int | None:
    """How many classes the exhibit's entry states; None where it states none."""
    return len(spec.classes) if isinstance(spec.classes, tuple) else spec.classes


def build_timm(
    name: str,
    spec: ModelSpec,
    *,
    pretrained: bool,
    seed: int,
    classes: int | None = None,
    stated: Mapping[str, Any] | None = None,
) -> Network:
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
    other: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    stated = stated or {}
    if isinstance(stated.get("model_args"), Mapping):
        other = {**stated["model_args"], **other}
    # Older releases of timm wrote what is stated of pictures beside the architecture.
    known = stated.get("pretrained_cfg") or {k: stated[k] for k in _OF_PICTURES if k in stated}
    if isinstance(known, Mapping) and known:
        other["pretrained_cfg"] = dict(known)
    try:
        module = timm.create_model(name, pretrained=pretrained, **other)
    except (TypeError, ValueError, AssertionError) as error:
        raise CutawayError(f"{spec.id}: timm cannot build {name}: {first_line(error)}") from error
    subset = infer_imagenet_subset(module)
    count = int(getattr(module, "num_classes", 0))
    labels = _stated_labels(stated, count) or numbered(count)
    if subset and not _stated_labels(stated, count):
        info = ImageNetInfo(subset)
        labels = tuple(info.index_to_description(index).split(",")[0] for index in range(count))
    how = spec.preprocessing or of_timm(resolve_data_config({}, model=module), spec)
    licence = str((module.pretrained_cfg or {}).get("license") or "") if pretrained else ""
    return Network(module, f"timm:{name}", how, class_names(spec, labels), licence)


def exported_network(path: Path, entry: str, spec: ModelSpec) -> Network:
    """The network whose program lies in an archive of torch.export. Nothing of it is unpickled.

    Raises CutawayError for a program that does not take one square picture, or many at once.
    """
    try:
        module = Program(read_archive(path, entry))
    except KeyError as error:
        raise CutawayError(
            f"{spec.id}: the program of {path} names {error}, which is not in it."
        ) from error
    except CutawayError as error:
        raise type(error)(f"{spec.id}: {path}: {error}", error.hint) from error
    batch, *picture = (*module.size, 0, 0, 0)[: max(4, len(module.size))]
    if (
        len(module.size) != 4
        or batch not in {1, -1}
        or picture[0] not in {1, 3}
        or picture[1] != picture[2]
    ):
        raise CutawayError(
            f"{spec.id}: the program of {path.name} takes {' x '.join(map(str, module.size))} numbers.",
            "Shown are programs for square pictures of three channels, or of one, exported with one picture "
            "or with any number of them.",
        )
    how = Preprocessing(size=picture[1])
    return Network(module, "torch.export", how, class_names(spec), counted=True, unstated=True)


def _stated_labels(stated: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """The names that timm wrote beside weights: descriptions before synset numbers."""
    names, told = (
        stated.get("label_names") or stated.get("labels"),
        stated.get("label_descriptions"),
    )
    if isinstance(names, Mapping):
        names = [names[key] for key in sorted(names, key=int)]
    if not isinstance(names, list) or len(names) != count:
        return ()
    words = told if isinstance(told, Mapping) else {}
    return tuple(str(words.get(name, name)).split(",")[0] for name in names)


def build_torchvision(
    name: str,
    weights: str | None,
    spec: ModelSpec,
    *,
    pretrained: bool,
    seed: int,
    classes: int | None = None,
) -> Network:
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
    other = {} if classes is None else {"num_classes": classes}
    module = torchvision.models.get_model(name, weights=member if pretrained else None, **other)
    recipe = member.transforms()
    size = recipe.crop_size[0]
    how = spec.preprocessing or same_as_library(
        [
            Preprocessing(
                size=size,
                crop=min(1.0, size / recipe.resize_size[0]),
                mean=tuple(recipe.mean),
                std=tuple(recipe.std),
                interpolation=recipe.interpolation.value,
            )
        ],
        prepared_by(recipe),
        spec,
        str(recipe).replace("\n", ""),
    )
    tag = f"@{member.name}" if pretrained else ""
    labels = tuple(member.meta["categories"])
    labels = labels if classes in {None, len(labels)} else numbered(classes or 0)
    return Network(module, f"torchvision:{name}{tag}", how, class_names(spec, labels))


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


def build_transformers(folder: Path, spec: ModelSpec, config: Any) -> Network:
    """The network for pictures that transformers saved in `folder`: a classifier, or without a head."""
    transformers = library()
    classifies = any("ImageClassification" in str(name) for name in config.architectures or ())
    factory = transformers.AutoModelForImageClassification if classifies else transformers.AutoModel
    opened = open_pretrained(folder, spec, factory)
    how, notes = (spec.preprocessing, ()) if spec.preprocessing else of_folder(folder, config, spec)
    labels: tuple[str, ...] = ()
    why, exclusive = NO_CLASSES, True
    if classifies and not opened.headless:
        labels, why, exclusive = _answers(opened.module.config, spec)
    return Network(
        opened.module,
        f"transformers:{type(opened.module).__name__}",
        how,
        labels,
        stated_licence(folder),
        (*opened.notes, *notes),
        no_classes=why,
        counted=classifies and not opened.headless and not labels and why == NO_CLASSES,
        exclusive=exclusive,
    )


def _answers(config: Any, spec: ModelSpec) -> tuple[tuple[str, ...], str, bool]:
    """Names of the classes, why there are none, and whether they exclude each other."""
    # A configuration may name no classes, and then not even count them.
    names: Mapping[int, str] = config.id2label or {}
    labels = tuple(str(names[index]) for index in sorted(names))
    kind = getattr(config, "problem_type", None)
    if kind == "regression" or len(labels) == 1:
        what = "one output" if len(labels) == 1 else f"{len(labels)} outputs"
        told = "states numbers (regression)" if kind == "regression" else "names a single class"
        return (), f"This network has {what} and {told}: there are no shares of classes.", True
    return class_names(spec, labels), NO_CLASSES, kind != "multi_label_classification"
