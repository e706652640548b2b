"""The strongest pictures of every unit, kept in order while a pool is searched chunk by chunk.

Pictures stand by their response. An activation that saturates makes many of them equal (ReLU6 lets nothing
above 6 through, ReLU nothing below zero), and these stand by their *pre-activation*, the value that enters
the activation. Where that ties too, up to DIGITS decimals, only the order of the pool is left, which says
nothing of the unit: equal pictures keep it while all of them are shown, and none is shown otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np
import torch
from torch import Tensor


def find_peaks(values: Tensor) -> tuple[Tensor, ...]:
    """Where values (N, positions, units) are largest, of equal ones the first, how large, and their mean.

    PyTorch finds a maximum ten times as fast as its place, which is looked for in one row of positions.
    """
    positions = values.shape[1]
    side = next(side for side in range(isqrt(positions), 0, -1) if positions % side == 0)
    rows = values.unflatten(1, (-1, side))
    tops = _largest(rows)
    peak = tops.amax(1, keepdim=True)
    row = _first(tops, peak)
    own = rows.gather(1, row[:, :, None].expand(-1, -1, side, -1))[:, 0]
    return row * side + _first(own, peak), peak, values.mean(1)


_WIDE = 32  # numbers side by side from which on PyTorch compares many at once


def _largest(rows: Tensor) -> Tensor:
    """The maxima of rows (N, rows, positions, units) over positions; of few units, neighbours at once."""
    side, units = rows.shape[2:]
    side_by_side = rows.stride()[2:] == (units, 1)
    joined = (m for m in (2, 4, 8) if units * m >= _WIDE and side % m == 0)
    count = next(joined, 1) if side_by_side and units < _WIDE else 1
    if count == 1:
        return rows.amax(2)
    wide = rows.reshape(*rows.shape[:2], side // count, count * units)
    return wide.amax(2).unflatten(2, (count, units)).amax(2)


def _first(values: Tensor, peak: Tensor) -> Tensor:
    """The first place of (N, places, units) that holds a peak (N, 1, units); the last for nan."""
    last = values.shape[1] - 1
    places = torch.arange(last + 1, dtype=torch.int32, device=values.device)[:, None]
    return torch.where(values == peak, places, last).amin(1, keepdim=True).long()


def reduce_responses(values: Tensor, entered: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Peak, mean, place of the peak, pre-activation there and mean pre-activation, each (N, units).

    Of responses (N, positions, units) and what is kept of what enters the activation; nan where nothing is.

    An activation that never falls peaks where its input does: that place, its input and the mean of the
    input are enough. Of any other, such as hard swish, the whole input is given.
    """
    if not entered:
        place, peak, mean = find_peaks(values)
        pre = mean_pre = torch.full_like(mean, torch.nan)
    elif len(entered) == 1:
        (entering,) = entered
        highest = values.amax(1, keepdim=True)
        at_peak = entering.masked_fill(values != highest, -torch.inf)
        place = at_peak.argmax(1, keepdim=True)
        peak, mean, mean_pre = highest, values.mean(1), entering.mean(1)
        pre = at_peak.gather(1, place).squeeze(1)
    else:
        place, highest, mean_pre = entered
        peak, mean, pre = values.gather(1, place), values.mean(1), highest.squeeze(1)
    return peak.squeeze(1), mean, place.squeeze(1).int(), pre, mean_pre


TOP = 9
DIGITS = 5


@dataclass(frozen=True)
class Standing:
    """The TOP strongest pictures so far, arrays (units, at most TOP), strongest first.

    `value` is the response, `pre` the pre-activation (nan in a layer without one), `picture` an index into
    the pool and `place` a flat position. `same_value` (units,) counts the pictures left out whose response
    is that of the last one kept, `same` those among them whose pre-activation is its too.
    """

    value: np.ndarray
    pre: np.ndarray
    picture: np.ndarray
    place: np.ndarray
    same_value: np.ndarray
    same: np.ndarray


