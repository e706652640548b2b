"""From a model's entry in the exhibit to a loaded model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from generator.errors import CutawayError, UsageError
from generator.exhibit import ModelSpec
from generator.models.convert import gguf_to_folder, read_state_dict
from generator.models.digest import file_sha256
from generator.models.fetch import Files, fetch
from generator.models.hub import asked_once
from generator.models.language import load_language
from generator.models.model import LanguageModel, VisionModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.source import Source, parse_source, stated_source
from generator.models.training import build_trained, trained
from generator.models.twin import state_initialisation
from generator.models.vision import (
    Network,
    build_timm,
    build_torchvision,
    build_transformers,
    finish,
    fit_weights,
)

AnyModel = VisionModel | LanguageModel | Seq2SeqModel

_BARE = ("*.safetensors", "*.pth", "*.pt", "*.bin", "*.ckpt")


def pick_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `mps` as a device. Raises UsageError if it is not there."""
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    if name not in there:
        raise UsageError(f"There is no device '{name}': auto, cpu, cuda or mps.")
    if not there[name]:
        raise UsageError(f"The device '{name}' is not available to PyTorch here.")
    return torch.device(name)


def load_model(
    spec: ModelSpec, base: Path, cache: Path, *, seed: int = 0, device: str = "cpu"
) -> AnyModel:
    """Fetch and load one model. Paths in `spec` start from `base`; weights are kept in `cache`.

    Raises UsageError for a reference that cannot be meant, CutawayError for what fails on the way.
    """
    source = parse_source(spec.source, base)
    target = pick_device(device)
    if source.kind in {"timm", "torchvision"}:
        return _from_library(source, spec, base, cache, seed, target)
    if source.kind == "train":
        return _from_training(source, spec, cache, seed, target)
    files = fetch(source, cache)
    place = _place(source, files.origin, files.revision, files.sha256)
    return _from_files(files, spec, place, cache, seed, target)


def _place(
    source: Source, origin: str, revision: str | None, digests: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "source": stated_source(source),
        "origin": origin,
        "revision": revision,
        "files": dict(sorted(digests.items())),
    }


def _build(
    reference: str, base: Path, *, pretrained: bool, seed: int, classes: int | None = None
) -> Network:
    source = parse_source(reference, base)
    try:
        if source.kind == "timm":
            with asked_once() if pretrained else nullcontext():
                return build_timm(source.name, pretrained=pretrained, seed=seed, classes=classes)
        if source.kind == "torchvision":
            return build_torchvision(source.name, source.revision, pretrained=pretrained, seed=seed)
    except (OSError, RuntimeError) as error:
        raise CutawayError(
            f"{reference}: the weights could not be had: {_first_line(error)}",
            hint="With no network, give a weights file: weights: ./FILE, or weights: random.",
        ) from error
    raise UsageError(f"architecture: '{reference}' must be timm:NAME or torchvision:NAME.")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _from_library(
    source: Source, spec: ModelSpec, base: Path, cache: Path, seed: int, device: torch.device
) -> VisionModel:
    pretrained = spec.weights == "pretrained"
    network = _build(spec.source, base, pretrained=pretrained, seed=seed)
    library = "timm" if source.kind == "timm" else "torchvision"
    digests: dict[str, str] = {}
    if pretrained:
        origin = f"weights that {library} names for {source.name}"
    elif spec.weights == "random":
        origin = f"random weights, seed {seed}, as {library} initialises them"
    else:
        weights = (base / spec.weights).resolve()
        if not weights.is_file():
            raise UsageError(f"{spec.id}: there is no weights file {weights}.")
        fit_weights(network.module, read_state_dict(weights, cache))
        digests = {weights.name: file_sha256(weights)}
        origin = f"local file {weights.name}"
    return finish(network, spec, _place(source, origin, source.revision, digests), device)


def _from_training(
    source: Source, spec: ModelSpec, cache: Path, seed: int, device: torch.device
) -> VisionModel:
    network = build_trained(source.name, seed)
    if spec.weights == "random":
        origin = f"random weights, seed {seed}, from which Cutaway's own training starts"
        return finish(network, spec, _place(source, origin, None, {}), device)
    if spec.weights != "pretrained":
        raise UsageError(f"{spec.id}: a source of the kind train: takes no weights file.")
    files = trained(source, cache, seed)
    fit_weights(network.module, read_state_dict(files.root, cache))
    place = _place(source, files.origin, files.revision, files.sha256)
    return finish(network, spec, place, device)


def _from_files(
    files: Files,
    spec: ModelSpec,
    place: Mapping[str, Any],
    cache: Path,
    seed: int,
    device: torch.device,
) -> AnyModel:
    folder = _config_folder(files.root)
    if folder is not None:
        config = _read_config(folder / "config.json", spec)
        if "model_type" not in config and "architecture" in config:
            named, classes = f"timm:{config['architecture']}", config.get("num_classes")
            count = classes if isinstance(classes, int) else None
            return _bare_weights(folder, spec, named, place, cache, seed, device, count)
        if any("ImageClassification" in str(name) for name in config.get("architectures") or ()):
            return finish(build_transformers(folder), spec, place, device)
        return load_language(folder, spec, place, device)
    gguf = _one_of(files.root, ("*.gguf",))
    if gguf is not None:
        converted = gguf_to_folder(gguf, cache / "converted" / file_sha256(gguf))
        model = load_language(converted, spec, place, device)
        state_initialisation(model)
        return model
    if spec.architecture is None:
        if _one_of(files.root, _BARE) is None:
            raise _without_weights(spec)
        raise UsageError(
            f"{spec.id}: '{spec.source}' ships bare weights; say what they belong to.",
            hint="Add, for example, architecture: timm:tf_efficientnet_lite0 to the model in exhibit.yml, or "
            "--architecture timm:tf_efficientnet_lite0 on the command line.",
        )
    return _bare_weights(files.root, spec, spec.architecture, place, cache, seed, device)


def _read_config(path: Path, spec: ModelSpec) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CutawayError(f"{spec.id}: {path} cannot be read as JSON: {error}.") from error
    if not isinstance(config, dict) or not isinstance(config.get("architectures") or [], list):
        raise CutawayError(f"{spec.id}: {path} is no configuration of a model.")
    return config


def _without_weights(spec: ModelSpec) -> CutawayError:
    return CutawayError(f"{spec.id}: '{spec.source}' holds no weights that are understood.")


def _bare_weights(
    root: Path,
    spec: ModelSpec,
    architecture: str,
    place: Mapping[str, Any],
    cache: Path,
    seed: int,
    device: torch.device,
    classes: int | None = None,
) -> VisionModel:
    weights = _one_of(root, _BARE)
    if weights is None:
        raise _without_weights(spec)
    network = _build(architecture, root, pretrained=False, seed=seed, classes=classes)
    fit_weights(network.module, read_state_dict(weights, cache))
    return finish(replace(network, architecture=architecture), spec, place, device)


def _config_folder(root: Path) -> Path | None:
    if not root.is_dir():
        return None
    found = sorted(root.rglob("config.json"), key=lambda path: (len(path.parts), str(path)))
    for path in found:
        folder = path.parent
        if any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin")):
            return folder
    return None


def _one_of(root: Path, patterns: tuple[str, ...]) -> Path | None:
    """The largest file that matches, the first of equals by name."""
    if root.is_file():
        return root if any(root.match(pattern) for pattern in patterns) else None
    found = sorted(file for pattern in patterns for file in root.rglob(pattern))
    return max(found, key=lambda file: file.stat().st_size, default=None)
