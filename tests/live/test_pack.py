"""Weights in few bytes: what was quantised comes back as it was, the rest within half a step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.errors import CutawayError
from generator.live import pack

# What llama.cpp writes, by its own reader in Python: an implementation that shares nothing with ours.
FORMATS = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")


def gaussian(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def quantised(kind: str, values: np.ndarray) -> np.ndarray:
    import gguf

    form = gguf.GGMLQuantizationType[kind]
    return gguf.quants.dequantize(gguf.quants.quantize(values, form), form)


def large(**tensors: np.ndarray) -> dict[str, np.ndarray]:
    """With another tensor behind them."""
    return tensors | {"other": gaussian(512, 520, seed=9)}


def back(tensors: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, pack.Stored]]:
    data, table = pack.packed(tensors)
    values = pack.unpacked(data, table)
    found = {one.name: values[one.at : one.at + one.count].reshape(one.shape) for one in table}
    return found, {one.name: one for one in table}


@pytest.mark.parametrize("kind", FORMATS)
def test_what_was_quantised_comes_back_bit_for_bit(kind):
    values = quantised(kind, gaussian(1056, 64))
    values[3, :32] = 0
    found, table = back(large(weight=values))
    assert table["weight"].codec == pack.EXACT
    assert table["weight"].bits == (4 if kind.startswith("Q4") else 8)
    np.testing.assert_array_equal(found["weight"], values)


@pytest.mark.parametrize("kind", FORMATS)
def test_one_value_that_is_off_by_its_last_bit_is_not_taken_for_quantised(kind):
    values = quantised(kind, gaussian(1056, 64))
    values[50, 20] = np.nextafter(values[50, 20], np.float32(9))
    assert pack.exact_blocks(values) is None
    _, table = back(large(weight=values))
    assert table["weight"].codec == pack.WHOLE


def test_whole_numbers_are_off_by_half_a_step_at_most():
    values = gaussian(2000, 33) * np.exp(gaussian(2000, 1, seed=1) * 5)
    found, table = back(large(weight=values))
    assert table["weight"].codec == pack.WHOLE
    flat = np.pad(values.reshape(-1), (0, -values.size % 32)).reshape(-1, 32)
    step = np.repeat(np.abs(flat).max(-1) / 32_767, 32)[: values.size].reshape(values.shape)
    apart = np.abs(found["weight"].astype(np.float64) - values)
    assert (apart <= 0.51 * step).all()
    assert apart.max() > 0  # the bound says something


@given(st.integers(0, 2**31), st.integers(1100, 1150), st.integers(60, 70), st.floats(1e-30, 1e30))
def test_any_tensor_comes_back_near_itself(seed, rows, columns, scale):
    values = gaussian(rows, columns, seed=seed) * np.float32(scale)
    found, _ = back(large(weight=values))
    assert np.abs(found["weight"] - values).max() <= np.abs(values).max() / 65_000


def test_vectors_and_small_tensors_stay_as_they_are():
    tensors = {"norm": gaussian(70_000), "weight": gaussian(200, 300)}
    found, table = back(large(**tensors))
    assert table["norm"].codec == table["weight"].codec == pack.RAW
    for name, values in tensors.items():
        np.testing.assert_array_equal(found[name], values)


def test_tensors_lie_one_after_the_other_at_multiples_of_four():
    tensors = large(a=gaussian(257, 257), b=gaussian(7), c=quantised("Q4_0", gaussian(2048, 32)))
    data, table = pack.packed(tensors)
    assert [one.start % 4 for one in table] == [0] * len(table)
    assert [one.at for one in table] == [0, 257**2, 257**2 + 7, 257**2 + 7 + 2**16]
    assert table[-1].start < len(data)
    assert pack.sizes(table) == {pack.WHOLE: 257**2 + 512 * 520, pack.RAW: 7, pack.EXACT: 2**16}


def test_two_times_the_same_bytes():
    tensors = large(weight=gaussian(400, 640))
    one, other = pack.packed(tensors), pack.packed(tensors)
    np.testing.assert_array_equal(one[0], other[0])
    assert one[1] == other[1]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_refused(wrong):
    values = gaussian(4, 4)
    values[1, 2] = wrong
    with pytest.raises(CutawayError, match="weight"):
        pack.packed({"weight": values})


@pytest.mark.parametrize("kind", ["Q4_1", "Q8_0", ""])
def test_the_size_is_told_before_anything_is_packed(kind):
    values = gaussian(768, 768)
    tensors = {"a": quantised(kind, values) if kind else values, "b": gaussian(768)}
    data, _ = pack.packed(tensors)
    assert pack.likely_bytes(tensors.values()) == pytest.approx(len(data), rel=0.001)
