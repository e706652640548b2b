"""Change over its noise: by hand, against independent code, and on inputs that were simulated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from generator.probes.change import FEWEST, Changes, Measured, changes, tail_of

SEED = 3


def of(name: str, before: object, after: object) -> Measured:
    return Measured(name, np.asarray(before, float), np.asarray(after, float))


def test_a_case_by_hand() -> None:
    # One thing: 1, 2, 3 becomes 5, 6, 10. The other stays as it is.
    before, after = [[1, 4], [2, 4], [3, 5]], [[5, 4], [6, 4], [10, 5]]
    found = changes([of("x", before, after)], SEED)
    assert found.names == ("x",)
    np.testing.assert_allclose(found.before[0], [2, 13 / 3])
    np.testing.assert_allclose(found.after[0], [7, 13 / 3])
    np.testing.assert_allclose(found.signed[0], [5, 0])
    np.testing.assert_allclose(found.change[0], [5, 0])
    # Variances 1 and 7, three inputs.
    np.testing.assert_allclose(found.noise[0], [np.sqrt(8 / 3), np.sqrt(2 / 9)])
    np.testing.assert_allclose(found.ratio[0], [5 / np.sqrt(8 / 3), 0])
    assert found.rank.tolist() == [1, 2]
    assert found.order.tolist() == [0, 1]
    twice = changes([of("x", before * 2, after * 2)], SEED)
    assert twice.rank_low.tolist() == [1, 2] and twice.rank_high.tolist() == [1, 2]
    # The differences are 4, 4 and 7: no draw has a mean beyond them.
    assert 4 <= twice.low[0, 0] < 5 < twice.high[0, 0] <= 7


def test_a_vector_by_hand() -> None:
    before = [[[0, 0]], [[2, 0]]]
    after = [[[3, 4]], [[5, 4]]]
    found = changes([of("v", before, after)], SEED)
    assert found.change[0, 0] == pytest.approx(5)
    # Only the first component varies, by 2 in either model: variance 2 each, two inputs.
    assert found.noise[0, 0] == pytest.approx(np.sqrt(2))
    for field in ("before", "after", "signed", "low", "high"):
        assert np.isnan(getattr(found, field)).all()


def test_what_is_not_defined_is_left_out_in_both_models() -> None:
    nan = float("nan")
    found = changes([of("x", [[1.0], [nan], [3.0], [9.0]], [[2.0], [7.0], [4.5], [nan]])], SEED)
    alone = changes([of("x", [[1.0], [3.0]], [[2.0], [4.5]])], SEED)
    for field in ("before", "after", "change", "signed", "noise", "ratio", "inputs"):
        np.testing.assert_allclose(getattr(found, field), getattr(alone, field), err_msg=field)


def test_a_component_that_one_input_has_tells_nothing_of_noise() -> None:
    nan = float("nan")
    found = changes([of("v", [[[1, nan]], [[3, 5]]], [[[2, nan]], [[5, 9]]])], SEED)
    alone = changes([of("v", [[[1]], [[3]]], [[[2]], [[5]]])], SEED)
    np.testing.assert_allclose(found.change, alone.change)
    np.testing.assert_allclose(found.noise, alone.noise)


def test_a_change_without_noise_is_infinite_and_comes_first() -> None:
    found = changes([of("x", [[1, 0], [1, 1]], [[2, 5], [2, 6]])], SEED)
    assert found.ratio[0, 0] == np.inf and np.isfinite(found.ratio[0, 1])
    assert found.rank.tolist() == [1, 2]


def test_equal_numbers_have_no_noise_though_their_mean_is_rounded() -> None:
    found = changes([of("x", np.full((3, 1), 0.1), np.full((3, 1), 0.3))], SEED)
    assert found.noise[0, 0] == 0 and found.ratio[0, 0] == np.inf


def test_one_input_says_nothing_of_noise() -> None:
    found = changes([of("x", [[1.0, 2.0]], [[3.0, 2.0]])], SEED)
    assert found.change.tolist() == [[2, 0]]
    assert np.isnan(found.noise).all() and np.isnan(found.low).all()
    assert np.isnan(found.ratio[0, 0]) and found.ratio[0, 1] == 0
    # What has no ratio stands behind all that have one.
    assert found.rank.tolist() == [2, 1]


def test_ties_keep_the_order_of_things_and_share_the_ranks_that_they_fill() -> None:
    same = np.ones((FEWEST, 3))
    found = changes([of("x", same, same)], SEED)
    assert found.rank.tolist() == [1, 2, 3]
    assert found.rank_low.tolist() == [1, 1, 1] and found.rank_high.tolist() == [3, 3, 3]


def test_each_thing_is_led_by_the_measure_that_changed_most() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(size=(2, 9, 2))
    first, second = noise.copy(), noise.copy()
    moved = [of("one", first[0], first[1] + [9, 0]), of("other", second[0], second[1] + [0, 5])]
    found = changes(moved, SEED)
    assert [found.names[place] for place in found.leading] == ["one", "other"]
    np.testing.assert_array_equal(found.highest, found.ratio.max(0))
    assert found.rank.tolist() == [1, 2]


def test_measures_may_have_inputs_of_their_own() -> None:
    random = np.random.default_rng(1)
    few, many = random.normal(size=(2, 5, 4)), random.normal(size=(2, 30, 4))
    found = changes([of("few", *few), of("many", *many)], SEED)
    assert found.inputs.tolist() == [[5] * 4, [30] * 4]


def test_other_things_are_refused() -> None:
    with pytest.raises(ValueError, match="same things"):
        changes([of("x", np.zeros((3, 2)), np.zeros((3, 2))), of("y", *np.zeros((2, 3, 4)))], SEED)
    with pytest.raises(ValueError, match="same inputs"):
        of("x", np.zeros((3, 2)), np.zeros((4, 2)))


def test_a_model_against_itself_is_exactly_zero() -> None:
    random = np.random.default_rng(5)
    scalar = random.normal(size=(13, 37)).astype(np.float32)
    vector = random.normal(size=(13, 37, 7)).astype(np.float32)
    scalar[random.random(scalar.shape) < 0.2] = np.nan
    found = changes([of("x", scalar, scalar.copy()), of("v", vector, vector.copy())], SEED)
    assert (found.change == 0).all() and (found.ratio == 0).all()
    for part in (found.signed, found.low, found.high):
        assert (part[0] == 0).all()
    assert (found.rank_low == 1).all() and (found.rank_high == 37).all()


def independent(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Change and noise of one thing, written a second time: (inputs,) or (inputs, components)."""
    columns = zip(np.atleast_2d(before.T), np.atleast_2d(after.T), strict=True)
    square = noise = 0.0
    for one, other in columns:
        both = ~np.isnan(one) & ~np.isnan(other)
        one, other = one[both], other[both]
        if len(one) < 2:
            continue
        square += (other.mean() - one.mean()) ** 2
        noise += (np.var(one, ddof=1) + np.var(other, ddof=1)) / len(one)
    return square**0.5, noise**0.5


