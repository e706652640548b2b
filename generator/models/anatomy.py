"""The layers of a vision network, read off a trace of one forward pass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor, nn

from generator.models.layer import TRANSFORMER_BLOCK, Layer
from generator.models.patches import VisionAttention
from generator.models.receptive_field import receptive_fields
from generator.models.trace import Operation, Trace
from generator.models.wiring import wire

_NORMS = {
    "native_batch_norm",
    "_native_batch_norm_legit_no_training",
    "_native_batch_norm_legit",
    "cudnn_batch_norm",
    "batch_norm",
    "native_group_norm",
}
_ACTIVATIONS = {
    "relu": "relu",
    "hardtanh": "hardtanh",
    "clamp": "clamp",
    "clamp_min": "clamp",
    "silu": "silu",
    "gelu": "gelu",
    "hardswish": "hardswish",
    "hardsigmoid": "hardsigmoid",
    "leaky_relu": "leaky_relu",
    "elu": "elu",
    "mish": "mish",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
}
# Those whose outputs tie at a limit: what is equal behind them need not be so in front of them.
_SATURATING = {
    "relu",
    "hardtanh",
    "clamp",
    "clamp_min",
    "hardswish",
    "hardsigmoid",
    "sigmoid",
    "tanh",
}
_BOUNDED = {"hardtanh", "clamp", "clamp_min"}
_MATRIX = {"addmm", "mm", "linear"}
_RESHAPES = {"view", "_unsafe_view"}
_JOINS = {"add", "add_", "cat"}


@dataclass(frozen=True)
class Anatomy:
    """Layers in the order they are computed; `filters` holds each layer's weight tensor."""

    layers: tuple[Layer, ...]
    filters: Mapping[str, Tensor]


def read_anatomy(
    module: nn.Module, trace: Trace, attention: VisionAttention | None = None
) -> Anatomy:
    """List every convolution, linear map and block of `module` with its response.

    A layer's response is what leaves the normalisation and activation that follow it directly. The
    blocks of a transformer are listed where its `attention` is known.
    """
    consumers, producers = trace.consumers(), trace.producers()
    fields = receptive_fields(trace)
    found: list[tuple[float, Layer]] = []
    filters: dict[str, Tensor] = {}
    names: dict[str, int] = {}
    for operation in trace.operations:
        if not _has_weights(operation):
            continue
        times = names[operation.module] = names.get(operation.module, 0) + 1
        name = operation.module if times == 1 else f"{operation.module}@{times}"
        response, activation, modules = _follow(operation, consumers)
        layer = replace(
            _describe(operation),
            name=name or f"operation-{operation.index}",
            activation=activation,
            parameters=_parameters(module, modules),
            norm_parameters=_parameters(module, modules) - _parameters(module, modules[:1]),
            shape=_shape(operation, response),
            operation=response.index,
            preactivation=_preactivation(response, producers),
            start=operation.index,
            receptive_field=fields.get(response.output),
        )
        filters[layer.name] = _weight(operation)
        found.append((response.index, layer))
    found += [
        (place + 0.5, replace(block, receptive_field=fields.get(value)))
        for place, block, value in _blocks(module, trace)
    ]
    if attention is not None:
        found += _transformer_blocks(module, trace, attention)
    ordered = [layer for _, layer in sorted(found, key=lambda item: item[0])]
    layers = tuple(replace(layer, index=index) for index, layer in enumerate(ordered))
    return Anatomy(layers=wire(layers, trace), filters=filters)


def _shape(operation: Operation, response: Operation) -> tuple[int, ...]:
    """The shape for one picture, units first: a matrix keeps its units on the last axis."""
    if operation.name == "convolution":
        return tuple(response.shape[1:])
    units, positions = response.shape[-1], response.shape[1:-1]
    return (units, *positions) if len(positions) == 2 else (units,)


def _has_weights(operation: Operation) -> bool:
    if operation.name == "convolution":
        return operation.arguments[1].dim() == 4
    return operation.name in _MATRIX and len(operation.shape) == 2


def _weight(operation: Operation) -> Tensor:
    if operation.name == "convolution" or operation.name == "linear":
        weight: Tensor = operation.arguments[1]
        return weight.detach()
    matrix: Tensor = operation.arguments[-1]
    return matrix.detach().t()


def _describe(operation: Operation) -> Layer:
    weight = _weight(operation)
    if operation.name != "convolution":
        return Layer(0, "", "linear", (), 0, in_channels=weight.shape[1])
    groups = int(operation.arguments[8])
    height, width = int(weight.shape[2]), int(weight.shape[3])
    in_channels = int(weight.shape[1]) * groups
    if groups > 1 and weight.shape[1] == 1:
        kind = "depthwise convolution"
    elif (height, width) == (1, 1):
        kind = "pointwise convolution"
    else:
        kind = "grouped convolution" if groups > 1 else "convolution"
    strides = [int(step) for step in operation.arguments[3]]
    return Layer(
        index=0,
        name="",
        kind=kind,
        shape=(),
        parameters=0,
        kernel=(height, width),
        stride=(strides[0], strides[-1]),
        groups=groups,
        in_channels=in_channels,
    )


