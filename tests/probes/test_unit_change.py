"""Units of two models side by side: by hand, against other arithmetic, permuted, silenced, and of itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.stats import spearmanr

from generator.probes.unit_change import another, compare_units, moved, shared
from generator.probes.unit_order import FAR, match_units
from generator.probes.unit_responses import Responses


def responses(peak: np.ndarray, layer: str = "conv", top: np.ndarray | None = None) -> Responses:
    """With the means half as large, and the exemplars that these peaks have."""
    ranked = np.argsort(-peak, axis=0, kind="stable")[:9].T
    return Responses(layer, peak, peak / 2, ranked if top is None else top)


def some(seed: int, inputs: int = 60, units: int = 12) -> np.ndarray:
    """Responses that are never below zero, and not alike."""
    return np.maximum(np.random.default_rng(seed).normal(size=(inputs, units)), 0).astype(
        np.float32
    )


def test_a_model_against_itself_is_zero_everywhere():
    own = (responses(some(0)), responses(some(1), "late"))
    found = compare_units(own, own, 3)
    assert (found.ratio == 0).all() and (found.mean_ratio == 0).all()
    assert (found.shared == 1).all() and (found.correlation == 1).all()
    assert (found.mean_before == found.mean_after).all()
    assert (found.mean_low == 0).all() and (found.mean_high == 0).all()
    assert (found.partner == found.unit).all() and not any(one.reordered for one in found.layers)
    assert found.rank.tolist() == list(range(1, 25))
    assert (found.rank_low == 1).all() and (found.rank_high == 24).all()
    # The random pairs are of other units, and are far from it.
    assert found.shared_random.mean() < 0.4 and abs(found.correlation_random).mean() < 0.2
    assert 0.8 < np.median(found.ratio_random) < 1.2


def test_statistics_are_those_of_other_libraries():
    one, other = some(0), some(0) + 0.3 * some(5)
    found = compare_units([responses(one)], [responses(other)], 0)
    for unit in range(12):
        a, b = one[:, unit].astype(float), other[:, unit].astype(float)
        assert found.correlation[unit] == pytest.approx(spearmanr(a, b).statistic, abs=2e-6)
        spread = a.var(ddof=1) + b.var(ddof=1)
        assert found.ratio[unit] == pytest.approx(np.sqrt(np.mean((a - b) ** 2) / spread), rel=1e-6)
        tops = [set(np.argsort(-each, kind="stable")[:9].tolist()) for each in (a, b)]
        assert found.shared[unit] == pytest.approx(len(tops[0] & tops[1]) / 9)
        assert found.mean_before[unit] == pytest.approx(a.mean() / 2)
        low, high = found.mean_low[unit], found.mean_high[unit]
        assert low < b.mean() / 2 - a.mean() / 2 < high


def test_exemplars_are_counted_over_as_many_as_both_keep():
    one = np.array([[4, 2, 7], [4, 2, -1], [-1, -1, -1]])
    other = np.array([[2, 4, 9], [9, 4, 2], [1, 2, 3]])
    assert shared(one, other).tolist()[:2] == [2 / 3, 1 / 2]  # of {4, 2} and {9, 4}
    assert np.isnan(shared(one, other)[2])


def test_a_unit_that_answers_as_to_another_input_is_at_one():
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 4000, 3))
    ratio, drawn = moved(one, other, 0)
    assert ratio == pytest.approx(np.ones(3), abs=0.05)
    assert drawn.shape == (200, 3) and abs(drawn.mean() - 1) < 0.05


def test_a_silenced_unit_comes_first():
    one = some(0) + 0.5
    other = one + 0.2 * some(9)
    other[:, 7] = 0
    top = np.argsort(-other, axis=0, kind="stable")[:9].T
    top[7] = -1
    found = compare_units([responses(one)], [responses(other, top=top)], 0)
    assert found.order[0] == 7 and found.rank_high[7] == 1
    values = one[:, 7].astype(float)
    assert found.ratio[7] == pytest.approx(np.sqrt(np.mean(values**2) / values.var(ddof=1)))
    assert np.isnan(found.correlation[7]) and np.isnan(found.shared[7])


def test_what_never_changes_over_inputs_is_zero_or_without_measure():
    one = np.ones((20, 2), np.float32)
    other = np.stack([np.ones(20), np.full(20, 1.5)], 1).astype(np.float32)
    assert moved(one, other, 0)[0].tolist() == [0, np.inf]


def test_an_input_without_a_number_is_left_out_of_its_layer_alone():
    one, other, late, later = (some(seed) for seed in range(4))
    broken = other.copy()
    broken[5, 2] = np.nan
    both = [responses(one), responses(late, "late")], [responses(other), responses(later, "late")]
    whole = compare_units(*both, 0)
    top = responses(other).top
    found = compare_units(both[0], [responses(broken, top=top), both[1][1]], 0)
    assert found.inputs == 60 and found.read.tolist() == [59, 60]
    names = (
        "ratio",
        "ratio_random",
        "correlation",
        "mean_before",
        "mean_after",
        "mean_low",
        "mean_ratio",
    )
    for name in names:
        assert (getattr(found, name)[12:] == getattr(whole, name)[12:]).all()
    rest = np.arange(60) != 5
    tops = responses(one).top, top
    pair = (responses(each[rest], top=t) for each, t in zip((one, other), tops, strict=True))
    without = compare_units(*([each] for each in pair), 0)
    for name in ("ratio", "ratio_random", "shared", "correlation", "mean_before", "mean_after"):
        assert getattr(found, name)[:12] == pytest.approx(getattr(without, name), rel=1e-6)


def test_permuted_units_are_found_equal():
    one = some(0, units=20)
    one[:, 4] = one[:, 11] = 0  # two that are silent anyway
    order = np.random.default_rng(1).permutation(20)
    found = compare_units([responses(one)], [responses(one[:, order])], 0)
    (match,) = found.layers
    assert match.reordered and match.matched == pytest.approx(1) and match.own < 0.5
    assert match.floor < 0.8 and match.matched - match.in_place > FAR
    assert (one[:, order][:, found.partner] == one).all()
    assert (found.ratio == 0).all() and np.nanmin(found.correlation) == 1
    living = np.delete(np.arange(20), [4, 11])
    assert (found.shared[living] == 1).all()


def test_places_are_kept_where_a_matching_gains_little():
    one = some(0, units=20)
    near = one + 0.3 * some(3, units=20)
    match = match_units("conv", one, near, (0, 0))
    assert not match.reordered and (match.partner == np.arange(20)).all()
    strangers = match_units("conv", one, some(8, units=20), (0, 0))
    assert not strangers.reordered  # the best matching to shuffled inputs is as good
    assert strangers.matched - strangers.floor < FAR


def test_the_shortcut_for_places_is_what_the_assignment_would_be():
    one = some(0, units=20)
    near = one + 0.1 * some(3, units=20)
    likeness = np.corrcoef(one.T, near.T)[:20, 20:]
    assert (linear_sum_assignment(-likeness)[1] == np.arange(20)).all()
    match = match_units("conv", one, near, (0, 0))
    assert match.own == 1 and match.in_place == pytest.approx(np.diag(likeness).mean(), abs=1e-5)


@pytest.mark.parametrize("units", [2, 3, 50])
def test_a_random_pair_is_never_the_unit_itself(units):
    drawn = another(units, (4, 2))
    assert sorted(drawn.tolist()) == list(range(units))
    assert (drawn != np.arange(units)).all()
    assert another(1, (0, 0)).tolist() == [0]


def test_layers_that_one_lacks_are_left_out():
    one, late = responses(some(0)), responses(some(1, units=5), "late")
    wider = responses(some(2, units=6), "late")
    found = compare_units([one, late], [one, wider], 0)
    assert [match.layer for match in found.layers] == ["conv"]
    with pytest.raises(ValueError, match="no layer of units in common"):
        compare_units([late], [wider], 0)


def test_rank_intervals_of_half_the_inputs_cover_the_rank_of_all():
    random = np.random.default_rng(2)
    covered = []
    for _ in range(10):
        one = random.normal(size=(240, 20))
        other = one + np.linspace(0.05, 1.5, 20) * random.normal(size=one.shape)
        whole = compare_units([responses(one)], [responses(other)], 0)
        half = random.permutation(240)[:120]
        found = compare_units([responses(one[half])], [responses(other[half])], 0)
        covered.append((found.rank_low <= whole.rank) & (whole.rank <= found.rank_high))
    assert np.mean(covered) > 0.9