@dataclass(frozen=True)
class Ranking:
    """The TOP strongest pictures of a pool, arrays (units, TOP), strongest first.

    `picture` is -1 where the pool ends, and where pictures that are left out respond just the same:
    `undecided` (units,) counts all pictures of such a tie. `tied` is the number of candidates with the same
    response, the picture itself among them. `value`, `pre` and `place` are as in `Standing`.
    """

    value: np.ndarray
    pre: np.ndarray
    picture: np.ndarray
    place: np.ndarray
    tied: np.ndarray
    undecided: np.ndarray


def joined(
    before: Standing | None,
    picture: np.ndarray,
    value: np.ndarray,
    pre: np.ndarray,
    place: np.ndarray,
) -> Standing:
    """The standing after a further chunk: arrays (pictures, units), `picture` being indices into the pool.

    The chunks come in the order of the pool; how it is cut changes nothing.
    """
    nothing = np.zeros(value.shape[1], dtype=np.int64)
    columns = [value.T, pre.T, picture.T, place.T.astype(np.int64)]
    if before is not None:
        old = (before.value, before.pre, before.picture, before.place)
        columns = [np.concatenate(pair, axis=1) for pair in zip(old, columns, strict=True)]
    keys, order = _keys(columns[1]), stronger_first(columns[0], columns[1])
    ordered, keys = (np.take_along_axis(each, order, axis=1) for each in (columns[0], keys))
    kept = [np.take_along_axis(column, order[:, :TOP], axis=1) for column in columns]
    last = ordered[:, :TOP][:, -1:], keys[:, :TOP][:, -1:]
    alike = ordered[:, TOP:] == last[0]
    same_value, same = alike.sum(1), (alike & (keys[:, TOP:] == last[1])).sum(1)
    if before is not None:
        # What was left out earlier is no stronger than the last was then: it counts while that one stays.
        stays = before.value[:, -1:] == last[0]
        also = stays & (_keys(before.pre[:, -1:]) == last[1])
        same_value = same_value + np.where(stays[:, 0], before.same_value, nothing)
        same = same + np.where(also[:, 0], before.same, nothing)
    values, pres, pictures, places = kept
    return Standing(values, pres, pictures, places, same_value, same)


def ranked(found: Standing) -> Ranking:
    """The ranking that a standing is after the last chunk."""
    keys = _keys(found.pre)
    value_of_last = found.value == found.value[:, -1:]
    open_ended = value_of_last & (keys == keys[:, -1:]) & (found.same > 0)[:, None]
    tied = (found.value[:, :, None] == found.value[:, None, :]).sum(-1)
    return Ranking(
        value=_filled(found.value),
        pre=_filled(found.pre, np.nan),
        picture=_filled(np.where(open_ended, -1, found.picture)),
        place=_filled(found.place),
        tied=_filled(tied + value_of_last * found.same_value[:, None], 0),
        undecided=open_ended.sum(1) + found.same,
    )


def stronger_first(value: np.ndarray, pre: np.ndarray) -> np.ndarray:
    """The order of pictures in which each unit's stand, (units, pictures) as both arrays are."""
    return np.lexsort((-_keys(pre), -value), axis=1)


def strongest(value: np.ndarray, pre: np.ndarray) -> np.ndarray:
    """The picture that stands first for each unit, (units,); both are (pictures, units)."""
    best = value == value.max(0)
    return np.where(best, _keys(pre), -np.inf).argmax(0)


def _keys(pre: np.ndarray) -> np.ndarray:
    """Pre-activations as ties are told by: to DIGITS decimals, all alike where there are none."""
    return np.round(np.nan_to_num(pre.astype(np.float64)), DIGITS)


def _filled(column: np.ndarray, value: float = -1) -> np.ndarray:
    missing = TOP - column.shape[1]
    if missing <= 0:
        return column
    return np.pad(column, ((0, 0), (0, missing)), constant_values=value)