def _follow(
    start: Operation, consumers: Mapping[int, list[Operation]]
) -> tuple[Operation, str | None, list[str]]:
    """Walk from a weighted operation over the one norm and one activation that it feeds alone."""
    current, modules, normed = start, [start.module], False
    while True:
        readers = consumers.get(current.output, [])
        if len(readers) != 1 or readers[0].inputs[0] != current.output:
            return current, None, modules
        reader = readers[0]
        plain = reader.name.rstrip("_")
        if _unfolds(current, reader):
            current = reader
            continue
        if plain in _ACTIVATIONS:
            return reader, _activation(reader, plain), modules
        if reader.name not in _NORMS or normed:
            return current, None, modules
        current, normed = reader, True
        modules.append(reader.module)


def _unfolds(matrix: Operation, reader: Operation) -> bool:
    """Whether a matrix that ran on rows of positions is given its positions back."""
    same_units = matrix.shape[-1] == reader.shape[-1]
    return matrix.name in _MATRIX and reader.name in _RESHAPES and same_units


def _preactivation(response: Operation, producers: Mapping[int, Operation]) -> int:
    """The operation whose output enters the saturating activation that makes a response, or -1."""
    if response.name.rstrip("_") not in _SATURATING or not response.inputs:
        return -1
    bounds = (each for each in response.arguments[1:3] if each is not None)
    made = producers.get(response.inputs[0])
    # Bounds that are tensors may differ between positions, and so order them.
    if made is None or made.shape != response.shape:
        return -1
    return made.index if all(isinstance(bound, int | float) for bound in bounds) else -1


def _activation(operation: Operation, name: str) -> str:
    if name not in _BOUNDED:
        return _ACTIVATIONS[name]
    low, high = (*operation.arguments[1:3], None, None)[:2]
    named = {(0, None): "relu", (0, 6): "relu6"}
    plain = all(bound is None or isinstance(bound, int | float) for bound in (low, high))
    return named.get((low, high), _ACTIVATIONS[name]) if plain else _ACTIVATIONS[name]


def _parameters(module: nn.Module, names: list[str]) -> int:
    unique = dict.fromkeys(names)
    parts = [module.get_submodule(name) for name in unique]
    return sum(p.numel() for part in parts for p in part.parameters(recurse=False))


def _blocks(module: nn.Module, trace: Trace) -> list[tuple[int, Layer, int]]:
    """Blocks: modules that join branches, and their siblings of the same place in the tree.

    A block of EfficientNet without a shortcut joins nothing, yet stands beside ones that do.
    """
    joining = {
        operation.module
        for operation in trace.operations
        if operation.name in _JOINS
        and operation.module
        and len(operation.shape) == 4
        and len(operation.inputs) > 1
    }
    patterns = {_pattern(name) for name in joining if not isinstance(_part(module, name), _PLAIN)}
    producers = trace.producers()
    found = []
    for name, part in module.named_modules():
        values = trace.module_values.get(name, ())
        if not name or _pattern(name) not in patterns or len(values) != 1:
            continue
        weighted = sum(
            _has_weights(operation) and operation.module.startswith(f"{name}.")
            for operation in trace.operations
        )
        made = producers.get(values[0])
        if weighted < 2 or made is None or len(made.shape) != 4:
            continue
        size = sum(p.numel() for p in part.parameters())
        block = Layer(
            0, name, "block", tuple(made.shape[1:]), size, operation=made.index, start=made.index
        )
        if made.name.rstrip("_") in _ACTIVATIONS:
            block = replace(
                block,
                activation=_activation(made, made.name.rstrip("_")),
                preactivation=_preactivation(made, producers),
            )
        found.append((made.index, block, made.output))
    return found


def _transformer_blocks(
    module: nn.Module, trace: Trace, attention: VisionAttention
) -> list[tuple[float, Layer]]:
    """The blocks that a vision transformer's heads belong to: each returns a vector for each token."""
    producers = trace.producers()
    found = []
    for name in attention.blocks:
        made = producers[trace.module_values[name][0]]
        block = Layer(
            index=0,
            name=name,
            kind=TRANSFORMER_BLOCK,
            shape=(made.shape[-1],),
            parameters=sum(p.numel() for p in _part(module, name).parameters()),
            heads=attention.heads,
            kv_groups=attention.heads,
            start=made.index,
            operation=made.index,
        )
        found.append((made.index + 0.5, block))
    return found


_PLAIN = (nn.Sequential, nn.ModuleList)


def _part(module: nn.Module, name: str) -> nn.Module:
    return module.get_submodule(name)


def _pattern(name: str) -> str:
    return re.sub(r"\d+[a-z]?", "#", name)
