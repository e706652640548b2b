"""One convention for standard deviations, and nothing where there is none."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.probes.heads import Statistic
from generator.table import Table
from generator.uncertainty import sample_deviation

GENERATOR = Path(__file__).parents[2] / "generator"


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9))
def test_it_is_that_of_a_sample(values):
    assert sample_deviation(np.array(values)) == pytest.approx(statistics.stdev(values), abs=1e-9)


def test_one_value_has_none_and_its_cell_is_empty():
    assert np.isnan(sample_deviation(np.array([3.0])))
    assert np.isnan(sample_deviation(np.zeros((1, 2, 2)))).all()
    assert np.isnan(sample_deviation(np.array([np.nan, 3.0])))
    table = Table("a.csv", lambda: (("a", "b"), [(1.0, sample_deviation(np.array([3.0])))]))
    assert table.csv == "a,b\n1,\n"
    assert table.records == [{"a": "1", "b": ""}]


def test_a_statistic_of_one_text_has_no_spread():
    values = np.array([[[1.0, 2.0]], [[3.0, 6.0]], [[np.nan, np.nan]]])
    several = Statistic("x", values, np.zeros(3))
    np.testing.assert_allclose(several.spread, [[2**0.5, 8**0.5]])
    assert np.isnan(Statistic("x", values[1:], np.zeros(2)).spread).all()


def test_no_module_takes_a_deviation_in_another_way():
    plain = re.compile(r"np\.(nan)?std\(|\.std\([^)]|np\.(nan)?var\(")
    found = {
        path.name
        for path in GENERATOR.rglob("*.py")
        if plain.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"uncertainty.py"}
