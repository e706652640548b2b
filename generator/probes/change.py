"""How far quantities of two models lie apart, over the distance that chance makes, and the order by that.

A quantity has a value for each input in both models. Its noise is what two independent draws of as many
inputs would make of one model's mean, once for each model, so that a change of 1 noise is what other inputs
would have done as well. As both models read the same inputs, the interval of a change is that of the paired
differences: it can be far narrower than the noise. Intervals come from resampling the inputs (Efron 1979),
with the same draw in both models and in all measures that have as many inputs; ranks are taken anew in each
draw (Goldstein & Spiegelhalter 1996 say why a rank needs an interval). Of few inputs less is cut off, as much
as Student's t has beyond (Hesterberg 2015, the expanded percentile interval). Of fewer than FEWEST there is
no interval: what is drawn anew never leaves the inputs that there are, which hold the truth between them too
seldom (between the two ends of n inputs lies their median in 1 - 2^(1 - n) of all cases).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from generator.uncertainty import mean_of_known

VERSION = 4
DRAWS = 200
LEVEL = 0.95
FEWEST = 6  # inputs, below which the noise hangs on chance, as for the roles of heads
_ROUNDING = 1e-12  # relative
_AT_ONCE = 2**22  # numbers that are resampled at once


@dataclass(frozen=True)
class Measured:
    """One quantity of every thing in two models, (inputs, things) or (inputs, things, components).

    NaN where it is not defined: such an input is left out for that thing, or component, in both models.
    `whole` is what both models have (2, things) where that is no mean over inputs, but measured on all of
    them at once: the values of single inputs then say what chance makes alone, as pseudo-values do.
    """

    name: str
    before: np.ndarray
    after: np.ndarray
    whole: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Refuse what does not belong together: that would be compared by place."""
        if self.before.shape != self.after.shape or self.before.ndim not in (2, 3):
            shapes = f"{self.before.shape} and {self.after.shape}"
            raise ValueError(f"{self.name}: {shapes} are no values of the same inputs and things")


@dataclass(frozen=True)
class Changes:
    """How far each thing changed by each measure, (measures, things), and the order of things by that.

    `before` and `after` are means over inputs, `signed` is their difference, from `low` to `high` in 95 % of
    the draws of inputs: NaN for vectors, and on fewer than FEWEST inputs. `change` is the length of that
    difference, `noise` the one that other inputs would make, `ratio` one over the other: 0 where nothing
    changed, inf where a change meets no noise, NaN where one input or none says what the noise is. `inputs`
    says on how many it is defined.

    `leading` (things,) is the measure of the largest ratio, the first of several. One on fewer than FEWEST
    inputs, whose noise is hardly known, leads only where most have no more. `rank` counts from 1 for the
    thing where that is largest; equal ones stand in the order of things. In 95 % of the draws its rank lies
    from `rank_low` to `rank_high`, NaN where fewer than FEWEST inputs say so: things that are equal there
    share the ranks that they fill.
    """

    names: tuple[str, ...]
    before: np.ndarray
    after: np.ndarray
    change: np.ndarray
    signed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    noise: np.ndarray
    ratio: np.ndarray
    inputs: np.ndarray
    leading: np.ndarray
    rank: np.ndarray
    rank_low: np.ndarray
    rank_high: np.ndarray

    @property
    def order(self) -> np.ndarray:
        """The things, (things,), the one that changed most first."""
        return np.argsort(self.rank)

    @property
    def highest(self) -> np.ndarray:
        """The ratio of each thing's leading measure, (things,); NaN where no measure has one."""
        return np.asarray(self.ratio[self.leading, np.arange(self.ratio.shape[1])])


def changes(measures: Sequence[Measured], seed: int, draws: int = DRAWS) -> Changes:
    """How far things changed between two models, by each of several measures, and in which order.

    All measures are of the same things; they may have inputs of their own. A model against itself is zero
    everywhere.
    """
    things = {one.before.shape[1] for one in measures}
    if len(things) != 1:
        raise ValueError("changes are ordered among the same things, measured at least once")
    parts = [_part(one, seed, draws) for one in measures]
    fields = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    leads = can_lead(fields["inputs"])
    drawn = np.where(leads[:, None], fields.pop("drawn"), -1.0).max(0)
    known = np.where(leads, _ordered(fields["ratio"]), -1.0)
    leading = np.where(known.max(0) < 0, fields["inputs"].argmax(0), known.argmax(0))
    rank = ranks(known.max(0))
    inputs = np.take_along_axis(fields["inputs"], leading[None], 0)
    low, high = rank_interval(drawn, tail_of(int(np.median(inputs))))
    return Changes(
        names=tuple(one.name for one in measures),
        **fields,
        leading=leading,
        rank=rank,
        rank_low=np.where(inputs[0] >= FEWEST, np.minimum(low, rank), np.nan),
        rank_high=np.where(inputs[0] >= FEWEST, np.maximum(high, rank), np.nan),
    )


