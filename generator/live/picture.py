"""A network that takes a picture as a graph: its answer, the response of each layer, its attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.live.graph import Graph, export
from generator.models.layer import Layer
from generator.models.model import VisionModel, logits_of, units_first
from generator.models.patches import VisionAttention, unfused
from generator.models.tap import tapped

VERSION = 1
PIXELS, LOGITS, ATTENTION = "pixels", "logits", "attention"
_ATTENTION = 2**26  # bytes


@dataclass(frozen=True, eq=False)
class PictureGraph:
    """A graph of a network that takes a picture, PIXELS (1, 3, side, side) as they are prepared.

    Outputs are LOGITS (classes), `layers` in their order, each of its shape in `shapes` and named by
    `output`, and with `attends` ATTENTION (blocks, heads, tokens, tokens).
    """

    graph: Graph
    layers: tuple[Layer, ...]
    shapes: tuple[tuple[int, ...], ...]
    attends: bool


def output(place: int) -> str:
    """What the graph calls the response of a layer."""
    return f"layer{place}"


def picture_graph(model: VisionModel) -> PictureGraph:
    """The graph of a network that takes a picture. Raises CutawayError with the reason for none."""
    side = model.preprocessing.size
    shapes = _shapes(model)
    layers = tuple(layer for layer in model.layers if layer.name in shapes)
    pixels = torch.zeros(1, 3, side, side, device=model.device)
    names = [LOGITS, *(output(place) for place in range(len(layers)))]
    with unfused():
        graph = export(_Seer(model, layers), (pixels,), (PIXELS,), names)
    attends = model.attention is not None and _few(model.attention)
    if attends:
        assert model.attention is not None
        _add_attention(graph, len(model.attention.blocks))
    return PictureGraph(graph, layers, tuple(shapes[layer.name] for layer in layers), attends)


def _few(attention: VisionAttention) -> bool:
    """Whether the weights of all heads are no more than a browser holds beside the network."""
    return 4 * len(attention.blocks) * attention.heads * attention.grid.tokens**2 <= _ATTENTION


def _shapes(model: VisionModel) -> dict[str, tuple[int, ...]]:
    """The layers with a page whose response is maps (units, rows, columns), over the picture or over its
    patches, or a vector (units,); in what shape each is shown."""
    found: dict[str, tuple[int, ...]] = {}

    def take(layer: Layer, response: Tensor) -> None:
        shape = shown_shape(model, response)
        if shape and layer.name in model.paged and layer.tapped:
            found[layer.name] = shape

    side = model.preprocessing.size
    model.run(np.zeros((3, side, side), np.float32), take)
    return found


def shown_shape(model: VisionModel, response: Tensor) -> tuple[int, ...]:
    """How the response (units, ...) of a layer is shown; () where its positions are those of no picture."""
    units, *positions = response.shape
    if len(positions) == 2:
        return tuple(response.shape)
    if positions == [1]:
        return (units,)
    grid = model.attention.grid if model.attention else None
    return (units, grid.rows, grid.columns) if grid and positions == [grid.tokens] else ()


def as_shown(response: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The response (units, ...) in that shape: of the tokens of a transformer those of the patches."""
    if len(shape) == 3 and response.dim() == 2:
        response = response[:, -shape[1] * shape[2] :]
    return response.reshape(shape)


class _Seer(nn.Module):
    """The network with what is looked at as its outputs."""

    def __init__(self, model: VisionModel, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.network = model.module
        self._model, self._layers = model, layers
        # A block may return what its last layer does: both are one call of one module.
        self._tapped = tuple({_call(layer): layer for layer in layers}.values())

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        found: dict[Any, Tensor] = {}

        def touch(layer: Layer, response: Tensor) -> None:
            found[_call(layer)] = response.clone()  # what works in place may write over it

        with tapped(self._model, self._tapped, touch):
            logits = logits_of(self.network(pixels))
        made = [logits[0]]
        for layer in self._layers:
            response = found[_call(layer)]
            # Maps are tapped with their units first.
            response = response[0] if len(layer.shape) == 3 else units_first(layer, response)
            made.append(as_shown(response, shown_shape(self._model, response)))
        return tuple(made)


def _call(layer: Layer) -> tuple[str, int, int, str]:
    """What returns the response of a layer, or reads it."""
    return layer.module, layer.call, layer.function, layer.reader


def _add_attention(graph: Graph, blocks: int) -> None:
    """Make the softmaxes of all blocks, each (1, heads, tokens, tokens), one output."""
    from onnx import TensorProto, helper

    nodes = graph.proto.graph.node
    found = [node.output[0] for node in nodes if node.op_type == "Softmax"]
    if len(found) != blocks:
        raise CutawayError(
            f"its graph has {len(found)} softmaxes, and it has {blocks} blocks that attend"
        )
    nodes.append(helper.make_node("Concat", found, [ATTENTION], axis=0))
    graph.proto.graph.output.append(
        helper.make_tensor_value_info(ATTENTION, TensorProto.FLOAT, None)
    )
