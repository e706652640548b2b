"""Whether an effect is there on inputs that were not used to look for it: t-tests, held to one level.

Inputs are what is drawn: a mean over inputs is tested with Student's t, so that few inputs count for
little. Several tests of one model are held against their number together (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from generator.probes.ablation import Ablation
from generator.uncertainty import sample_deviation

# A t-test on fewer inputs hangs on the shape of the noise.
FEWEST = 6


@dataclass(frozen=True)
class EffectSamples:
    """The effect of heads on held-out inputs: `delta` (inputs, layers, heads), NaN where none was asked.

    Each of `excess`, of the same shape, has to be above zero in the mean: the effect less what it must
    exceed. `bar` says in a number what that is, NaN where it differs from input to input.
    """

    delta: np.ndarray
    excess: tuple[np.ndarray, ...]
    bar: float

    def half(self, start: int) -> EffectSamples:
        """Every second input."""
        return EffectSamples(
            self.delta[start::2], tuple(one[start::2] for one in self.excess), self.bar
        )


def tested_texts(ablation: Ablation, turned: Ablation | None, bar: float) -> EffectSamples:
    """The effect on held-out texts: above `bar`, or above that of an equal push in random directions."""
    return _above(ablation.of("text"), None if turned is None else turned.of("text"), bar)


def tested_repeats(ablation: Ablation, turned: Ablation | None, bar: float) -> EffectSamples:
    """The same on the second copy of held-out repeats; a decoder's also above that on the first copy.

    An encoder reads both copies at once.
    """
    second = ablation.of("second")
    if turned is not None:
        return _above(second, turned.of("second"), bar)
    return EffectSamples(second, (second - bar, second - ablation.of("first")), bar)


def _above(delta: np.ndarray, control: np.ndarray | None, bar: float) -> EffectSamples:
    if control is None:
        return EffectSamples(delta, (delta - bar,), bar)
    return EffectSamples(delta, (delta - control,), float("nan"))


def median_effect(sweep: np.ndarray) -> float:
    """The median size of the heads' mean effects, of (inputs, layers, heads)."""
    known = sweep[np.isfinite(sweep).all((1, 2))]
    return float(np.median(np.abs(known.mean(0)))) if len(known) else float("nan")


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values held against the number of tests (Holm 1979); NaN counts as a test that fails."""
    values = np.where(np.isnan(p_values), 1.0, np.asarray(p_values, dtype=float))
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    found = np.empty(len(values))
    found[order] = np.minimum(np.maximum.accumulate(scaled), 1) if len(values) else scaled
    return [float(one) for one in found]


def mean_reach(values: np.ndarray) -> np.ndarray:
    """Half of the 95 % interval of a mean over the first axis (Student's t)."""
    count = len(values)
    if count < 2:
        return np.full(values.shape[1:], np.nan)
    return scipy.stats.t.ppf(0.975, count - 1) * sample_deviation(values) / np.sqrt(count)


def above_zero(values: np.ndarray) -> np.ndarray:
    """One-sided p of a mean above zero over the first axis (Student's t); NaN for fewer than FEWEST."""
    count = len(values)
    if count < FEWEST:
        return np.full(values.shape[1:], np.nan)
    mean, error = values.mean(0), sample_deviation(values) / np.sqrt(count)
    with np.errstate(divide="ignore", invalid="ignore"):
        p: np.ndarray = scipy.stats.t.sf(mean / error, count - 1)
    return np.where((error == 0) & (mean == 0), 1.0, p)


@dataclass(frozen=True)
class HeadEffect:
    """The effect of one head on `inputs` held-out inputs.

    `mean`, its standard error, its 95 % interval `low` to `high` (Student's t), what it is held against,
    and the p of that test alone. NaN where nothing was tested.
    """

    inputs: int
    mean: float
    error: float
    low: float
    high: float
    bar: float
    p_value: float


@dataclass(frozen=True)
class EffectTest:
    """The same of all heads: `mean`, `error` and `p` are (layers, heads)."""

    inputs: int
    mean: np.ndarray
    error: np.ndarray
    bar: float
    p: np.ndarray

    def at(self, head: tuple[int, int]) -> HeadEffect:
        """The effect of one head, given as (layer, head)."""
        mean, error, p = (float(one[head]) for one in (self.mean, self.error, self.p))
        if not np.isfinite(mean):
            return NOT_TESTED
        reach = float(scipy.stats.t.ppf(0.975, self.inputs - 1)) * error
        return HeadEffect(self.inputs, mean, error, mean - reach, mean + reach, self.bar, p)


NOT_TESTED = HeadEffect(0, *[float("nan")] * 6)


def effect_test(tested: EffectSamples) -> EffectTest:
    """Test the effect of each head. Of inputs without a value none counts; one input shows no spread."""
    known = np.isfinite(tested.delta).any((1, 2))
    delta = tested.delta[known]
    count = len(delta)
    if count < 2:
        nothing = np.full(tested.delta.shape[1:], np.nan)
        return EffectTest(count, nothing, nothing, tested.bar, nothing)
    error = sample_deviation(delta) / np.sqrt(count)
    # Each condition has to hold, so that the largest p counts (Berger 1982).
    p = np.stack([above_zero(one[known]) for one in tested.excess]).max(0)
    return EffectTest(count, delta.mean(0), error, tested.bar, p)
