"""States of one network in training, as an exhibit names them."""

from __future__ import annotations

from pathlib import Path

from generator.altered_schema import Altered
from generator.errors import UsageError
from generator.exhibit import CheckpointSpec, ModelSpec
from generator.inputs.source import parse_source
from generator.models.load import AnyModel, load_model
from generator.models.model import VisionModel

Checkpoints = tuple[tuple[str, VisionModel], ...]


def load_checkpoints(
    spec: ModelSpec, final: AnyModel, base: Path, cache: Path, *, seed: int = 0
) -> Checkpoints:
    """The states of training that an exhibit names for a model, each with its label.

    They see pictures as `final` does, on its device. Raises UsageError for one of another architecture,
    and for checkpoints of a model that takes text.
    """
    if not spec.checkpoints:
        return ()
    if not isinstance(final, VisionModel):
        raise UsageError(f"{spec.id} takes text: checkpoints are shown of vision models only.")
    return tuple(
        _checkpoint(one, number, spec, final, base, cache, seed)
        for number, one in enumerate(spec.checkpoints, start=1)
    )


def _checkpoint(
    one: CheckpointSpec,
    number: int,
    spec: ModelSpec,
    final: VisionModel,
    base: Path,
    cache: Path,
    seed: int,
) -> tuple[str, VisionModel]:
    library = parse_source(spec.source, base).kind in {"timm", "torchvision"}
    changed = {
        "source": one.source,
        "weights": one.weights,
        "architecture": spec.architecture or (spec.source if library else None),
        "altered": Altered(),
        "preprocessing": final.preprocessing,
        "checkpoints": (),
    }
    state = load_model(
        spec.model_copy(update=changed), base, cache, seed=seed, device=final.device.type
    )
    difference = _difference(state, final)
    if difference:
        raise UsageError(
            f"{spec.id}: the checkpoint '{one.source}' is of another architecture: {difference}."
        )
    assert isinstance(state, VisionModel)
    label = one.label or state.provenance.revision or f"checkpoint {number}"
    return label, state


def _difference(state: AnyModel, final: VisionModel) -> str:
    """What tells a checkpoint's architecture from the model's; empty if nothing does."""
    if not isinstance(state, VisionModel):
        return "it takes text"
    theirs, ours = ([(each.name, each.shape) for each in m.layers] for m in (state, final))
    if len(theirs) != len(ours):
        return f"it has {len(theirs)} layers, the model {len(ours)}"
    for (name, shape), (known, stated) in zip(theirs, ours, strict=True):
        if (name, shape) != (known, stated):
            return f"its layer {name} is {shape}, the model's {known} {stated}"
    if state.parameters != final.parameters:
        return f"it has {state.parameters:,} parameters, the model {final.parameters:,}"
    return ""
