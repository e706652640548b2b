"""Exact theoretical receptive fields, carried forward through a trace.

On each axis the pixels seen by position p of a value form the interval
[p * stride + start, p * stride + start + size - 1]. Convolution and pooling widen it, padding shifts
it (stride-2 "same" padding is lopsided), a sum or concatenation takes the union, and whatever mixes
all positions sees the whole picture. See Araujo et al., "Computing Receptive Fields of
Convolutional Neural Networks", Distill 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from generator.models.field_steps import (
    PERMUTES,
    RESHAPES,
    SPLITS,
    STEPS,
    WHOLE,
    View,
    everything,
    keeps_extent,
    mixes_all,
    reads_each_alone,
)
from generator.models.layer import ReceptiveField
from generator.models.trace import Operation, Trace

_PIXEL = ReceptiveField(size=1, stride=1, start=0)


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


def _views(trace: Trace) -> dict[int, View | None]:
    given = _input_shape(trace)
    if given is None:
        return {}
    views: dict[int, View | None] = {
        trace.input_value: View((_PIXEL, _PIXEL), (2, 3), (given[2], given[3]))
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
                views[value] = found if operation.name in SPLITS else None
    return views


def _input_shape(trace: Trace) -> Sequence[int] | None:
    for operation in trace.operations:
        if trace.input_value in operation.inputs:
            return operation.input_shapes[operation.inputs.index(trace.input_value)]
    return None


def _stated(view: View | None) -> tuple[ReceptiveField, ReceptiveField] | None:
    """The fields of a value, unless its height stands behind its width."""
    if view is None or (view.axes is not None and view.axes[0] > view.axes[1]):
        return None
    return view.fields


def _step(operation: Operation, views: list[View], shape: Sequence[int]) -> View | None:
    view = views[0]
    if all(one.fields[0].whole for one in views):
        return everything(view, operation.shape)
    if operation.name in PERMUTES:
        return _permute(operation, view, len(shape))
    if operation.name in RESHAPES:
        return _reshape(operation, view, shape)
    if operation.name in STEPS:
        # Weights that depend on the picture too make no window of fixed size.
        return STEPS[operation.name](operation, view, shape) if len(views) == 1 else None
    if mixes_all(operation, view):
        return everything(view, operation.shape)
    return _union(views) if reads_each_alone(operation, view) else None


def _reshape(operation: Operation, view: View, shape: Sequence[int]) -> View | None:
    target = operation.shape
    if keeps_extent(operation, view):
        return view
    if len(target) == 4 and tuple(target[1:3]) == view.extent:
        return replace(view, axes=(1, 2))
    if len(target) == 4 and tuple(target[2:]) == view.extent:
        return replace(view, axes=(2, 3))
    if len(target) == 2 and view.axes == (1, 2) and target[0] == math.prod(shape[:3]):
        return replace(view, axes=None)
    if view.fields[0].whole or (len(target) == 2 and target[0] == shape[0]):
        return everything(view, target)
    return None


def _permute(operation: Operation, view: View, rank: int) -> View | None:
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


def _union(views: Sequence[View]) -> View | None:
    spatial = max(views, key=lambda view: math.prod(view.extent))
    if any(view.fields[0].whole for view in views):
        return replace(spatial, fields=(WHOLE, WHOLE))
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
