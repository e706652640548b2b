"""A trial of the neurons of a vision transformer's MLPs: whether what they hold is what the MLPs write."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from generator.models.dispatch import listen
from generator.models.layer import Layer
from generator.models.mlp_neurons import NEURONS
from generator.models.model import VisionModel
from generator.models.trial import CLOSE, MLPS, Check, LeftOut


def with_mlps(model: VisionModel, batch: Tensor) -> tuple[VisionModel, tuple[Check, ...]]:
    """The model with its neurons, if on a picture (1, 3, H, W) they make what is written, and the check."""
    layers = [layer for layer in model.layers if layer.grid]
    if not layers:
        return model, ()
    if model.attention is None:  # it was refused when it was tried
        return _without(model, layers, model.no_attention), ()
    pairs = [(layer, _writer(model, layer)) for layer in layers]
    lost = [layer for layer, writer in pairs if writer is None]
    model = _without(model, lost, "no matrix could be shown to read what they hold")
    left = _left(model, [(layer, writer) for layer, writer in pairs if writer], batch)
    worst = max(left.values(), default=0.0)
    if not worst <= CLOSE:  # nan as well
        reason = "what the neurons hold, times the weights of the matrix behind them, is not what it writes"
        return _without(model, [layer for layer in layers if layer not in lost], reason), ()
    says = (
        f"what the neurons of {len(left)} MLPs hold, times the weights by which they write, is what is "
        "written, up to one vector that is the same for all tokens."
    )
    return model, (Check(MLPS, says, True, worst),) if left else ()


def _writer(model: VisionModel, layer: Layer) -> Layer | None:
    """The linear layer that reads a layer of neurons."""
    for reader in model.layers:
        if layer.name in reader.reads and reader.name in model.filters:
            weight = model.filters[reader.name]
            if weight.dim() == 2 and weight.shape[1] == layer.units:
                return reader
    return None


def _left(model: VisionModel, pairs: list[tuple[Layer, Layer]], batch: Tensor) -> dict[str, float]:
    """How much of what is written the neurons leave unexplained, as a share of the largest value.

    A bias is the same for all tokens.
    """
    points = {layer.name: layer.operation for pair in pairs for layer in pair}
    seen: dict[str, Tensor] = {}
    with listen(points, lambda name, made: seen.update({name: made.double().clone()})):
        model.module(batch.to(model.device))
    found = {}
    for layer, writer in pairs:
        written = seen[writer.name].flatten(0, -2)
        rest = written - seen[layer.name].flatten(0, -2) @ model.filters[writer.name].double().t()
        size = written.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
        found[layer.name] = float((rest - rest.mean(0)).abs().max() / size)
    return found


def _without(model: VisionModel, layers: list[Layer], reason: str) -> VisionModel:
    """The model with these layers as ones whose units have no place in the picture."""
    names = {layer.name for layer in layers}
    kept = (replace(x, grid=None) if x.name in names else x for x in model.layers)
    left_out = [LeftOut(f"{NEURONS} {name}", reason) for name in sorted(names)]
    return replace(model, layers=tuple(kept), left_out=(*model.left_out, *left_out))
