"""Units of two models side by side: whether each still answers to the same inputs, as it did, as much.

A unit has one response to each input of a pool, its largest over positions. Of a unit and its counterpart:

- the share of exemplars in common: of the strongest inputs of either, as many as both keep (9 at most);
- the rank correlation (Spearman 1904) of the responses over the pool;
- the *change*, the root mean square over inputs of the difference of the two responses, over its *noise*, how
  far responses to two unrelated inputs lie apart, one in each model: sqrt(var before + var after). At 0 the
  unit answers to each input as before, at 1 as if it had been given another one. A unit that falls silent
  lies above 1 by as much as it stood above zero.

The order of units is by change over noise, with an interval of the rank from resampled inputs. Beside each
number stands that of a *random pair*: the same unit and the counterpart of another of its layer.

The counterpart of a unit is the one of its number, or, where units stand in another order, the one that it is
matched to (`generator.probes.unit_order`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from generator.probes.change import DRAWS, Measured, changes, draws_of, rank_interval, ranks
from generator.probes.unit_order import LayerMatch, correlated, match_units, unit_length
from generator.probes.unit_responses import Responses
from generator.store import Store

VERSION = 2
_AT_ONCE = 4096  # units that are resampled at once
_ROUNDING = 1e-12  # relative


@dataclass(frozen=True)
class UnitChanges:
    """What changed of every unit, arrays (units,), one layer behind the other; NaN where it is not defined.

    `place` says which of `layers` a unit is of. `inputs` are counted that some layer was read on in both, and
    in `read` (layers,) those that each was: where one of its units has no number, all are left out. What ends
    in `_random` is of the random pair. `mean_ratio` is the change of the mean response over its noise
    (`generator.probes.change`), from `mean_low` to `mean_high` in 95 % of the draws of inputs.
    """

    inputs: int
    layers: tuple[LayerMatch, ...]
    read: np.ndarray
    place: np.ndarray
    unit: np.ndarray
    partner: np.ndarray
    shared: np.ndarray
    shared_random: np.ndarray
    correlation: np.ndarray
    correlation_random: np.ndarray
    ratio: np.ndarray
    ratio_random: np.ndarray
    mean_before: np.ndarray
    mean_after: np.ndarray
    mean_low: np.ndarray
    mean_high: np.ndarray
    mean_ratio: np.ndarray
    rank: np.ndarray
    rank_low: np.ndarray
    rank_high: np.ndarray

    @property
    def order(self) -> np.ndarray:
        """The units, the one that changed most first."""
        return np.argsort(self.rank)

    def of(self, place: int) -> np.ndarray:
        """The rows of one layer."""
        return np.flatnonzero(self.place == place)


Makes = Callable[[], Sequence[Responses]]


def compared(
    makes: tuple[Makes, Makes], key: Mapping[str, Any], seed: int, store: Store
) -> UnitChanges:
    """Every unit of layers that both have; `makes` are asked for the responses that `key` tells of."""
    parts = {**key, "seed": seed}
    before, after = makes
    return store.result(
        "unit_change", VERSION, parts, UnitChanges, lambda: compare_units(before(), after(), seed)
    )


def compare_units(
    before: Sequence[Responses], after: Sequence[Responses], seed: int
) -> UnitChanges:
    """Every unit of layers of the same name and number of units, on the same inputs."""
    others = {one.layer: one for one in after}
    pairs = [
        (one, others[one.layer])
        for one in before
        if one.layer in others and one.peak.shape == others[one.layer].peak.shape
    ]
    reads = [np.all([np.isfinite(one.peak).all(1) for one in pair], 0) for pair in pairs]
    known = [number for number, read in enumerate(reads) if read.any()]
    if not known:
        raise ValueError("the two models have no layer of units in common")
    some = np.any(reads, 0)
    matches, columns = [], []
    for number in known:
        one, other = (each.on(some) for each in pairs[number])
        read = reads[number][some]
        peaks = one.peak[read], other.peak[read]
        matches.append(match_units(one.layer, *peaks, (seed, number)))
        columns.append(_layer(one, other, read, matches[-1].partner, (seed, number)))
    joined = {name: np.concatenate([c[name] for c in columns], -1) for name in columns[0]}
    mean = changes([Measured("mean", joined.pop("mean"), joined.pop("mean_other"))], seed)
    rank = ranks(joined["ratio"])
    low, high = rank_interval(joined.pop("drawn"))
    return UnitChanges(
        inputs=int(some.sum()),
        layers=tuple(matches),
        read=np.array([reads[number].sum() for number in known]),
        place=np.repeat(np.arange(len(matches)), [match.units for match in matches]),
        unit=np.concatenate([np.arange(match.units) for match in matches]),
        partner=np.concatenate([match.partner for match in matches]),
        mean_before=mean.before[0],
        mean_after=mean.after[0],
        mean_low=mean.low[0],
        mean_high=mean.high[0],
        mean_ratio=mean.ratio[0],
        rank=rank,
        rank_low=np.minimum(low, rank),
        rank_high=np.maximum(high, rank),
        **joined,
    )


def _layer(
    one: Responses,
    other: Responses,
    read: np.ndarray,
    partner: np.ndarray,
    seed: tuple[int, int],
) -> dict[str, np.ndarray]:
    """What is known of the units of one layer, (units,), (inputs, units) or (draws, units)."""
    strange = partner[another(len(partner), seed)]
    own, others = _ranked(one.peak[read]), _ranked(other.peak[read])
    ratio, drawn = moved(one.peak, other.peak[:, partner], seed[0], read=read)
    return {
        "ratio": ratio,
        "drawn": drawn,
        "ratio_random": moved(one.peak, other.peak[:, strange], seed[0], 0, read)[0],
        "mean": np.where(read[:, None], one.mean, np.nan),
        "mean_other": np.where(read[:, None], other.mean[:, partner], np.nan),
        "shared": shared(one.top, other.top[partner]),
        "shared_random": shared(one.top, other.top[strange]),
        "correlation": correlated(own, others[:, partner]),
        "correlation_random": correlated(own, others[:, strange]),
    }


def another(units: int, seed: tuple[int, int]) -> np.ndarray:
    """Another unit for each of some, drawn at random, (units,): each is drawn once, none for itself.

    The unit itself where it is the only one.
    """
    drawn = np.random.default_rng(seed).permutation(units)
    found = np.empty(units, dtype=np.int64)
    found[drawn] = np.roll(drawn, 1)
    return found


def shared(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The share of exemplars in common, (units,), of two rankings (units, kept), -1 for none.

    Of as many as both keep; NaN where one keeps none.
    """
    kept = np.minimum((one >= 0).sum(1), (other >= 0).sum(1))
    first = np.arange(one.shape[1]) < kept[:, None]
    second = np.arange(other.shape[1]) < kept[:, None]
    alike = (one[:, :, None] == other[:, None]) & first[:, :, None] & second[:, None]
    common = alike.sum((1, 2))
    return np.divide(common, kept, out=np.full(len(kept), np.nan), where=kept > 0)


