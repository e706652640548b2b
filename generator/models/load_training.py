"""A model that Cutaway trains itself, opened as any other of its kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from generator.errors import UsageError
from generator.exhibit import ModelSpec
from generator.inputs.repeated_words import WORDS
from generator.inputs.source import Source
from generator.models.convert import read_state_dict
from generator.models.fetch import provenance
from generator.models.fitting import fit_weights
from generator.models.language import load_language
from generator.models.model import VisionModel
from generator.models.own_training import TEXTS, known_training
from generator.models.text_model import LanguageModel
from generator.models.text_training import text_training_folder, trained_text
from generator.models.training import build_trained, trained, training_folder
from generator.models.vision import finish
from generator.models.word_tokenizer import UNKNOWN

_WORDS = f"It knows {len(WORDS)} words, two marks among them; any other is read as {UNKNOWN}."


def from_training(
    source: Source, spec: ModelSpec, cache: Path, seed: int, device: torch.device
) -> VisionModel | LanguageModel:
    """The network of a training, trained if the cache does not hold it.

    With random weights it is the network before its first step. Raises UsageError for a training or a state
    that is not known, and for weights of another file.
    """
    if spec.weights not in {"pretrained", "random"}:
        raise UsageError(f"{spec.id}: a source of the kind train: takes no weights file.")
    if known_training(source.name) in TEXTS:
        return _that_reads(source, spec, cache, seed, device)
    network = build_trained(source.name, seed)
    if spec.weights == "random":
        origin = f"random weights, seed {seed}, from which Cutaway's own training starts"
        return finish(network, spec, provenance(source, origin, None, {}), device)
    files = trained(source, cache, seed)
    fit_weights(network.module, read_state_dict(files.root, cache))
    place = provenance(source, files.origin, files.revision, files.sha256)
    return finish(network, spec, place, device)


def is_trained(name: str, cache: Path, seed: int) -> bool:
    """Whether the cache holds the states of a training."""
    reads = known_training(name) in TEXTS
    return (text_training_folder if reads else training_folder)(name, cache, seed).exists()


def train(name: str, cache: Path, seed: int) -> None:
    """Do a training whose states the cache does not hold."""
    source = Source("train", name, None, None, f"train:{name}")
    (trained_text if known_training(name) in TEXTS else trained)(source, cache, seed)


def _that_reads(
    source: Source, spec: ModelSpec, cache: Path, seed: int, device: torch.device
) -> LanguageModel:
    start = spec.weights == "random"
    files = trained_text(replace(source, revision="0") if start else source, cache, seed)
    place = provenance(source, files.origin, files.revision, files.sha256)
    model = load_language(files.root, spec, place, device)
    assert isinstance(model, LanguageModel)
    told = replace(model.provenance, notes=(*model.provenance.notes, _WORDS))
    return replace(model, provenance=told)
