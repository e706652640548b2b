"""Numbers as pages write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.formatting import fixed, number, percent


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (-0.0, "0"),
        (-1.234, "−1.23"),
        (-0.25, "−0.250"),
        (-1.2e-7, "−1.2·10⁻⁷"),
        (1.2e-7, "1.2·10⁻⁷"),
    ],
)
def test_a_minus_is_a_minus_sign(value, shown):
    assert number(value) == shown


def test_what_is_rounded_to_zero_has_no_sign():
    assert (fixed(-0.0, 1), fixed(-0.04, 1), fixed(-0.06, 1)) == ("0.0", "0.0", "−0.1")
    assert percent(-0.0001) == "0.0\u00a0%" and percent(-0.25) == "−25.0\u00a0%"


@given(st.floats(-1e6, 1e6))
def test_no_hyphen_and_no_negative_zero_is_written(value):
    for text in (number(value), fixed(value, 1), percent(value)):
        assert "-" not in text
        read = text.split("·")[0].split("%")[0].replace("−", "-").strip("< \u00a0")
        assert not (read.startswith("-") and float(read) == 0)
    if abs(value) > 0.01:
        assert math.isclose(
            float(number(value).replace("−", "-")), value, rel_tol=6e-3, abs_tol=6e-4
        )