@pytest.mark.parametrize("shape", [(8, 11), (8, 11, 3), (40, 5, 1)])
def test_against_code_written_a_second_time(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(len(shape))
    before, after = random.normal(3, 2, size=(2, *shape))
    before[random.random(shape) < 0.2] = np.nan
    found = changes([of("x", before, after)], SEED)
    for thing in range(shape[1]):
        change, noise = independent(before[:, thing], after[:, thing])
        assert found.change[0, thing] == pytest.approx(change)
        assert found.noise[0, thing] == pytest.approx(noise)


def test_the_interval_is_that_of_paired_differences() -> None:
    random = np.random.default_rng(2)
    common = random.normal(0, 10, size=(60, 50))
    after = common + random.normal(1, 0.1, size=common.shape)
    found = changes([of("x", common, after)], SEED, draws=500)
    # As far as the mean of 60 differences of deviation 0.1 goes, in either direction.
    width = (found.high - found.low)[0] / (2 * 1.96 * 0.1 / np.sqrt(60))
    assert abs(width.mean() - 1) < 0.05
    assert (found.ratio < 2).all()  # against other inputs, the change is lost
    assert np.mean((found.low[0] < 1) & (found.high[0] > 1)) > 0.85


def test_nothing_depends_on_how_many_things_are_resampled_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(4)
    measured = of("x", *random.normal(size=(2, 9, 23, 2)))
    whole = changes([measured], SEED)
    monkeypatch.setattr("generator.probes.change._AT_ONCE", 1)
    parts = changes([measured], SEED)
    np.testing.assert_allclose(whole.ratio, parts.ratio)
    np.testing.assert_array_equal(whole.rank_low, parts.rank_low)


def simulated(random: np.random.Generator, inputs: int, things: int) -> Measured:
    """Things that change by different amounts, on inputs that are common to both models."""
    common = random.normal(size=(inputs, things))
    moved = random.exponential(1, size=things)
    before = common + random.normal(0, 0.7, size=common.shape)
    return of("x", before, common + moved + random.normal(0, 0.7, size=common.shape))


def halves(measured: Measured) -> tuple[Changes, Changes]:
    """What the first half of the inputs tells, with its rank intervals, and what all of them tell."""
    half = len(measured.before) // 2
    part = Measured(measured.name, measured.before[:half], measured.after[:half])
    return changes([part], SEED), changes([measured], SEED)


@pytest.mark.parametrize("inputs", [14, 40, 200])
def test_rank_intervals_of_half_the_inputs_cover_the_rank_of_all(inputs: int) -> None:
    random = np.random.default_rng(inputs)
    covered = []
    for _ in range(10):
        half, every = halves(simulated(random, inputs, 60))
        covered.append((half.rank_low <= every.rank) & (every.rank <= half.rank_high))
    assert np.mean(covered) >= 0.9


def test_rank_intervals_cover_the_truth() -> None:
    random = np.random.default_rng(9)
    moved = np.linspace(0, 3, 60)
    true = 60 - np.arange(60)  # as all things have the same noise
    covered = []
    for _ in range(20):
        before, noise = random.normal(size=(2, 40, 60))
        found = changes([of("x", before, before + moved + 0.8 * noise)], SEED)
        covered.append((found.rank_low <= true) & (true <= found.rank_high))
    assert np.mean(covered) >= 0.9


NUMBERS = st.floats(-1e3, 1e3, width=32) | st.just(float("nan"))


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(2, 8), st.integers(1, 4)), elements=NUMBERS))
def test_swapping_before_and_after_keeps_change_and_noise(values: np.ndarray) -> None:
    other = np.nan_to_num(values[::-1]) / 3 + 1
    one, swapped = (changes([of("x", *pair)], SEED) for pair in ((values, other), (other, values)))
    for field in ("change", "noise", "ratio", "rank", "rank_low", "rank_high"):
        np.testing.assert_array_equal(getattr(one, field), getattr(swapped, field), err_msg=field)
    np.testing.assert_array_equal(one.signed, -swapped.signed)
    np.testing.assert_array_equal(one.before, swapped.after)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(2, 8), st.integers(1, 4)), elements=NUMBERS),
    st.integers(1, 10),
)
def test_ranks_are_an_order_and_lie_in_their_intervals(values: np.ndarray, step: int) -> None:
    found = changes([of("x", values, np.roll(values, 1, 0) * step)], SEED, draws=20)
    assert sorted(found.rank.tolist()) == list(range(1, values.shape[1] + 1))
    few = found.inputs[0] < FEWEST
    assert np.isnan(found.rank_low[few]).all() and np.isnan(found.rank_high[few]).all()
    assert (few | (found.rank_low <= found.rank)).all()
    assert (few | (found.rank <= found.rank_high)).all()
    ratios = np.nan_to_num(found.ratio[0], nan=-1)[found.order]
    assert (ratios[:-1] >= ratios[1:]).all()


