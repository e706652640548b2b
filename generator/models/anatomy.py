"""The layers of a vision network, read off a trace of one forward pass."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from generator.models.dispatch import NOWHERE, Point
from generator.models.layer import TRANSFORMER_BLOCK, Layer
from generator.models.layout import CHANNELS_FIRST, CHANNELS_LAST, Found, laid, lie
from generator.models.mlp_neurons import with_neurons
from generator.models.patches import VisionAttention
from generator.models.receptive_field import receptive_fields
from generator.models.trace import Operation, Trace
from generator.models.trial import LeftOut
from generator.models.weighted import (
    ACTIVATIONS,
    SATURATING,
    Weighted,
    activation_of,
    adds_bias,
    reason_against,
    weights_in,
)
from generator.models.wiring import wire

_NORMS = {
    "native_batch_norm",
    "_native_batch_norm_legit_no_training",
    "_native_batch_norm_legit",
    "cudnn_batch_norm",
    "batch_norm",
    "native_group_norm",
}
NO_MAP = "its output could not be shown to be a map of the picture with one axis of channels"
_RESHAPES = {"view", "_unsafe_view"}
_JOINS = {"add", "add_", "cat"}


@dataclass(frozen=True)
class Anatomy:
    """Layers in the order they are computed; `filters` holds each layer's weight tensor.

    `left_out` are operations with weights, and blocks, that are no layer, and why.
    """

    layers: tuple[Layer, ...]
    filters: Mapping[str, Tensor]
    left_out: tuple[LeftOut, ...] = ()


def read_anatomy(
    module: nn.Module, trace: Trace, attention: VisionAttention | None = None
) -> Anatomy:
    """List every convolution, linear map and block of `module` with its response.

    A layer's response is what leaves the normalisation and activation that follow it directly. The
    blocks of a transformer are listed where its `attention` is known, and so are the neurons of their MLPs.
    """
    fields = receptive_fields(trace)
    weighted, filters = _weighted_layers(module, trace)
    found = [*weighted, *_blocks(module, trace)]
    left_out = _without_layer(trace)
    ordered: list[tuple[float, Layer]] = []
    for one, axes in zip(found, lie(module, trace, found), strict=True):
        response = trace.operations[one.layer.operation.index]
        if axes is not None:
            layer = laid(one.layer, response, axes, fields.get(response.output))
        elif one.layer.kind == "block":
            left_out.append(LeftOut(one.layer.name, NO_MAP))
            continue
        else:
            # Positions that are not those of a picture see no window of it.
            field = None if one.axes else fields.get(response.output)
            layer = replace(one.layer, receptive_field=field)
        ordered.append((response.index + (layer.kind == "block") / 2, layer))
    if attention is not None:
        ordered += _transformer_blocks(module, trace, attention)
        ordered, hidden = with_neurons(trace, attention, ordered)
        left_out += hidden
    ordered.sort(key=lambda item: item[0])
    layers = tuple(replace(layer, index=index) for index, (_, layer) in enumerate(ordered))
    return Anatomy(wire(layers, trace), filters, tuple(left_out))


def _weighted_layers(module: nn.Module, trace: Trace) -> tuple[list[Found], dict[str, Tensor]]:
    """The convolutions and linear maps, and the weights of those that learned them."""
    consumers, producers = trace.consumers(), trace.producers()
    found: list[Found] = []
    filters: dict[str, Tensor] = {}
    names: dict[str, int] = {}
    for operation in trace.operations:
        weighted = weights_in(operation)
        if weighted is None:
            continue
        times = names[operation.module] = names.get(operation.module, 0) + 1
        name = operation.module if times == 1 else f"{operation.module}@{times}"
        response, activation, modules = _follow(operation, weighted, consumers)
        layer = replace(
            _describe(operation, weighted),
            name=name or f"operation-{operation.index}",
            activation=activation,
            parameters=_parameters(module, modules),
            norm_parameters=_parameters(module, modules) - _parameters(module, modules[:1]),
            shape=(response.shape[weighted.axis],),
            operation=response.point,
            preactivation=_preactivation(response, producers),
            start=operation.index,
            axis=weighted.axis,
        )
        if weighted.learned:
            filters[layer.name] = weighted.weight
        single = len(response.shape) == 4 and response.shape[0] == 1
        axes = (CHANNELS_FIRST if weighted.convolves else CHANNELS_LAST,)
        # What a norm or an activation makes of a convolution may be dead: it lies where that lies.
        made = operation if weighted.convolves else response
        found.append(Found(layer, made, axes if single else ()))
    return found, filters


def _without_layer(trace: Trace) -> list[LeftOut]:
    """The operations with weights of the network that are no layer, by module."""
    reasons = ((op.module or "the network itself", reason_against(op)) for op in trace.operations)
    return [LeftOut(*each) for each in dict.fromkeys(reasons) if each[1]]


def _describe(operation: Operation, weighted: Weighted) -> Layer:
    weight = weighted.weight
    if not weighted.convolves:
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
    start: Operation, weighted: Weighted, consumers: Mapping[int, list[Operation]]
) -> tuple[Operation, str | None, list[str]]:
    """Walk from a weighted operation over the bias, one norm and one activation that it feeds alone."""
    current, modules, normed = start, [start.module], False
    while True:
        readers = consumers.get(current.output, [])
        if len(readers) != 1 or readers[0].inputs[0] != current.output:
            return current, None, modules
        reader = readers[0]
        plain = reader.name.rstrip("_")
        if weighted.axis == -1 and (_unfolds(current, reader) or adds_bias(reader, start)):
            current = reader
            continue
        if plain in ACTIVATIONS:
            return reader, activation_of(reader, plain), modules
        if reader.name not in _NORMS or normed:
            return current, None, modules
        current, normed = reader, True
        modules.append(reader.module)


def _unfolds(current: Operation, reader: Operation) -> bool:
    """Whether a matrix that ran on rows of positions is given its positions back."""
    return reader.name in _RESHAPES and current.shape[-1:] == reader.shape[-1:]


def _preactivation(response: Operation, producers: Mapping[int, Operation]) -> Point:
    """Where what enters the saturating activation that makes a response is read, or NOWHERE."""
    if response.name.rstrip("_") not in SATURATING or not response.inputs:
        return NOWHERE
    bounds = (each for each in response.arguments[1:3] if each is not None)
    made = producers.get(response.inputs[0])
    # Bounds that are tensors may differ between positions, and so order them.
    if made is None or made.shape != response.shape:
        return NOWHERE
    return made.point if all(isinstance(bound, int | float) for bound in bounds) else NOWHERE


def _parameters(module: nn.Module, names: list[str]) -> int:
    unique = dict.fromkeys(names)
    parts = [module.get_submodule(name) for name in unique]
    return sum(p.numel() for part in parts for p in part.parameters(recurse=False))


def _blocks(module: nn.Module, trace: Trace) -> list[Found]:
    """Blocks: modules that join branches, and their siblings of the same place in the tree.

    A block of EfficientNet without a shortcut joins nothing, yet stands beside ones that do.
    """
    joining = {
        operation.module
        for operation in trace.operations
        if operation.name in _JOINS
        and operation.module
        and len(operation.shape) == 4
        and sum(operation.depends) > 1
    }
    patterns = {
        _pattern(name) for name in joining if not isinstance(module.get_submodule(name), _PLAIN)
    }
    producers = trace.producers()
    found = []
    for name, part in module.named_modules():
        values = trace.module_values.get(name, ())
        if not name or _pattern(name) not in patterns or len(values) != 1:
            continue
        weighted = sum(
            operation.module.startswith(f"{name}.") and weights_in(operation) is not None
            for operation in trace.operations
        )
        made = producers.get(values[0])
        if weighted < 2 or made is None or len(made.shape) != 4 or made.shape[0] != 1:
            continue
        size = sum(p.numel() for p in part.parameters())
        block = Layer(0, name, "block", (), size, operation=made.point, start=made.index)
        if made.name.rstrip("_") in ACTIVATIONS:
            block = replace(
                block,
                activation=activation_of(made, made.name.rstrip("_")),
                preactivation=_preactivation(made, producers),
            )
        found.append(Found(block, made, (CHANNELS_FIRST, CHANNELS_LAST)))
    return [one for one in found if not _holds_blocks(module, one.layer.name, found)]


def _holds_blocks(module: nn.Module, name: str, blocks: Sequence[Found]) -> bool:
    """Whether a module is a mere sequence of blocks: a stage that bears a block's kind of name."""
    within = any(one.layer.name.startswith(f"{name}.") for one in blocks)
    return within and isinstance(module.get_submodule(name), _PLAIN)


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
            parameters=sum(p.numel() for p in module.get_submodule(name).parameters()),
            heads=attention.heads,
            kv_groups=attention.heads,
            start=made.index,
            operation=made.point,
            axis=-1,
        )
        found.append((made.index + 0.5, block))
    return found


_PLAIN = (nn.Sequential, nn.ModuleList)


def _pattern(name: str) -> str:
    return re.sub(r"\d+[a-z]?", "#", name)
