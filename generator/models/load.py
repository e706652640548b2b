"""From a model's entry in the exhibit to a loaded model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from generator.errors import CutawayError, UsageError
from generator.exhibit import PICTURE, ModelSpec
from generator.inputs.source import Source, parse_source
from generator.models.alter import prepared, redrawn
from generator.models.any_model import AnyModel as AnyModel
from generator.models.contents import tensors_in
from generator.models.convert import gguf_to_folder, read_state_dict
from generator.models.device import pick_device
from generator.models.digest import file_sha256
from generator.models.exported import is_export
from generator.models.fetch import Files, fetch, provenance
from generator.models.fitting import fit_weights, head_size, in_words
from generator.models.language import finish_language, load_language
from generator.models.load_training import from_training
from generator.models.model import VisionModel
from generator.models.networks import build, build_transformers, class_count, exported_network
from generator.models.open_clip import (
    TOLD,
    as_transformers,
    open_apart,
    open_clip_folder,
    opens_apart,
    parts_apart,
    preprocessing,
)
from generator.models.own import is_own
from generator.models.pretrained import read_config, takes_pictures, two_towers
from generator.models.randomise import state_initialisation
from generator.models.saved import (
    chosen_file,
    config_folder,
    largest,
    stated_config,
    weights_of,
)
from generator.models.text_part import has_text_part, text_part
from generator.models.towers import has_towers, in_parts, open_tower
from generator.models.transformer import open_tokenizer, stated_licence
from generator.models.vision import Network, finish


def load_model(
    spec: ModelSpec, base: Path, cache: Path, *, seed: int = 0, device: str = "cpu"
) -> AnyModel:
    """Fetch and load one model. Paths in `spec` start from `base`; weights are kept in `cache`.

    Raises UsageError for a reference that cannot be meant, CutawayError for what fails on the way.
    """
    asked = Request(parse_source(spec.source, base), base, cache, seed, pick_device(device))
    ready = prepared(spec, asked.source, base, cache)
    return redrawn(_loaded(ready, asked), spec, seed)


@dataclass(frozen=True)
class Request:
    """What opening a model needs beside its entry; `place` is what its source knows of its provenance."""

    source: Source
    base: Path
    cache: Path
    seed: int
    device: torch.device
    place: Mapping[str, Any] = field(default_factory=dict)


def _loaded(spec: ModelSpec, asked: Request) -> AnyModel:
    source = asked.source
    if spec.part and source.kind in {"timm", "torchvision", "train"}:
        raise UsageError(f"{spec.id}: it has no towers, so that part: {spec.part} names nothing.")
    if source.kind in {"timm", "torchvision"}:
        return _from_library(spec, asked)
    if source.kind == "train":
        return from_training(source, spec, asked.cache, asked.seed, asked.device)
    if spec.weights != "pretrained":
        raise UsageError(
            f"{spec.id}: weights: {spec.weights} goes with timm:, torchvision: and train:, which name an "
            f"architecture; '{source.text}' has weights of its own, and these would be shown.",
            hint="For the same network with random weights write altered: {random: true}.",
        )
    files = fetch(source, asked.cache)
    place = provenance(source, files.origin, files.revision, files.sha256)
    if source.file:
        files = replace(files, root=chosen_file(files.root, source, spec))
    return _from_files(files, spec, replace(asked, place=place))


def _from_library(spec: ModelSpec, asked: Request) -> VisionModel:
    source, seed = asked.source, asked.seed
    pretrained = spec.weights == "pretrained"
    library = "timm" if source.kind == "timm" else "torchvision"
    if spec.weights not in {"pretrained", "random"}:
        named = parse_source(_as_path(spec.weights), asked.base)
        weights = Path(named.name)
        if not weights.is_file():
            raise UsageError(f"{spec.id}: there is no weights file {weights}.")
        network = _fitted(spec.source, weights, named.entry, spec, asked)
        digests = {weights.name: file_sha256(weights)}
        place = provenance(source, f"local file {weights.name}", source.revision, digests)
        return finish(network, spec, place, asked.device)
    count = class_count(spec)
    if pretrained and count is not None:
        count = None  # the library's weights have the library's classes; names may be others
    network = build(spec.source, spec, asked.base, pretrained=pretrained, seed=seed, classes=count)
    if pretrained:
        origin = f"weights that {library} names for {source.name}"
    else:
        origin = f"random weights, seed {seed}, as {library} initialises them"
    return finish(network, spec, provenance(source, origin, source.revision, {}), asked.device)


def _as_path(text: str) -> str:
    """A weights file as a reference: a bare name is one beside the exhibit."""
    whole = Path(text).expanduser().is_absolute() or text.startswith((".", "~"))
    return text if whole else f"./{text}"


def _fitted(
    architecture: str,
    weights: Path,
    entry: str,
    spec: ModelSpec,
    asked: Request,
    stated: Mapping[str, Any] | None = None,
) -> Network:
    """A network with the weights of a file, its head as large as the file's."""
    state = read_state_dict(weights, asked.cache, entry)
    count = class_count(spec)
    if count is None and stated:
        count = _whole(stated.get("num_classes"))

    def made(classes: int | None) -> Network:
        how: Any = {"pretrained": False, "seed": asked.seed, "classes": classes, "stated": stated}
        return build(architecture, spec, asked.base, **how)

    network = made(count)
    notes: tuple[str, ...] = ()
    found = head_size(network.module, state)
    if found is not None and count is not None and not is_own(architecture):
        raise UsageError(
            f"{spec.id}: {count:,} classes are stated, and the file has weights for {found:,}.",
            "State classes: as many names, or their number; left out, it is taken from the file.",
        )
    if found is not None and count is None and not is_own(architecture):
        network = made(found)
        notes = (
            f"The file has weights for {found:,} classes, so the network was built with as many; no file "
            "names them.",
        )
    try:
        notes = (*notes, *fit_weights(network.module, state))
    except CutawayError as error:
        raise CutawayError(f"{spec.id}: {error}", in_words(state)) from error
    return replace(network, notes=(*network.notes, *notes))


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _from_files(files: Files, spec: ModelSpec, asked: Request) -> AnyModel:
    bare = spec.architecture is None
    if bare and (folder := config_folder(files.root)):
        return _from_folder(folder, spec, asked)
    if bare and (clip := open_clip_folder(files.root)):
        return _from_open_clip(clip, spec, asked)
    if bare and (gguf := largest(files.root, ("*.gguf",))):
        converted = gguf_to_folder(gguf, asked.cache / "converted" / file_sha256(gguf))
        model = load_language(converted, spec, asked.place, asked.device)
        state_initialisation(model)
        return model
    weights = weights_of(files.root, spec)
    if bare and is_export(weights):
        network = exported_network(weights, asked.source.entry, spec)
        return finish(network, spec, asked.place, asked.device)
    if spec.architecture is None:
        # What cannot be read says so itself.
        held = read_state_dict(weights, asked.cache, asked.source.entry)
        raise UsageError(
            f"{spec.id}: '{spec.source}' ships bare weights ({tensors_in(held)}); say what they belong to.",
            hint="Add architecture: timm:NAME, torchvision:NAME, or ./FILE.py:CLASS for a network of your "
            "own, to the model in exhibit.yml, or --architecture on the command line.",
        )
    network = _fitted(spec.architecture, weights, asked.source.entry, spec, asked)
    named = network.architecture if is_own(spec.architecture) else spec.architecture
    return finish(replace(network, architecture=named), spec, asked.place, asked.device)


