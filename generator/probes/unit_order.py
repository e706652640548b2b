"""The order of units in two models: each unit of a layer matched to one of the other model's.

Networks that compute the same can have their units in any order, and networks that were trained apart have.
The units of a layer are matched one to one so that the sum of the correlations of their responses is largest
(Kuhn 1955; for networks, Li et al. 2016). A best matching finds likeness in anything, on inputs that differ
in little even between unrelated networks. So units stand in another order only where they are nearly the
same there, and far more so than by their places and than by the best matching to the same responses to
shuffled inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

VERSION = 2
MATCHED = 4096  # units of a layer; larger ones are compared by their places
NEAR = 0.9  # the mean correlation of units that stand in another order
FAR = 0.2  # of a correlation: by how much a matching has to be better than places, and than chance


@dataclass(frozen=True)
class LayerMatch:
    """How units of one layer are held against those of the other model.

    `partner` (units,) are the counterparts. `in_place` is the mean correlation of units of the same number,
    `matched` that of the best matching, `floor` that of the best matching to shuffled inputs (both NaN where
    places fit best, or the layer is too large), `own` the share of units that are matched to themselves.
    `reordered` says that the counterparts are the matched ones.
    """

    layer: str
    units: int
    partner: np.ndarray
    in_place: float
    matched: float
    floor: float
    own: float
    reordered: bool


def match_units(
    layer: str, before: np.ndarray, after: np.ndarray, seed: tuple[int, int]
) -> LayerMatch:
    """The counterparts of a layer's units by their responses (inputs, units) in two models."""
    units, places = before.shape[1], np.arange(before.shape[1])
    if units > MATCHED:
        pairs = np.nan_to_num(correlated(unit_length(before), unit_length(after)))
        in_place, nothing = float(pairs.mean()), float("nan")
        return LayerMatch(layer, units, places, in_place, nothing, nothing, nothing, False)
    likeness = _likeness(before, after)
    in_place = float(likeness[places, places].mean())
    if bool((likeness[places, places] >= likeness.max(1)).all()):
        # No matching can be better where each is most like the unit of its own number.
        return LayerMatch(layer, units, places, in_place, in_place, float("nan"), 1.0, False)
    best = linear_sum_assignment(-likeness)[1]
    matched, own = float(likeness[places, best].mean()), float((best == places).mean())
    floor = float("nan")
    if matched - in_place > FAR:
        shuffled = after[np.random.default_rng(seed).permutation(len(after))]
        chance = _likeness(before, shuffled)
        floor = float(chance[places, linear_sum_assignment(-chance)[1]].mean())
    near = matched >= NEAR and own < 0.5
    reordered = near and matched - in_place > FAR and matched - floor > FAR
    partner = best if reordered else places
    return LayerMatch(layer, units, partner, in_place, matched, floor, own, reordered)


def _likeness(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Correlation of every unit with every other, (units, units); of two that never change, 1 if equal."""
    own, other = (unit_length(one.astype(np.float64)) for one in (before, after))
    found = np.round(np.nan_to_num(own).T @ np.nan_to_num(other), 6)
    still, also = (np.flatnonzero(np.isnan(one[0])) for one in (own, other))
    if len(still) and len(also):
        found[np.ix_(still, also)] = before[0, still][:, None] == after[0, also]
    return found


def unit_length(values: np.ndarray) -> np.ndarray:
    """Values (inputs, units), centred and of length 1; NaN for a unit that never changes."""
    centred = values - values.mean(0)
    centred[:, values.max(0) == values.min(0)] = 0  # what is left is rounding
    length = np.sqrt(np.square(centred).sum(0))
    return np.divide(centred, length, out=np.full(centred.shape, np.nan), where=length > 0)


def correlated(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlations (units,) of pairs of columns that are centred and of length 1."""
    # Threads add up in their own order: nothing beyond six digits is kept.
    return np.asarray(np.round((one * other).sum(0), 6))
