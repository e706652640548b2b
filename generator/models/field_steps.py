"""What one operation does to the part of a picture that each of its outputs sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from generator.models.layer import ReceptiveField
from generator.models.trace import Operation

_POOLS = {"max_pool2d_with_indices", "max_pool2d", "avg_pool2d"}
_ADAPTIVE = {"_adaptive_avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"}
_PADS = {"constant_pad_nd", "reflection_pad2d", "replication_pad2d"}
WHOLE = ReceptiveField(size=0, stride=0, start=0, whole=True)
MATRIX = {"addmm", "mm", "linear"}
RESHAPES = {"view", "_unsafe_view", "reshape"}
PERMUTES = {"permute", "transpose"}
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
SPLITS = {"split", "split_with_sizes", "unsafe_chunk", "chunk"}
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
class View:
    """Where the two spatial axes of a value stand, and the field along each.

    `axes` is None while height and width are folded into the rows of a matrix.
    """

    fields: tuple[ReceptiveField, ReceptiveField]
    axes: tuple[int, int] | None
    extent: tuple[int, int]


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
    view: View,
    kernel: Sequence[int] | int,
    stride: Sequence[int] | int,
    pad: Sequence[int] | int,
    dilation: Sequence[int] | int,
) -> View | None:
    if view.axes != (2, 3) or len(operation.shape) != 4:
        return None
    steps = [_pair(values) for values in (kernel, stride, pad, dilation)]
    vertical, horizontal = (
        _window(field, (steps[0][axis] - 1) * steps[3][axis] + 1, steps[1][axis], steps[2][axis])
        for axis, field in enumerate(view.fields)
    )
    return View((vertical, horizontal), (2, 3), (operation.shape[2], operation.shape[3]))


def _pair(values: Sequence[int] | int) -> tuple[int, int]:
    if isinstance(values, int):
        return values, values
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


def _convolve(operation: Operation, view: View, _: Sequence[int]) -> View | None:
    _, weight, _, stride, pad, dilation, transposed = operation.arguments[:7]
    if transposed or weight.dim() != 4:
        return None
    return _sliding(operation, view, weight.shape[2:], stride, pad, dilation)


def _pool(operation: Operation, view: View, _: Sequence[int]) -> View | None:
    given = operation.arguments
    kernel = given[1]
    stride = given[2] if len(given) > 2 and given[2] else kernel
    pad = given[3] if len(given) > 3 else 0
    dilated = operation.name.startswith("max") and len(given) > 4
    return _sliding(operation, view, kernel, stride, pad, given[4] if dilated else 1)


def _average(operation: Operation, view: View, shape: Sequence[int]) -> View | None:
    if operation.name == "mean" and keeps_extent(operation, view):
        return view if spares_space(operation, view) else None
    if view.axes != (2, 3):
        return None if view.axes is None else everything(view, operation.shape)
    target = operation.shape[2:] if len(operation.shape) == 4 else (1, 1)
    if tuple(target) == (1, 1):
        return everything(view, operation.shape)
    if any(have % want for have, want in zip(shape[2:], target, strict=True)):
        return None
    kernel = [have // want for have, want in zip(shape[2:], target, strict=True)]
    return _sliding(operation, view, kernel, kernel, (0, 0), (1, 1))


def _pad(operation: Operation, view: View, _: Sequence[int]) -> View | None:
    if view.axes != (2, 3):
        return None
    amounts = [*operation.arguments[1], 0, 0, 0, 0]
    left, top = amounts[0], amounts[2]
    vertical, horizontal = (
        field if field.whole else replace(field, start=field.start - before * field.stride)
        for field, before in zip(view.fields, (top, left), strict=True)
    )
    return View((vertical, horizontal), (2, 3), (operation.shape[2], operation.shape[3]))


def _matrix(operation: Operation, view: View, _: Sequence[int]) -> View | None:
    return view if view.axes is None else everything(view, operation.shape)


def everything(view: View, shape: Sequence[int]) -> View:
    """Every position sees the whole picture, whatever the shape."""
    spatial = len(shape) == 4 and view.axes == (2, 3)
    return View((WHOLE, WHOLE), view.axes, (shape[2], shape[3]) if spatial else (1, 1))


STEPS: Mapping[str, Callable[[Operation, View, Sequence[int]], View | None]] = {
    "convolution": _convolve,
    **dict.fromkeys(_POOLS, _pool),
    **dict.fromkeys(_ADAPTIVE, _average),
    "mean": _average,
    **dict.fromkeys(_PADS, _pad),
    **dict.fromkeys(MATRIX, _matrix),
}


def mixes_all(operation: Operation, view: View) -> bool:
    """Norms that take their statistics over the picture itself."""
    given = operation.arguments
    if operation.name == "native_group_norm":
        return True
    if operation.name == "native_layer_norm" and view.axes is not None:
        return max(view.axes) >= len(operation.shape) - len(given[1])
    return operation.name in _BATCH_NORMS and len(given) > 5 and bool(given[5])


def reads_each_alone(operation: Operation, view: View) -> bool:
    """Whether each position of the output depends on the same position of the inputs only."""
    if not keeps_extent(operation, view):
        return False
    if operation.name in _ALONG:
        return spares_space(operation, view)
    known = {*_POINTWISE, *_BATCH_NORMS, "native_layer_norm"}
    return operation.pointwise or operation.name in known


def spares_space(operation: Operation, view: View) -> bool:
    """Whether the axes that an operation works along are neither height nor width."""
    place, rank = _ALONG[operation.name], len(operation.shape)
    named = operation.arguments[place] if len(operation.arguments) > place else 0
    axes = {axis % rank for axis in (named if isinstance(named, list | tuple) else [named])}
    # While height and width are folded into rows, they stand on the first axis.
    return not axes & set(view.axes or (0,))


def keeps_extent(operation: Operation, view: View) -> bool:
    """Whether an operation leaves height and width as they are."""
    if view.fields[0].whole:
        return True
    if view.axes is None:
        return len(operation.shape) == 2 and operation.shape[0] % math.prod(view.extent) == 0
    if len(operation.shape) != 4:
        return False
    return (operation.shape[view.axes[0]], operation.shape[view.axes[1]]) == view.extent