def _from_folder(folder: Path, spec: ModelSpec, asked: Request) -> AnyModel:
    """A network whose configuration lies beside its weights, as timm or transformers writes it."""
    stated = stated_config(folder / "config.json", spec)
    if "model_type" not in stated and "architecture" in stated:
        weights, named = weights_of(folder, spec), f"timm:{stated['architecture']}"
        network = _fitted(named, weights, asked.source.entry, spec, asked, stated)
        licence = network.licence or stated_licence(folder)
        network = replace(network, architecture=named, licence=licence)
        return finish(network, spec, asked.place, asked.device)
    config = read_config(folder, spec)
    if has_towers(config):
        return open_tower(folder, spec, config, asked.place, asked.device)
    if has_text_part(config) and spec.part != PICTURE:
        opened, tokenizer = text_part(folder, spec), open_tokenizer(folder, spec)
        return finish_language(
            opened, tokenizer, "next token", folder, spec, asked.place, asked.device
        )
    # SigLIP's classifier of pictures keeps the configuration of both towers, and has one.
    alone = any("ImageClassification" in str(name) for name in config.architectures or ())
    if getattr(config, "vision_config", None) is not None and not alone:
        raise two_towers(config, spec)
    if spec.part:
        raise UsageError(f"{spec.id}: it has no towers, so that part: {spec.part} names nothing.")
    if takes_pictures(config, spec):
        network = build_transformers(folder, spec, config)
        return finish(network, spec, asked.place, asked.device)
    return load_language(folder, spec, asked.place, asked.device)


def _from_open_clip(folder: Path, spec: ModelSpec, asked: Request) -> AnyModel:
    """One tower of a CLIP that open_clip wrote, with its pictures prepared as open_clip does."""
    how = spec.preprocessing or preprocessing(folder, spec)
    if opens_apart(folder, spec):
        return open_apart(folder, asked.cache, spec, how, asked.place, asked.device)
    own = spec.model_copy(update={"preprocessing": how})
    model = _from_folder(as_transformers(folder, asked.cache, spec), own, asked)
    told = replace(model.provenance, notes=(*model.provenance.notes, TOLD))
    return replace(model, provenance=told)


def parts_of(spec: ModelSpec, base: Path, cache: Path) -> tuple[ModelSpec, ...]:
    """The entries of the models that an entry stands for: two for a network of two towers."""
    source = parse_source(spec.source, base)
    if spec.part or spec.architecture or source.kind in {"timm", "torchvision", "train"}:
        return (spec,)
    root = fetch(source, cache).root
    folder = None if source.file else config_folder(root)
    clip = None if source.file or folder else open_clip_folder(root)
    if clip is not None and opens_apart(clip, spec):
        return parts_apart(clip, spec)
    if clip is not None:
        folder = as_transformers(clip, cache, spec)
    if folder is None or "model_type" not in stated_config(folder / "config.json", spec):
        return (spec,)
    return in_parts(read_config(folder, spec), spec)
