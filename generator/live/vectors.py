"""Queries and keys as outputs of a graph: the factors of the product whose sum enters each softmax.

They are there already, and cost nothing until a reader asks for the neuron view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from generator.live.graph import Graph
from generator.models.text_model import Encoding, LanguageModel
from generator.probes.queries import read_queries

VERSION = 1
QUERY, KEY = "query", "key"
# What may lie between a product and its softmax: a factor, a mask.
_BETWEEN = {"Add", "Mul", "Div", "Where", "Cast"}


def vector_scales(model: LanguageModel, ids: tuple[int, ...]) -> tuple[float, ...]:
    """The factor from q · k to the scores of each layer; none where something else makes the scores."""
    found = read_queries(model, "", Encoding(ids, ("",) * len(ids)))
    if found.reason or not np.isfinite(found.scale).all():
        return ()
    return tuple(float(scale) for scale in found.scale)


def add_vectors(graph: Graph, layers: int) -> bool:
    """Make QUERY (layers, heads, n, width) and KEY (layers, heads, width, n) outputs; False if none show."""
    from onnx import TensorProto, helper

    nodes = graph.proto.graph.node
    makers = {name: node for node in nodes for name in node.output}
    products = [_product(node, makers) for node in nodes if node.op_type == "Softmax"]
    found = [one for one in products if one is not None]
    if len(found) != layers or len(products) != layers:
        return False
    for place, name in enumerate((QUERY, KEY)):
        nodes.append(
            helper.make_node("Concat", [one.input[place] for one in found], [name], axis=0)
        )
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        graph.proto.graph.output.append(value)
    return True


def _product(softmax: Any, makers: dict[str, Any]) -> Any:
    """The one product before a softmax; None where there is none, or more."""
    found = list(_products(softmax.input[:1], makers))
    return found[0] if len(found) == 1 else None


def _products(names: Sequence[str], makers: dict[str, Any]) -> Iterator[Any]:
    for name in names:
        node = makers.get(name)
        if node is None:
            continue
        if node.op_type == "MatMul":
            yield node
        elif node.op_type in _BETWEEN:
            yield from _products(node.input, makers)
