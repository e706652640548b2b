"""Which axes of a response are the rows and columns of the picture, found by changing the picture.

One half of a picture is changed, then the other. Along an axis that follows the picture the response moves
most in the same half; along an axis of channels, of windows or of tokens it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from generator.models.dispatch import Point, listen
from generator.models.layer import Layer, ReceptiveField
from generator.models.receptive_field import exact_axes, picture_size
from generator.models.trace import Operation, Trace

# Rows and columns behind the channels, or before them.
CHANNELS_FIRST, CHANNELS_LAST = _PAIRS = (2, 3), (1, 2)
# How much more of the change must lie in the half that was changed, as a share of all of it: on the axis
# that is claimed, at least, and on the other one, against the first, at most.
_FOLLOWS, _STRAYS = 0.02, 0.5
_KEPT = 64


@dataclass(frozen=True, eq=False)
class Found:
    """A layer whose response may lie on the picture, and the operation whose output shows whether it does.

    `axes` are the pairs of axes (rows, columns) that are possible.
    """

    layer: Layer
    made: Operation
    axes: tuple[tuple[int, int], ...]


def lie(module: nn.Module, trace: Trace, found: Sequence[Found]) -> list[tuple[int, int] | None]:
    """The axes of rows and columns of each response: known from the trace, else measured; or None."""
    known = exact_axes(trace)
    axes: dict[int, tuple[int, int] | None] = {}
    for number, one in enumerate(found):
        single = [pair for pair in one.axes if all(one.made.shape[axis] == 1 for axis in pair)]
        if known.get(one.made.output) in one.axes:
            axes[number] = known[one.made.output]
        elif single or not one.axes:
            axes[number] = single[0] if single else None
    open_ = {str(i): one.made.point for i, one in enumerate(found) if i not in axes}
    measured = picture_axes(module, open_, picture_size(trace))
    for name, pair in measured.items():
        axes[int(name)] = pair if pair in found[int(name)].axes else None
    return [axes[number] for number in range(len(found))]


def laid(
    layer: Layer,
    response: Operation,
    axes: tuple[int, int],
    field: tuple[ReceptiveField, ReceptiveField] | None,
) -> Layer:
    """A layer whose response lies on the picture: its shape is (units, rows, columns)."""
    units = 1 if axes == CHANNELS_FIRST else -1
    shape = (response.shape[units], *(response.shape[axis] for axis in axes))
    return replace(layer, shape=shape, axis=units, receptive_field=field)


def picture_axes(
    module: nn.Module, points: Mapping[str, Point], size: Sequence[int]
) -> dict[str, tuple[int, int] | None]:
    """The axes of rows and columns of each response (1, A, B, C) to a picture of `size` (height, width).

    None where neither CHANNELS_FIRST nor CHANNELS_LAST follows the picture.
    """
    if not points:
        return {}
    parameter = next(module.parameters())
    random = torch.Generator().manual_seed(0)
    picture, other = (torch.randn(1, 3, *size, generator=random).to(parameter) for _ in range(2))
    before = _responses(module, points, picture)
    # contrasts[name][pair of axes of the response][axis of the picture]
    contrasts: dict[str, dict[tuple[int, int], list[tuple[float, float]]]]
    contrasts = {name: {pair: [] for pair in _PAIRS} for name in points}
    for axis in (2, 3):
        half = size[axis - 2] // 2
        moved = []
        for start in (0, size[axis - 2] - half):
            changed = picture.clone()
            changed.narrow(axis, start, half).copy_(other.narrow(axis, start, half))
            found = _responses(module, points, changed)
            moved.append({name: found[name] - before[name] for name in points})
        for name, by_pair in contrasts.items():
            for pair, seen in by_pair.items():
                first, last = (_first_halves(each[name], pair) for each in moved)
                seen.append((first[0] - last[0], first[1] - last[1]))
    return {name: _axes(by_pair) for name, by_pair in contrasts.items()}


def _axes(
    contrasts: Mapping[tuple[int, int], Sequence[tuple[float, float]]],
) -> tuple[int, int] | None:
    """The pair of axes of which the first follows the rows alone, the second the columns."""
    for pair, ((down, astray), (aslant, across)) in contrasts.items():
        strays = abs(aslant) > _STRAYS * across or abs(astray) > _STRAYS * down
        if min(down, across) > _FOLLOWS and not strays:
            return pair
    return None


def _responses(
    module: nn.Module, points: Mapping[str, Point], picture: Tensor
) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}

    def take(name: str, response: Tensor) -> None:
        # Every so many values along an axis are enough to say where a change lies.
        one, (high, wide, deep) = (
            response[0],
            (max(1, side // _KEPT) for side in response.shape[1:]),
        )
        found[name] = one[::high, ::wide, ::deep].double()

    with listen(points, take):
        module(picture)
    return found


def _first_halves(difference: Tensor, pair: tuple[int, int]) -> tuple[float, float]:
    """The share of a change (A, B, C) that lies in the first half of each of two axes, against the last.

    What all positions have in common, as behind a global average, says nothing of them.
    """
    rows, columns = (axis - 1 for axis in pair)
    local = (difference - difference.mean((rows, columns), keepdim=True)).abs()
    shares = []
    for axis in (rows, columns):
        half = local.shape[axis] // 2
        first = float(local.narrow(axis, 0, half).sum())
        last = float(local.narrow(axis, local.shape[axis] - half, half).sum())
        shares.append(first / (first + last) if first + last > 0 else 0.0)
    return shares[0], shares[1]