def _ranked(values: np.ndarray) -> np.ndarray:
    """Ranks over inputs, centred and of length 1, (inputs, units); NaN for a unit that never changes."""
    return unit_length(scipy.stats.rankdata(values, axis=0))


def moved(
    before: np.ndarray,
    after: np.ndarray,
    seed: int,
    draws: int = DRAWS,
    read: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Change over noise of responses (inputs, units), (units,), and in draws of inputs, (draws, units).

    0 where nothing changed, inf where what never changes over inputs is another number. Of the inputs, those
    that are `read` (inputs,) of bool; what is drawn is drawn of all.
    """
    inputs = len(before)
    counts = np.concatenate([np.ones((1, inputs)), draws_of(inputs, seed, draws)])
    if read is not None:
        counts, before, after = counts[:, read], before[read], after[read]
    parts = [
        _moved(before[:, start : start + _AT_ONCE], after[:, start : start + _AT_ONCE], counts)
        for start in range(0, before.shape[1], _AT_ONCE)
    ]
    found = np.concatenate(parts, axis=1)
    return found[0], found[1:]


def _moved(before: np.ndarray, after: np.ndarray, counts: np.ndarray) -> np.ndarray:
    inputs = np.maximum(counts.sum(1, keepdims=True), 1)
    own, other = before.astype(np.float64), after.astype(np.float64)
    changed = counts @ np.square(other - own) / inputs
    spread = np.zeros_like(changed)
    for values in (own, other):
        centred = values - values.mean(0)
        squares = np.square(centred)
        rest = counts @ squares - np.square(counts @ centred) / inputs
        spread += np.where(rest <= _ROUNDING * (counts @ np.square(values)), 0, rest)
    noise = spread / np.maximum(inputs - 1, 1)
    ratio = np.divide(changed, noise, out=np.where(changed > 0, np.inf, 0.0), where=noise > 0)
    return np.asarray(np.sqrt(ratio))
