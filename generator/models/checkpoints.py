"""States of one network in training, as an exhibit names them.

A network that sees pictures is small beside its pool: its states are opened with the exhibit, and kept. One
that reads can be as large as memory allows: each of its states is opened when somebody measures it, held
against the model then, and let go of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from generator.altered_schema import Altered
from generator.errors import UsageError
from generator.exhibit import CheckpointSpec, ModelSpec
from generator.formatting import amount
from generator.inputs.source import parse_source
from generator.models.load import AnyModel, load_model
from generator.models.model import VisionModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.text_model import LanguageModel


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """One state of a network in training, and what opens it.

    `open` raises UsageError for one of another architecture. `key` is the model's, for the store; empty where
    it takes the model to know it.
    """

    label: str
    open: Callable[[], AnyModel]
    key: Mapping[str, Any] = field(default_factory=dict)

    def vision(self) -> VisionModel:
        """The network, which takes pictures."""
        model = self.open()
        assert isinstance(model, VisionModel)
        return model

    def language(self) -> LanguageModel:
        """The network, which takes texts in one stack; opened anew each time."""
        model = self.open()
        assert isinstance(model, LanguageModel)
        return model


Checkpoints = tuple[Checkpoint, ...]


def load_checkpoints(
    spec: ModelSpec, final: AnyModel, base: Path, cache: Path, *, seed: int = 0
) -> Checkpoints:
    """The states of training that an exhibit names for a model, each with its label.

    They take what `final` does, on its device. Raises UsageError for two of the same label, for checkpoints
    of a model that takes pairs of texts, and for one of another architecture: of a model that reads, whose
    tokenizer has to be the same too, once it is opened.
    """
    if not spec.checkpoints:
        return ()
    if isinstance(final, Seq2SeqModel):
        raise UsageError(
            f"{spec.id} reads one text and writes another: checkpoints are shown of models that see pictures "
            "or read one text."
        )
    found = tuple(
        _checkpoint(one, number, spec, final, base, cache, seed)
        for number, one in enumerate(spec.checkpoints, start=1)
    )
    labels = [one.label for one in found]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None and not isinstance(final, VisionModel):
        raise UsageError(f"{spec.id}: two checkpoints have the label '{twice}'; give each its own.")
    return found


def _checkpoint(
    one: CheckpointSpec,
    number: int,
    spec: ModelSpec,
    final: VisionModel | LanguageModel,
    base: Path,
    cache: Path,
    seed: int,
) -> Checkpoint:
    entry, device = _entry(one, spec, final, base), final.device.type

    def opened() -> AnyModel:
        state = load_model(entry, base, cache, seed=seed, device=device)
        difference = _difference(state, final)
        if difference:
            raise UsageError(
                f"{spec.id}: the checkpoint '{one.source}' is of another architecture: {difference}."
            )
        return state

    source = parse_source(one.source, base)
    unnamed = source.revision or f"checkpoint {number}"
    if not isinstance(final, VisionModel):
        step = f"step {source.revision}" if source.kind == "train" and source.revision else ""
        return Checkpoint(one.label or step or unnamed, opened)
    state = opened()
    return Checkpoint(one.label or state.provenance.revision or unnamed, lambda: state, state.key)


def _entry(one: CheckpointSpec, spec: ModelSpec, final: AnyModel, base: Path) -> ModelSpec:
    """The model's entry, as it is for one of its states."""
    changed: dict[str, Any] = {
        "source": one.source,
        "weights": one.weights,
        "altered": Altered(),
        "checkpoints": (),
    }
    if isinstance(final, VisionModel):
        library = parse_source(spec.source, base).kind in {"timm", "torchvision"}
        changed["architecture"] = spec.architecture or (spec.source if library else None)
        changed["preprocessing"] = final.preprocessing
    return spec.model_copy(update=changed)


def _difference(state: AnyModel, final: VisionModel | LanguageModel) -> str:
    """What tells a checkpoint's architecture from the model's; empty if nothing does."""
    told = _of_pictures(state, final) if isinstance(final, VisionModel) else _of_texts(state, final)
    if not told and state.parameters != final.parameters:
        return f"it has {state.parameters:,} parameters, the model {final.parameters:,}"
    return told


def _of_pictures(state: AnyModel, final: VisionModel) -> str:
    if not isinstance(state, VisionModel):
        return "it takes text"
    theirs, ours = ([(each.name, each.shape) for each in m.layers] for m in (state, final))
    if len(theirs) != len(ours):
        return f"it has {len(theirs)} layers, the model {len(ours)}"
    for (name, shape), (known, stated) in zip(theirs, ours, strict=True):
        if (name, shape) != (known, stated):
            return f"its layer {name} is {shape}, the model's {known} {stated}"
    return ""


def _of_texts(state: AnyModel, final: LanguageModel) -> str:
    if isinstance(state, VisionModel):
        return "it takes pictures"
    if isinstance(state, Seq2SeqModel):
        return "it takes pairs of texts"
    if len(state.layers) != len(final.layers):
        return f"it has {amount(len(state.layers), 'layer')}, the model {len(final.layers)}"
    if state.heads != final.heads:
        return f"its layers have {amount(state.heads, 'head')}, the model's {final.heads}"
    if state.kv_groups != final.kv_groups:
        return f"its heads share {state.kv_groups} sets of keys, the model's {final.kv_groups}"
    if (state.causal, state.head_kind) != (final.causal, final.head_kind):
        return f"it answers with a {state.head_kind}, the model with a {final.head_kind}"
    if state.windows != final.windows:
        return "its layers see other distances than the model's"
    theirs, ours = state.tokenizer.get_vocab(), final.tokenizer.get_vocab()
    if theirs != ours:
        if len(theirs) != len(ours):
            return f"its tokenizer has {len(theirs):,} tokens, the model's {len(ours):,}"
        other = min((token for token in ours if theirs.get(token) != ours[token]), key=ours.get)
        return f"its tokenizer gives '{other}' another number than the model's, or none"
    return ""
