"""A network as an ONNX graph and, apart from it, the weights.

The exporter notes where in the source each node comes from, with the paths of this machine: all such notes
are dropped, with what says nothing to a runtime.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generator.errors import CutawayError, first_line

VERSION = 1
EXTERNAL = "w"  # what the graph calls the file with its weights
_INLINE = 2  # values; smaller tensors stay in the graph
_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export", "torch._export")


@dataclass(frozen=True, eq=False)
class Graph:
    """A network without its weights, and these by their names, in the order of their first use.

    `proto` is ONNX; its tensors in `weights` lie in the file EXTERNAL, float32, one after the other.
    """

    proto: Any
    weights: Mapping[str, np.ndarray]

    @property
    def content(self) -> bytes:
        """The graph as a file."""
        return bytes(self.proto.SerializeToString(deterministic=True))


def export(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    names: Sequence[str],
    outputs: Sequence[str],
    dynamic: tuple[Any, ...] | None = None,
) -> Graph:
    """A module as a graph. `dynamic` has for each input which sides may have any length.

    Raises CutawayError, with the first line of what the exporter says, for what it cannot express.
    """
    try:
        with torch.no_grad(), _silent():
            program: Any = torch.onnx.export(
                module,
                inputs,
                input_names=list(names),
                output_names=list(outputs),
                dynamic_shapes=dynamic,
                dynamo=True,
                verbose=False,
            )
            proto = program.model_proto
    except Exception as error:  # the exporter runs the network's own code, and raises what it likes
        raise CutawayError(f"it cannot be written as an ONNX graph: {_reason(error)}") from error
    return _apart(proto)


def _reason(error: Exception) -> str:
    """What the exporter met first, below its own words."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return first_line(error)


class _silent:  # noqa: N801 -- reads as a word
    """Within the block the exporter tells nobody what it does."""

    def __enter__(self) -> None:
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")
        self._levels = {name: logging.getLogger(name).level for name in _LOGGERS}
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def __exit__(self, *raised: Any) -> None:
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        self._warnings.__exit__(*raised)


def _apart(proto: Any) -> Graph:
    """Take weights and notes out of a graph; what stands in it twice is kept once."""
    from onnx import TensorProto, numpy_helper

    _forget_notes(proto)
    weights: dict[str, np.ndarray] = {}
    same: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    kept = []
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < _INLINE:
            kept.append(tensor)
            continue
        first = same.setdefault(_digest(values), tensor.name)
        if first != tensor.name:
            renamed[tensor.name] = first
            continue
        weights[tensor.name] = values
        kept.append(_pointer(tensor, sum(one.nbytes for one in weights.values()) - values.nbytes))
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    for node in _nodes(proto.graph):
        node.input[:] = [renamed.get(name, name) for name in node.input]
    return Graph(proto, weights)


def _digest(values: np.ndarray) -> bytes:
    return hashlib.sha256(f"{values.shape}".encode() + values.tobytes()).digest()


def _pointer(tensor: Any, offset: int) -> Any:
    """A tensor that lies in the file of weights."""
    from onnx import TensorProto

    made = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    made.data_location = TensorProto.EXTERNAL
    count = int(np.prod(tensor.dims))
    for key, value in (("location", EXTERNAL), ("offset", offset), ("length", 4 * count)):
        made.external_data.add(key=key, value=str(value))
    return made


def _forget_notes(proto: Any) -> None:
    """Drop where nodes come from, what they are called in the source, and shapes that can be inferred."""
    proto.doc_string = ""
    del proto.metadata_props[:]
    for graph in (proto.graph, *proto.functions):
        graph.doc_string = ""
        del graph.metadata_props[:]
        del graph.value_info[:]
        nodes = graph.node if graph is not proto.graph else [*_nodes(graph)]
        named = (
            () if graph is not proto.graph else (*graph.initializer, *graph.input, *graph.output)
        )
        for each in (*nodes, *named):
            each.doc_string = ""
            del each.metadata_props[:]


def _nodes(graph: Any) -> Iterator[Any]:
    """The nodes of a graph and of the graphs within it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def session(content: bytes, weights: np.ndarray) -> Any:
    """The graph with its weights (all values, float32) in onnxruntime, on one thread of this processor.

    Raises CutawayError for a graph that the runtime does not open.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        path.write_bytes(content)
        weights.astype("<f4").tofile(path.with_name(EXTERNAL))
        try:
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own exceptions share no base
            raise CutawayError(
                f"the runtime does not open its graph: {first_line(error)}"
            ) from error
