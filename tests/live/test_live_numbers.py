"""What a browser makes of the outputs of a network that reads, held against the functions of the probes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page
from small_site import CHECKOUT

from generator.formatting import number, percent
from generator.probes.head_statistic import Scene
from generator.probes.head_statistics import BY_COLUMN
from generator.probes.heads import duplicate_token, uniform_attention
from generator.techniques.components import UNIT

IDS = [7, 3, 3, 9, 7, 7, 1, 3]


@pytest.fixture(scope="module")
def script(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.add_script_tag(path=CHECKOUT / "site_src" / "javascripts" / "live-numbers.js")
    yield page
    page.close()


def attention(causal: bool, heads: int = 5, count: int = len(IDS)) -> np.ndarray:
    """Weights (heads, n, n) of every sharpness, some of them zero."""
    scores = np.random.default_rng(3).normal(size=(heads, count, count)) * 4
    scores[..., 2] = -np.inf
    scores[..., 0, :] = 0
    if causal:
        scores[:, ~np.tri(count, dtype=bool)] = -np.inf
    found = np.exp(scores - scores.max(-1, keepdims=True))
    return (found / found.sum(-1, keepdims=True)).astype(np.float32)


STATISTICS = """([weights, ids]) => {
  const earlier = cutawayNumbers.copies(ids);
  return weights.map((one) => {
    const found = cutawayNumbers.statistics(Float32Array.from(one), earlier);
    const told = ([key, value]) => [key, Number.isNaN(value) ? null : value];
    return Object.fromEntries(Object.entries(found).map(told));
  });
}"""


def measured(script: Page, weights: np.ndarray, ids: list[int]) -> dict[str, np.ndarray]:
    """Each statistic of all heads as the browser computes it."""
    flat = [one.ravel().tolist() for one in weights]
    rows = script.evaluate(STATISTICS, [flat, ids])
    return {key: np.array([row[key] for row in rows], dtype=float) for key in rows[0]}


@pytest.mark.parametrize("causal", [False, True])
def test_statistics_equal_those_of_the_probes(script, causal):
    weights = attention(causal)
    found = measured(script, weights, IDS)
    scene = Scene(causal=causal)
    for column in ("entropy_nats", "mean_distance", "previous_token", "next_token", "sink_mass"):
        expected = BY_COLUMN[column].compute(weights, scene)
        np.testing.assert_allclose(found[column], expected, atol=2e-6, err_msg=column)
    np.testing.assert_allclose(found["duplicate_token"], duplicate_token(weights, IDS), atol=2e-6)
    np.testing.assert_allclose(
        found["itself"], np.diagonal(weights, axis1=-2, axis2=-1).mean(-1), atol=2e-6
    )
    # A control: the same numbers are not those of the map turned over, where directions count.
    turned = measured(script, np.ascontiguousarray(weights.swapaxes(-1, -2)), IDS)
    for column in ("previous_token", "next_token", "sink_mass", "duplicate_token"):
        assert np.abs(turned[column] - found[column]).max() > 0.01, column


def test_one_token_has_no_neighbours_and_no_copies(script):
    found = measured(script, np.ones((1, 1, 1), np.float32), [5])
    undefined = {key for key, value in found.items() if np.isnan(value).all()}
    assert undefined == {"previous_token", "next_token", "sink_mass", "duplicate_token"}
    assert np.isnan(
        measured(script, attention(True, count=4), [1, 2, 3, 4])["duplicate_token"]
    ).all()


def test_every_column_is_told_and_no_causal_head_looks_ahead(script):
    told, causal = (
        script.evaluate(f"() => cutawayNumbers.statisticsOf({flag}).map((one) => one.key)")
        for flag in ("false", "true")
    )
    assert set(told) == set(measured(script, attention(False), IDS))
    assert set(told) - set(causal) == {"next_token"}
    # Names are those of the tables, but of what only this page has and of the sink's plain name.
    names = script.evaluate(
        "() => Object.fromEntries(cutawayNumbers.statisticsOf(false).map((one) => [one.key, one.name]))"
    )
    same = {key for key, name in names.items() if key in BY_COLUMN and BY_COLUMN[key].name == name}
    assert set(names) - same == {"sink_mass", "itself"}


@pytest.mark.parametrize("causal", [False, True])
def test_the_even_spread_is_that_of_the_probes(script, causal):
    found = script.evaluate(f"() => Array.from(cutawayNumbers.even(6, {str(causal).lower()}))")
    assert np.array_equal(
        np.array(found, np.float32), uniform_attention(6, causal).ravel().astype(np.float32)
    )


@pytest.mark.parametrize("causal", [False, True])
def test_weights_become_the_whole_numbers_that_pages_have(script, causal):
    weights = np.random.default_rng(1).random((2, 3, 9, 9), dtype=np.float32)
    halves = (np.arange(81) + 0.5) / UNIT  # between two whole numbers: to the even one
    weights[0, 0] = halves.reshape(9, 9).astype(np.float32)
    code = "([w, causal]) => Array.from(cutawayNumbers.whole(Float32Array.from(w), 9, causal))"
    found = script.evaluate(code, [weights.ravel().tolist(), causal])
    whole = np.rint(weights * UNIT).astype(np.uint16)  # as techniques/components.py does it
    expected = whole[..., np.tri(9, dtype=bool)] if causal else whole
    assert found == expected.ravel().tolist()


UNBALANCE = """(weights) => {
  const off = cutawayNumbers.unbalance(Float32Array.from(weights, (one) => one ?? NaN), 8);
  return Number.isFinite(off) ? off : 1e9;
}"""


def test_rows_that_do_not_sum_to_one_are_seen(script):
    def off(weights: np.ndarray) -> float:
        flat = [None if math.isnan(one) else one for one in weights.ravel().tolist()]
        return script.evaluate(UNBALANCE, flat)

    good = attention(True)
    assert off(good) < 1e-5
    bad = good.copy()
    bad[3, 4] *= 1.01
    assert 0.009 < off(bad) < 0.011
    bad[0, 1, 0] = np.nan
    assert off(bad) == 1e9


def test_guesses_and_lens_equal_torch(script):
    rows = torch.randn(4, 50, generator=torch.Generator().manual_seed(2)) * 3
    rows[2, 10] = rows[2, 20] = rows[2].max() + 1  # a tie: the lower id first
    code = "([rows, width]) => cutawayNumbers.lens(Float32Array.from(rows), width)"
    found = script.evaluate(code, [rows.flatten().tolist(), 50])
    logs = rows.double().log_softmax(-1)
    answer = int(logs[-1].argmax())
    for row, one in zip(logs, found, strict=True):
        order = torch.argsort(row, descending=True, stable=True)[:5].tolist()
        assert [guess["id"] for guess in one["guesses"]] == order
        np.testing.assert_allclose(
            [guess["share"] for guess in one["guesses"]], row[order].exp(), rtol=1e-6
        )
        assert one["rank"] == int((row > row[answer]).sum()) + 1
        np.testing.assert_allclose(one["share"], float(row[answer].exp()), rtol=1e-6)
        apart = float((logs[-1].exp() * (logs[-1] - row)).sum())
        np.testing.assert_allclose(one["apart"], apart, atol=1e-9)
    assert found[2]["guesses"][0]["id"] == 10 and found[2]["guesses"][1]["id"] == 20
    alone = script.evaluate(
        "(row) => cutawayNumbers.guesses(Float32Array.from(row))", rows[-1].tolist()
    )
    assert alone == found[-1]["guesses"]


def test_numbers_are_written_as_pages_write_them(script):
    random = np.random.default_rng(0)
    values = [*(random.normal(size=300) * 10.0 ** random.integers(-8, 5, 300)).tolist()]
    values += [0.0, 1.0, -1.0, 0.9996, 99.96, 1e-9, -1e-9, 5e-4, 12345.6]
    found = script.evaluate("(all) => all.map((one) => cutawayNumbers.number(one))", values)
    assert found == [number(value) for value in values]
    shares = [*random.random(300).tolist(), 0.0, 1.0, 1e-7, 4e-4, 6e-4, 0.9999]
    found = script.evaluate("(all) => all.map((one) => cutawayNumbers.percent(one))", shares)
    assert found == [percent(share) for share in shares]
    none = "[NaN, Infinity, -Infinity]"
    for write in ("number", "percent"):
        found = script.evaluate(f"() => {none}.map((one) => cutawayNumbers.{write}(one))")
        assert found == ["–", "∞", "–"]
