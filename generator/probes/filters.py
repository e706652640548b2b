"""The weights of a layer in a form that can be drawn, with a label that says what is drawn."""

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
