"""Intervals of shares: Wilson's, and never outside 0 to 1."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from generator.cards.evaluated import evaluation_blocks
from generator.techniques.evaluation_record import Data, Evaluation
from generator.uncertainty import share_interval


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_scipy_s_and_stays_in_0_to_1(counted):
    right, of = counted
    theirs = binomtest(right, of).proportion_ci(0.95, "wilson")
    low, high = share_interval(right / of, of)
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-5)
    assert 0 <= low <= right / of + 1e-9 and right / of - 1e-9 <= high <= 1


def test_nothing_counted_has_no_interval():
    assert all(math.isnan(end) for end in share_interval(0.0, 0))


def test_one_picture_that_was_named_rightly_says_little():
    data = Data("image-classification", "x", "x", "x")
    one = Evaluation(
        key="k",
        title="Accuracy",
        data=data,
        metric="accuracy",
        metric_name="Accuracy",
        value=1.0,
        error=0.219,
        count=1,
        counted="pictures",
        unit="share",
        definition="D.",
        controls=(),
    )
    table, _ = evaluation_blocks([one])
    assert table.rows[0][2][0].text == "100.0\u00a0% (20.7\u00a0% to 100.0\u00a0%)"
