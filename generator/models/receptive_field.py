"""Exact theoretical receptive fields, carried forward through a trace.

On each axis the pixels seen by position p of a value form the interval
[p * stride + start, p * stride + start + size - 1]. Convolution and pooling widen it, padding shifts
it (stride-2 "same" padding is lopsided), a sum or concatenation takes the union, and whatever mixes
all positions sees the whole picture. See Araujo et al., "Computing Receptive Fields of
Convolutional Neural Networks", Distill 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from generator.models.layer import ReceptiveField
from generator.models.trace import Operation, Trace

_PIXEL = ReceptiveField(size=1, stride=1, start=0)
_WHOLE = ReceptiveField(size=0, stride=0, start=0, whole=True)
_POOLS = {"max_pool2d_with_indices", "max_pool2d", "avg_pool2d"}
_ADAPTIVE = {"_adaptive_avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"}
_PADS = {"constant_pad_nd", "reflection_pad2d", "replication_pad2d"}
_MATRIX = {"addmm", "mm", "linear"}
_RESHAPES = {"view", "_unsafe_view", "reshape"}
_PERMUTES = {"permute", "transpose"}
# What reads each position alone, beside the operations that PyTorch itself tags as pointwise.
_POINTWISE = {
    "hardswish",
    "hardswish_",
    "_prelu_kernel",
    "native_dropout",
    "detach",
    "alias",
    "lift_fresh",
    "_to_copy",
    "copy_",
    "channel_shuffle",
    "native_channel_shuffle",
    "_native_batch_norm_legit_no_training",
    "cudnn_batch_norm",
}
_BATCH_NORMS = {"native_batch_norm", "_native_batch_norm_legit", "batch_norm"}
_SPLITS = {"split", "split_with_sizes", "unsafe_chunk", "chunk"}
# What works along the axes that it names, by the place of those in its arguments.
_ALONG = {
    "cat": 1,
    "slice": 1,
    "split": 2,
    "split_with_sizes": 2,
    "unsafe_chunk": 2,
    "chunk": 2,
    "_softmax": 1,
    "_log_softmax": 1,
    "sum": 1,
    "mean": 1,
    "amax": 1,
    "roll": 2,
    "flip": 1,
    "cumsum": 1,
}


@dataclass(frozen=True)
class _View:
    """Where the two spatial axes of a value stand, and the field along each.

    `axes` is None while height and width are folded into the rows of a matrix.
    """

    fields: tuple[ReceptiveField, ReceptiveField]
    axes: tuple[int, int] | None
    extent: tuple[int, int]


def receptive_fields(trace: Trace) -> dict[int, tuple[ReceptiveField, ReceptiveField] | None]:
    """The receptive field (vertical, horizontal) of each value in the trace.

    None stands where an operation is not understood: better no number than a wrong one.
    """
    return {value: _stated(view) for value, view in _views(trace).items()}


def exact_axes(trace: Trace) -> dict[int, tuple[int, int]]:
    """The axes of rows and columns of each value of which the receptive field is a known window."""
    return {
        value: view.axes
        for value, view in _views(trace).items()
        if view is not None and view.axes is not None and not any(f.whole for f in view.fields)
    }


def picture_size(trace: Trace) -> tuple[int, int]:
    """Height and width of the picture that was traced."""
    given = _input_shape(trace) or (1, 3, 1, 1)
    return given[2], given[3]


def _views(trace: Trace) -> dict[int, _View | None]:
    given = _input_shape(trace)
    if given is None:
        return {}
    views: dict[int, _View | None] = {
        trace.input_value: _View((_PIXEL, _PIXEL), (2, 3), (given[2], given[3]))
    }
    for operation in trace.operations:
        known = [
            (views[value], given)
            for value, given in zip(operation.inputs, operation.input_shapes, strict=True)
            if value in views
        ]
        if known:
            seen = [view for view, _ in known if view is not None]
            complete = len(seen) == len(known)
            found = _step(operation, seen, known[0][1]) if complete else None
            views[operation.output] = found
            for value in operation.others:
                views[value] = found if operation.name in _SPLITS else None
    return views


def _input_shape(trace: Trace) -> Sequence[int] | None:
    for operation in trace.operations:
        if trace.input_value in operation.inputs:
            return operation.input_shapes[operation.inputs.index(trace.input_value)]
    return None


def _stated(view: _View | None) -> tuple[ReceptiveField, ReceptiveField] | None:
    """The fields of a value, unless its height stands behind its width."""
    if view is None or (view.axes is not None and view.axes[0] > view.axes[1]):
        return None
    return view.fields


def _step(operation: Operation, views: list[_View], shape: Sequence[int]) -> _View | None:
    view = views[0]
    if all(one.fields[0].whole for one in views):
        return _everything(view, operation.shape)
    if operation.name in _PERMUTES:
        return _permute(operation, view, len(shape))
    if operation.name in _RESHAPES:
        return _reshape(operation, view, shape)
    if operation.name in _FILTERS:
        # Weights that depend on the picture too make no window of fixed size.
        return _FILTERS[operation.name](operation, view, shape) if len(views) == 1 else None
    if _mixes_all(operation, view):
        return _everything(view, operation.shape)
    return _union(views) if _reads_each_alone(operation, view) else None


def _mixes_all(operation: Operation, view: _View) -> bool:
    """Norms that take their statistics over the picture itself."""
    given = operation.arguments
    if operation.name == "native_group_norm":
        return True
    if operation.name == "native_layer_norm" and view.axes is not None:
        return max(view.axes) >= len(operation.shape) - len(given[1])
    return operation.name in _BATCH_NORMS and len(given) > 5 and bool(given[5])


def _reads_each_alone(operation: Operation, view: _View) -> bool:
    """Whether each position of the output depends on the same position of the inputs only."""
    if not _keeps_extent(operation, view):
        return False
    if operation.name in _ALONG:
        return _spares_space(operation, view)
    known = {*_POINTWISE, *_BATCH_NORMS, "native_layer_norm"}
    return operation.pointwise or operation.name in known


def _spares_space(operation: Operation, view: _View) -> bool:
    """Whether the axes that an operation works along are neither height nor width."""
    place, rank = _ALONG[operation.name], len(operation.shape)
    named = operation.arguments[place] if len(operation.arguments) > place else 0
    axes = {axis % rank for axis in (named if isinstance(named, list | tuple) else [named])}
    # While height and width are folded into rows, they stand on the first axis.
    return not axes & set(view.axes or (0,))


def _window(field: ReceptiveField, reach: int, stride: int, pad: int) -> ReceptiveField:
    """A sliding window of `reach` positions (dilation counted in) over an axis."""
    if field.whole:
        return field
    return ReceptiveField(
        size=field.size + (reach - 1) * field.stride,
        stride=field.stride * stride,
        start=field.start - pad * field.stride,
    )


def _sliding(
    operation: Operation,
    view: _View,
    kernel: Sequence[int] | int,
    stride: Sequence[int] | int,
    pad: Sequence[int] | int,
    dilation: Sequence[int] | int,
) -> _View | None:
    if view.axes != (2, 3) or len(operation.shape) != 4:
        return None
    steps = [_pair(values) for values in (kernel, stride, pad, dilation)]
    vertical, horizontal = (
        _window(field, (steps[0][axis] - 1) * steps[3][axis] + 1, steps[1][axis], steps[2][axis])
        for axis, field in enumerate(view.fields)
    )
    return _View((vertical, horizontal), (2, 3), (operation.shape[2], operation.shape[3]))


def _pair(values: Sequence[int] | int) -> tuple[int, int]:
    if isinstance(values, int):
        return values, values
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


def _convolve(operation: Operation, view: _View, _: Sequence[int]) -> _View | None:
    _, weight, _, stride, pad, dilation, transposed = operation.arguments[:7]
    if transposed or weight.dim() != 4:
        return None
    return _sliding(operation, view, weight.shape[2:], stride, pad, dilation)


def _pool(operation: Operation, view: _View, _: Sequence[int]) -> _View | None:
    given = operation.arguments
    kernel = given[1]
    stride = given[2] if len(given) > 2 and given[2] else kernel
    pad = given[3] if len(given) > 3 else 0
    dilated = operation.name.startswith("max") and len(given) > 4
    return _sliding(operation, view, kernel, stride, pad, given[4] if dilated else 1)


def _average(operation: Operation, view: _View, shape: Sequence[int]) -> _View | None:
    if operation.name == "mean" and _keeps_extent(operation, view):
        return view if _spares_space(operation, view) else None
    if view.axes != (2, 3):
        return None if view.axes is None else _everything(view, operation.shape)
    target = operation.shape[2:] if len(operation.shape) == 4 else (1, 1)
    if tuple(target) == (1, 1):
        return _everything(view, operation.shape)
    if any(have % want for have, want in zip(shape[2:], target, strict=True)):
        return None
    kernel = [have // want for have, want in zip(shape[2:], target, strict=True)]
    return _sliding(operation, view, kernel, kernel, (0, 0), (1, 1))


def _pad(operation: Operation, view: _View, _: Sequence[int]) -> _View | None:
    if view.axes != (2, 3):
        return None
    amounts = [*operation.arguments[1], 0, 0, 0, 0]
    left, top = amounts[0], amounts[2]
    vertical, horizontal = (
        field if field.whole else replace(field, start=field.start - before * field.stride)
        for field, before in zip(view.fields, (top, left), strict=True)
    )
    return _View((vertical, horizontal), (2, 3), (operation.shape[2], operation.shape[3]))


def _matrix(operation: Operation, view: _View, _: Sequence[int]) -> _View | None:
    return view if view.axes is None else _everything(view, operation.shape)


def _everything(view: _View, shape: Sequence[int]) -> _View:
    """Every position sees the whole picture, whatever the shape."""
    spatial = len(shape) == 4 and view.axes == (2, 3)
    return _View((_WHOLE, _WHOLE), view.axes, (shape[2], shape[3]) if spatial else (1, 1))


def _reshape(operation: Operation, view: _View, shape: Sequence[int]) -> _View | None:
    target = operation.shape
    if _keeps_extent(operation, view):
        return view
    if len(target) == 4 and tuple(target[1:3]) == view.extent:
        return replace(view, axes=(1, 2))
    if len(target) == 4 and tuple(target[2:]) == view.extent:
        return replace(view, axes=(2, 3))
    if len(target) == 2 and view.axes == (1, 2) and target[0] == math.prod(shape[:3]):
        return replace(view, axes=None)
    if view.fields[0].whole or (len(target) == 2 and target[0] == shape[0]):
        return _everything(view, target)
    return None


def _permute(operation: Operation, view: _View, rank: int) -> _View | None:
    if view.axes is None:
        return None
    order = list(range(rank))
    if operation.name == "permute":
        order = [axis % rank for axis in operation.arguments[1]]
    else:
        first, second = (axis % rank for axis in operation.arguments[1:3])
        order[first], order[second] = order[second], order[first]
    axes = (order.index(view.axes[0]), order.index(view.axes[1]))
    return replace(view, axes=axes)


def _keeps_extent(operation: Operation, view: _View) -> bool:
    if view.fields[0].whole:
        return True
    if view.axes is None:
        return len(operation.shape) == 2 and operation.shape[0] % math.prod(view.extent) == 0
    if len(operation.shape) != 4:
        return False
    return (operation.shape[view.axes[0]], operation.shape[view.axes[1]]) == view.extent


def _union(views: Sequence[_View]) -> _View | None:
    spatial = max(views, key=lambda view: math.prod(view.extent))
    if any(view.fields[0].whole for view in views):
        return replace(spatial, fields=(_WHOLE, _WHOLE))
    if any(view.axes != spatial.axes or view.extent != spatial.extent for view in views):
        return None
    joined = []
    for axis in (0, 1):
        fields = [view.fields[axis] for view in views]
        if len({field.stride for field in fields}) != 1:
            return None
        start = min(field.start for field in fields)
        end = max(field.start + field.size for field in fields)
        joined.append(replace(fields[0], start=start, size=end - start))
    return replace(spatial, fields=(joined[0], joined[1]))


_FILTERS: Mapping[str, Callable[[Operation, _View, Sequence[int]], _View | None]] = {
    "convolution": _convolve,
    **dict.fromkeys(_POOLS, _pool),
    **dict.fromkeys(_ADAPTIVE, _average),
    "mean": _average,
    **dict.fromkeys(_PADS, _pad),
    **dict.fromkeys(_MATRIX, _matrix),
}