def test_a_measure_on_few_inputs_leads_only_where_most_have_no_more() -> None:
    random = np.random.default_rng(6)
    few, many = random.normal(size=(2, 3, 5)), random.normal(size=(2, 12, 5))
    few[1] += 100
    found = changes([of("few", *few), of("many", *many)], SEED)
    assert (found.leading == 1).all() and (found.ratio[0] > found.ratio[1]).all()
    assert (changes([of("few", *few)], SEED).leading == 0).all()
    most = changes([of("few", *few), of("as few", *few), of("many", *many)], SEED)
    assert (most.leading == 0).all()


@pytest.mark.parametrize(("inputs", "expected"), [(7, 0.0041), (10_000, 0.025)])
def test_of_few_inputs_less_is_cut_off(inputs: int, expected: float) -> None:
    # By hand: the normal share beyond sqrt(n / (n - 1)) times Student's t at 97.5 %.
    assert tail_of(inputs) == pytest.approx(expected, rel=0.05)


@pytest.mark.slow
def test_intervals_of_a_few_inputs_hold_the_truth() -> None:
    """Of seven inputs, plain percentiles hold it in nine of ten cases."""
    random = np.random.default_rng(8)
    before, noise = random.normal(size=(2, 7, 4000))
    found = changes([of("x", before, before + 1 + noise)], SEED, draws=1000)
    assert np.mean((found.low[0] <= 1) & (found.high[0] >= 1)) >= 0.93


def test_of_too_few_inputs_there_is_no_interval() -> None:
    random = np.random.default_rng(4)
    before, after = random.normal(size=(2, FEWEST, 5))
    enough = changes([of("x", before, after)], SEED)
    few = changes([of("x", before[1:], after[1:])], SEED)
    for name in ("low", "high", "rank_low", "rank_high"):
        assert np.isfinite(getattr(enough, name)).all() and np.isnan(getattr(few, name)).all()
    before[0, 2] = np.nan
    some = changes([of("x", before, after)], SEED)
    assert np.isnan(some.low[0]).tolist() == [False, False, True, False, False]


def test_what_is_measured_on_all_inputs_at_once_is_said_itself() -> None:
    random = np.random.default_rng(5)
    before, after = random.normal(size=(2, 9, 3))
    whole = np.array([[0.5, 1, 2], [0.25, 3, 2]])
    plain = changes([of("x", before, after)], SEED)
    found = changes([Measured("x", before, after, whole)], SEED)
    np.testing.assert_array_equal(found.before[0], whole[0])
    np.testing.assert_array_equal(found.after[0], whole[1])
    np.testing.assert_allclose(found.signed[0], [-0.25, 2, 0])
    np.testing.assert_allclose(found.change[0], [0.25, 2, 0])
    np.testing.assert_array_equal(found.noise, plain.noise)
    np.testing.assert_allclose(found.ratio[0], [0.25, 2, 0] / plain.noise[0])
    np.testing.assert_allclose(found.high - found.low, plain.high - plain.low)
    np.testing.assert_allclose(found.low - found.signed, plain.low - plain.signed)