def draws_of(inputs: int, seed: int, draws: int) -> np.ndarray:
    """How often each input is drawn, (draws, inputs), of as many draws with replacement."""
    random = np.random.default_rng([seed, inputs])
    return random.multinomial(inputs, np.full(inputs, 1 / inputs), size=draws)


def tail_of(inputs: int) -> float:
    """The share of draws that is cut off on either side, for 95 % intervals over so many inputs.

    Draws vary by the factor sqrt((n - 1) / n) too little, and of few inputs too little is known of how much.
    """
    if inputs < 2:
        return (1 - LEVEL) / 2
    reach = np.sqrt(inputs / (inputs - 1)) * scipy.stats.t.ppf((1 + LEVEL) / 2, inputs - 1)
    return float(scipy.stats.norm.sf(reach))


def can_lead(inputs: np.ndarray) -> np.ndarray:
    """Which measures have enough inputs of a thing, (measures, things); all where less than half have."""
    enough = inputs >= FEWEST
    return enough | (2 * enough.sum(0) < len(inputs))


def _part(measured: Measured, seed: int, draws: int) -> dict[str, np.ndarray]:
    """What is known of one measure, each (things,); `drawn` has the ratio in each draw, (draws, things)."""
    before, after = (_components(one) for one in (measured.before, measured.after))
    inputs, things, components = before.shape
    counts = draws_of(inputs, seed, draws).astype(np.float64)
    step = max(1, _AT_ONCE // (components * max(draws, inputs)))
    scalar = measured.before.ndim == 2
    chunks = [slice(start, start + step) for start in range(0, things, step)]
    found = [_chunk(before[:, one], after[:, one], counts, scalar) for one in chunks]
    joined = {name: np.concatenate([one[name] for one in found], axis=-1) for name in found[0]}
    return joined if measured.whole is None else _around(joined, *measured.whole)


def _around(
    found: dict[str, np.ndarray], before: np.ndarray, after: np.ndarray
) -> dict[str, np.ndarray]:
    """The same around what was measured on all inputs at once, with the noise and draws that are known."""
    shift, change = after - before - found["signed"], np.abs(after - before)
    return found | {
        "before": before,
        "after": after,
        "signed": after - before,
        "low": found["low"] + shift,
        "high": found["high"] + shift,
        "change": change,
        "ratio": _ratio(change, found["noise"]),
    }


def _components(values: np.ndarray) -> np.ndarray:
    """Values as (inputs, things, components), in double precision."""
    return (values if values.ndim == 3 else values[..., None]).astype(np.float64)


def _chunk(
    before: np.ndarray, after: np.ndarray, counts: np.ndarray, scalar: bool
) -> dict[str, np.ndarray]:
    """The same for some of the things; `counts` (draws, inputs) says what is resampled."""
    defined = np.isfinite(before) & np.isfinite(after)
    known = defined.sum(0)
    # Of a vector, what is defined on one input alone tells nothing of the noise, where others do.
    used = known >= np.minimum(2, known.max(-1, keepdims=True)).clip(1)
    before, after = (np.where(defined, one, np.nan) for one in (before, after))
    sums = _sums(before, after, defined)
    every = np.ones((1, len(before)))
    shift, change, noise = (one[0] for one in _differences(sums, every, used, enough=1))
    shifts, changed, noises = _differences(sums, counts, used, enough=2)
    # Draws of one input over and over have no noise of their own.
    noises = np.where(noises > 0, noises, noise)
    found = {
        "change": change,
        "noise": noise,
        "ratio": _ratio(change, noise),
        "inputs": known.max(-1),
        "drawn": _ordered(_ratio(changed, noises)),
    }
    nothing = np.full(change.shape, np.nan)
    if not scalar:
        return found | dict.fromkeys(("before", "after", "signed", "low", "high"), nothing)
    ends = _interval(shifts[..., 0], tail_of(len(before)))
    low, high = (np.where(found["inputs"] >= FEWEST, one, np.nan) for one in ends)
    means = {
        name: mean_of_known(one[..., 0]) for name, one in (("before", before), ("after", after))
    }
    return found | means | {"signed": shift[..., 0], "low": low, "high": high}


Sums = Callable[[np.ndarray], Iterator[np.ndarray]]


def _sums(before: np.ndarray, after: np.ndarray, defined: np.ndarray) -> Sums:
    """Counts, sums of differences, and of each model's values and squares, of inputs that are drawn.

    Values count from the first that is defined, so that what is equal on all inputs has no noise at all.
    """
    inputs, *shape = defined.shape

    def centred(values: np.ndarray) -> np.ndarray:
        first = np.take_along_axis(values, defined.argmax(0)[None], 0)
        return np.where(defined, values - first, 0)

    own, other = centred(before), centred(after)
    summed = (defined, np.where(defined, after - before, 0), own, own**2, other, other**2)
    flat = [one.reshape(inputs, -1).astype(np.float64) for one in summed]

    def drawn(counts: np.ndarray) -> Iterator[np.ndarray]:
        return ((counts @ one).reshape(len(counts), *shape) for one in flat)

    return drawn


def _differences(
    sums: Sums, counts: np.ndarray, used: np.ndarray, enough: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean difference by component, its length, and the noise, in each of the draws `counts`.

    Components that fewer than `enough` drawn inputs define are left out of a draw.
    """
    of, difference, *moments = sums(counts)
    there = used & (of >= enough)
    share = np.divide(1, of, out=np.full(of.shape, np.nan), where=there)
    shift = difference * share
    freedom = np.divide(1, of - 1, out=np.full(of.shape, np.nan), where=there & (of > 1))
    pairs = zip(moments[::2], moments[1::2], strict=True)
    spread = [(square - total**2 * share, square) for total, square in pairs]
    # What is left of equal numbers is rounding.
    own, other = (np.where(rest <= _ROUNDING * square, 0, rest) for rest, square in spread)
    squared = (own + other) * freedom * share
    change = np.sqrt(np.where(there, shift**2, 0).sum(-1))
    noise = np.sqrt(np.where(there, squared, 0).sum(-1))
    some = there.any(-1)
    return shift, np.where(some, change, np.nan), np.where(some, noise, np.nan)


def _ratio(change: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Change over noise: 0 where nothing changed, inf where a change meets no noise."""
    found = np.where(change > 0, np.inf, np.where(np.isfinite(change), 0.0, np.nan))
    found = np.where(np.isnan(noise) & (change > 0), np.nan, found)
    return np.divide(change, noise, out=found, where=(change > 0) & (noise > 0))


def _ordered(ratio: np.ndarray) -> np.ndarray:
    """Ratios that can be ordered: what has none stands below all others."""
    return np.where(np.isnan(ratio), -1.0, ratio)


def ranks(values: np.ndarray) -> np.ndarray:
    """Rank of each value, 1 for the largest; equal ones stand in their order."""
    rank = np.empty(len(values), dtype=int)
    rank[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    return rank


def rank_interval(
    drawn: np.ndarray, tail: float = (1 - LEVEL) / 2
) -> tuple[np.ndarray, np.ndarray]:
    """The ranks that hold 95 % of those in ratios (draws, things); equal ones share theirs."""
    count, ordered = drawn.shape[1], np.sort(drawn, axis=1)
    pairs = list(zip(ordered, drawn, strict=True))
    best = np.stack([count - np.searchsorted(own, one, "right") + 1 for own, one in pairs])
    worst = np.stack([count - np.searchsorted(own, one, "left") for own, one in pairs])
    low = np.quantile(best, tail, axis=0, method="lower")
    high = np.quantile(worst, 1 - tail, axis=0, method="higher")
    return low.astype(int), high.astype(int)


def _interval(drawn: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """From where to where 95 % of values (draws, things) lie; NaN where a thing has none."""
    known = np.isfinite(drawn).any(0)
    found = np.full((2, drawn.shape[1]), np.nan)
    if known.any():
        found[:, known] = np.nanquantile(drawn[:, known], [tail, 1 - tail], axis=0)
    return found[0], found[1]
