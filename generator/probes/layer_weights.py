"""What a layer has learned: its filters, and the strongest weights between its units and those around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.models.layer import Layer
from generator.models.model import VisionModel

MATRIX_SIDE = 256


@dataclass(frozen=True)
class Filters:
    """What of a layer's weights is drawn.

    `kind` is "rgb" (values: filters, height, width, 3), "kernels" (filters, height, width) or
    "matrix" (outputs, inputs). `chosen` names, for "kernels" of a dense convolution, the input
    channel whose kernel is drawn for each filter: the one with the largest norm. `share` is the
    part of the squared norm of all weights that the drawn ones hold.
    """

    layer: str
    kind: str
    values: np.ndarray
    chosen: np.ndarray
    share: float


def read_filters(model: VisionModel, layer: Layer) -> Filters | None:
    """The drawable weights of a layer, or None for a block, which has none of its own."""
    if layer.name not in model.filters:
        return None
    weight = model.filters[layer.name].float().cpu().numpy()
    nothing = np.zeros(0, dtype=np.int64)
    if weight.ndim == 2 or weight.shape[2:] == (1, 1):
        matrix = weight.reshape(weight.shape[0], -1)
        return Filters(layer.name, "matrix", matrix, nothing, 1.0)
    if layer.index == 0 and weight.shape[1] == 3:
        return Filters(layer.name, "rgb", weight.transpose(0, 2, 3, 1), nothing, 1.0)
    if weight.shape[1] == 1:
        return Filters(layer.name, "kernels", weight[:, 0], nothing, 1.0)
    power = np.square(weight.astype(np.float64)).sum(axis=(2, 3))
    chosen = power.argmax(axis=1)
    drawn = weight[np.arange(len(weight)), chosen]
    total = float(power.sum())
    share = float(power.max(axis=1).sum() / total) if total else 1.0
    return Filters(layer.name, "kernels", drawn, chosen, share)


STRONGEST = 4


@dataclass(frozen=True)
class Wires:
    """Weights between a layer's units and those of another layer, (units, others).

    Spatial kernels are summed, so that a weight is the response to an even input. `added` says that
    other inputs reach the unit too, such as a shortcut.
    """

    layer: str
    weights: np.ndarray
    added: tuple[str, ...] = ()


def _matrix(model: VisionModel, layer: Layer) -> np.ndarray:
    """The weights of a layer as (outputs, inputs); a depthwise layer has a diagonal."""
    weight = model.filters[layer.name].float().cpu().numpy()
    summed = weight.reshape(*weight.shape[:2], -1).sum(-1)
    if layer.groups == 1:
        return np.asarray(summed)
    outputs = len(summed)
    inputs, width = layer.in_channels, summed.shape[1]
    matrix = np.zeros((outputs, inputs), dtype=summed.dtype)
    for output in range(outputs):
        group = output * layer.groups // outputs
        matrix[output, group * width : (group + 1) * width] = summed[output]
    return matrix


def strongest(weights: np.ndarray) -> tuple[list[int], list[int]]:
    """The units with the largest positive weights, and those with the largest negative ones."""
    order = np.argsort(-weights, kind="stable")
    up = [int(other) for other in order[:STRONGEST] if weights[other] > 0]
    down = [int(other) for other in order[::-1][:STRONGEST] if weights[other] < 0]
    return up, down


def listens(model: VisionModel, layer: Layer) -> Wires | None:
    """The weights by which a layer's units read the layer before it, if a convolution does."""
    by_name = {each.name: each for each in model.layers}
    reader = layer
    others: tuple[str, ...] = ()
    if layer.kind == "block":
        inner = [name for name in layer.reads if name.startswith(f"{layer.name}.")]
        if not inner:
            return None
        reader = by_name[inner[0]]
        others = tuple(name for name in layer.reads if name != reader.name)
    if reader.name not in model.filters or len(reader.reads) != 1:
        return None
    return Wires(reader.reads[0], _matrix(model, reader), others)


def feeds(model: VisionModel, layer: Layer) -> Wires | None:
    """The weights by which the first layer that reads these units does so, (units, readers)."""
    names = {layer.name}
    if layer.kind == "block" and len(layer.reads) == 1:
        names.update(layer.reads)  # a block that adds nothing is its last convolution
    for reader in model.layers:
        if names & set(reader.reads) and reader.name in model.filters and reader is not layer:
            matrix = _matrix(model, reader)
            if matrix.shape[1] == layer.units:
                return Wires(reader.name, matrix.T)
    return None
