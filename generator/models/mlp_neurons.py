"""The neurons of a vision transformer's MLPs: what enters the matrix by which each MLP writes.

The matrix is the one of a block that leads from a width of its own back to that of the stream. What enters
it is found by value in the trace: the response of the layer before it, or, where an MLP multiplies two
(SwiGLU) or takes a norm in between, a layer of its own, which no map computes. Whatever does not look like
that, such as a mixture of experts, is refused with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from generator.errors import CutawayError
from generator.models.layer import HIDDEN, Layer
from generator.models.patches import PatchGrid, VisionAttention
from generator.models.trace import Operation, Trace
from generator.models.trial import LeftOut
from generator.models.weighted import weights_in

NEURONS = "neurons of"
# What reshapes its input, and keeps rows of values as they are where the last axis stays.
_VIEWS = {
    "view",
    "_unsafe_view",
    "reshape",
    "expand",
    "unsqueeze",
    "squeeze",
    "clone",
    "contiguous",
}
_PARTS = {"split", "split_with_sizes", "slice", "select", "unbind"}
_NORMS = {"native_layer_norm", "_fused_rms_norm", "mean", "linalg_vector_norm"}
_ROUTERS = {"topk", "sort", "argsort", "index_add", "index_add_", "scatter", "scatter_"}


@dataclass(frozen=True)
class _Mlp:
    """The MLP of a block: what its neurons hold, and the module that takes it and writes."""

    hidden: Operation
    writer: str
    reader: str


def with_neurons(
    trace: Trace, attention: VisionAttention, layers: Sequence[tuple[float, Layer]]
) -> tuple[list[tuple[float, Layer]], list[LeftOut]]:
    """Layers by their places in the trace, with those of neurons marked or added; and what is left out.

    A layer of neurons has the `grid` over which its tokens lie.
    """
    found, left_out = list(layers), list[LeftOut]()
    for block in attention.blocks:
        try:
            mlp = _find(trace, block, attention.grid)
            found = _marked(found, mlp, attention.grid)
        except CutawayError as error:
            left_out.append(LeftOut(f"{NEURONS} {block}", str(error)))
    return found, left_out


def _marked(
    layers: Sequence[tuple[float, Layer]], mlp: _Mlp, grid: PatchGrid
) -> list[tuple[float, Layer]]:
    """The layers with the grid of the one that these neurons are, or with one more."""
    made, reader = mlp.hidden, mlp.reader
    for _, layer in layers:
        if layer.operation == made.point and not layer.joins:
            marked = replace(layer, grid=grid, reader=reader)
            return [(at, marked if one is layer else one) for at, one in layers]
    # No prefix of other names, as that of the MLP itself is: it would be taken for a block that holds them.
    name = f"{mlp.writer.rpartition('.')[0]}.hidden"
    if any(layer.name == name for _, layer in layers):
        raise CutawayError(f"{name} is the name of another layer")
    added = Layer(
        index=0,
        name=name,
        kind=HIDDEN,
        shape=made.shape[-1:],
        parameters=0,
        start=made.index,
        operation=made.point,
        axis=-1,
        grid=grid,
        reader=reader,
    )
    return [*layers, (made.index, added)]


def _find(trace: Trace, block: str, grid: PatchGrid) -> _Mlp:
    """The MLP of one block. Raises CutawayError where it has none that shows."""
    inside = [op for op in trace.operations if f"{op.module}.".startswith(f"{block}.")]
    router = next((op.name for op in inside if op.name in _ROUTERS), "")
    if router:
        raise CutawayError(
            f"a router ({router}) sends its tokens to some of several experts, so that a neuron has no value "
            "at the others"
        )
    makers = {value: op for op in trace.operations for value in (op.output, *op.others)}
    readers = trace.consumers()
    (returned,) = trace.module_values[block]
    width = makers[returned].shape[-1]
    ends = [op for op in inside if _leads_back(op, width) and _of_maps(op, makers)]
    if len(ends) != 1:
        raise CutawayError(
            f"{len(ends) or 'none'} of its matrices {'lead' if ends else 'leads'} from an MLP of another "
            f"width than the stream's {width} back to it, where one is expected"
        )
    (end,) = ends
    hidden = _hidden(end, makers)
    if hidden.shape[:-1] != (1, grid.tokens):
        raise CutawayError(
            f"what enters {end.module} has the shape {hidden.shape}, and not a row for each of "
            f"{grid.tokens} tokens"
        )
    if not _arrives(end, returned, readers):
        raise CutawayError(f"what {end.module} writes is not added to what the block returns")
    return _Mlp(hidden, end.module, _reader(trace, hidden, end, readers))


def _leads_back(operation: Operation, width: int) -> bool:
    weighted = weights_in(operation)
    if weighted is None or weighted.convolves or weighted.axis != -1:
        return False
    return weighted.weight.shape[0] == width != weighted.weight.shape[1]


def _given(operation: Operation) -> int:
    """The one input of a linear map that was computed from the picture."""
    pairs = zip(operation.inputs, operation.depends, strict=True)
    return next(value for value, depends in pairs if depends)


def _hidden(end: Operation, makers: Mapping[int, Operation]) -> Operation:
    """What enters a matrix, as it was before its tokens were put into rows."""
    made = makers[_given(end)]
    while made.name in _VIEWS and made.input_shapes[0][-1:] == made.shape[-1:]:
        made = makers[made.inputs[0]]
    return made


def _steps(operation: Operation) -> bool:
    """Whether an operation leaves each token where it is: values alone, parts of them, or a norm of them."""
    name = operation.name
    return operation.pointwise or name in _VIEWS or name in _PARTS or name in _NORMS


def _of_maps(end: Operation, makers: Mapping[int, Operation]) -> bool:
    """Whether what enters a matrix comes of other matrices alone, token by token.

    What comes of attention, a convolution or a choice of tokens does not.
    """
    waiting, seen = [_given(end)], set[int]()
    while waiting:
        value = waiting.pop()
        made = makers.get(value)
        if made is None:
            return False
        weighted = weights_in(made)
        if value in seen or (weighted is not None and not weighted.convolves):
            continue
        if not _steps(made):
            return False
        seen.add(value)
        waiting += [n for n, depends in zip(made.inputs, made.depends, strict=True) if depends]
    return bool(seen)


def _arrives(end: Operation, returned: int, readers: Mapping[int, list[Operation]]) -> bool:
    """Whether what a matrix writes reaches what its block returns, and is added to something there."""
    waiting, seen = [(end.output, False)], set[tuple[int, bool]]()
    while waiting:
        value, added = waiting.pop()
        if (value, added) in seen:
            continue
        seen.add((value, added))
        if value == returned and added:
            return True
        for reader in readers.get(value, ()):
            if _steps(reader):
                joins = reader.name.rstrip("_") == "add" and sum(reader.depends) > 1
                waiting.append((reader.output, added or joins))
    return False


def _reader(
    trace: Trace, hidden: Operation, end: Operation, readers: Mapping[int, list[Operation]]
) -> str:
    """The module that is given the hidden values, if it alone reads them; else ""."""
    alone = all(op.module == end.module for op in readers[hidden.output])
    given = trace.module_inputs.get(end.module, ())
    return end.module if alone and given == (hidden.output,) else ""


def unplaced(no_attention: str) -> tuple[LeftOut, ...]:
    """What is left out of a network that attends, where its tokens lie over no picture for a reason."""
    reason = f"which token stands for which patch is read off its attention, and {no_attention}"
    return (LeftOut(f"{NEURONS} its MLPs", reason),) if no_attention else ()
