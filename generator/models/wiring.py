"""Which layer reads which: the wires between the layers of a vision network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from generator.models.layer import PICTURE, Layer
from generator.models.trace import Operation, Trace

_JOINS = {"add", "add_", "cat"}
# How far back a response may lie: padding, pooling, dropout and reshaping come between layers.
_STEPS = 6


def wire(layers: tuple[Layer, ...], trace: Trace) -> tuple[Layer, ...]:
    """Fill in what each layer reads, and a module call that returns its response."""
    made = {operation.index: operation for operation in trace.operations}
    producers = trace.producers()
    owners: dict[int, str] = {}
    # A block that adds nothing shares its response with its last convolution, which keeps it.
    for layer in sorted(layers, key=lambda layer: layer.kind == "block", reverse=True):
        owners[made[layer.operation.index].output] = layer.name
    calls, makers = _calls(trace), _makers(trace)
    stops = {**owners, trace.input_value: PICTURE}
    wired = []
    for layer in layers:
        module, call = calls.get(made[layer.operation.index].output, ("", 0))
        starts = _starts(layer, made, producers)
        reads = [_owner(value, owners, producers, layer.name) for value in starts]
        found = tuple(dict.fromkeys(name for name in reads if name))
        sources = _sources(layer, made[layer.operation.index], makers, stops)
        wired.append(replace(layer, module=module, call=call, reads=found, sources=sources))
    return tuple(wired)


def _makers(trace: Trace) -> dict[int, Operation]:
    """The operation that made each value, the further values of a split among them."""
    return {
        value: operation
        for operation in trace.operations
        for value in (operation.output, *operation.others)
    }


def _sources(
    layer: Layer, made: Operation, makers: Mapping[int, Operation], stops: Mapping[int, str]
) -> tuple[str, ...]:
    """The layers whose responses reach the operation that makes a layer's own, through what is no layer.

    What was not computed from the picture leads nowhere.
    """
    # A block that adds nothing has the response of its last convolution.
    same = layer.kind == "block" and stops[made.output] != layer.name
    waiting = [made.output] if same else _pictured(made)
    seen, found = set[int](), set[str]()
    while waiting:
        value = waiting.pop()
        if value in stops:
            found.add(stops[value])
        elif value in makers and value not in seen:
            waiting += _pictured(makers[value])
        seen.add(value)
    return tuple(sorted(found - {layer.name}))


def _pictured(operation: Operation) -> list[int]:
    """The inputs of an operation that were computed from the picture."""
    pairs = zip(operation.inputs, operation.depends, strict=True)
    return [value for value, depends in pairs if depends]


def _calls(trace: Trace) -> dict[int, tuple[str, int]]:
    """The innermost module call that returns each value."""
    found: dict[int, tuple[str, int]] = {}
    for name, values in trace.module_values.items():
        for call, value in enumerate(values):
            known = found.get(value)
            if name and (known is None or name.count(".") > known[0].count(".")):
                found[value] = (name, call)
    return found


def _starts(
    layer: Layer, made: Mapping[int, Operation], producers: Mapping[int, Operation]
) -> tuple[int, ...]:
    """The values that a layer's computation starts from."""
    first = made[layer.start]
    if layer.kind != "block":
        return (first.inputs[0],) if first.name == "convolution" else first.inputs
    joined: Operation | None = first
    while joined is not None and joined.name not in _JOINS:
        joined = producers.get(joined.inputs[0]) if len(joined.inputs) == 1 else None
    return joined.inputs if joined is not None else (first.output,)


def _owner(
    value: int, owners: Mapping[int, str], producers: Mapping[int, Operation], reader: str
) -> str | None:
    """The layer whose response a value is, up to padding, pooling and the like."""
    for _ in range(_STEPS):
        if owners.get(value, reader) != reader:
            return owners[value]
        operation = producers.get(value)
        if operation is None or not operation.inputs or operation.name == "convolution":
            return None
        value = operation.inputs[0]
    return None
