"""How far a layer sees: measured, stated on pages, and taken into account by what an even spread is."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from filled import filled
from hypothesis import given
from hypothesis import strategies as st
from runs import run_on
from test_other_transformers import CHOICES
from tiny_transformers import tiny, tokens

from generator.errors import CutawayError
from generator.inputs.texts import CuratedText
from generator.manifest import _model
from generator.models import text_trial
from generator.models.tokens import NO_LIMIT
from generator.models.windows import stated_windows, trial_length
from generator.probes.attention import Attention, attention_weights, visible
from generator.probes.heads import even_weights, uniform_attention
from generator.probes.queries import read_queries
from generator.probes.repeated_sequences import repeated_sequences
from generator.probes.roles import RULES, bar_in, thresholds
from generator.probes.stack_statistics import text_statistics

WINDOWS = {
    "mistral": (8, 8, 8),
    "starcoder2": (8, 8, 8),
    "gemma3": (8, 0, 8),
    "qwen2-window": (0, 8, 8),
    "gptneo": (0, 8, 0),
    "modernbert": (0, 5, 5),  # four to either side: both together are the stated eight
}


@pytest.mark.parametrize("family", list(WINDOWS))
def test_each_layers_window_is_measured(family):
    model = tiny(family)
    assert tuple(layer.window for layer in model.layers) == WINDOWS[family]
    assert model.windows == WINDOWS[family] == stated_windows(model.module.config, 3)
    weights = attention_weights(model, tokens(model, 30))
    for layer, window in enumerate(model.windows):
        seen = visible(30, model.causal, window)
        assert not weights[layer][:, ~seen].any() and (weights[layer][:, seen] > 0).all()


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert", "bloom"])
def test_a_model_without_windows_has_none_and_its_key_is_as_before(family):
    model = tiny(family)
    assert model.windows == () and "windows" not in model.key


def test_attention_in_chunks_is_refused_by_name():
    with pytest.raises(CutawayError, match="layer 0 sees some tokens and not others"):
        tiny("llama4")


def test_a_window_that_is_too_long_to_try_is_told_as_stated():
    model = replace(tiny("mistral"), max_tokens=NO_LIMIT)
    model.module.config.sliding_window = 100_000
    try:
        assert trial_length(model) == 48
        plain = replace(model, layers=tuple(replace(each, window=0) for each in model.layers))
        found = text_trial.tried(plain)
    finally:
        model.module.config.sliding_window = 8
    assert found.windows == (100_000,) * 3
    assert "see 100,000 tokens alone; the longest text that was tried" in found.provenance.notes[-1]


@given(length=st.integers(1, 12), window=st.integers(0, 14), causal=st.booleans())
def test_visible_keys_are_those_nearer_than_the_window(length, window, causal):
    seen = visible(length, causal, window)
    for i in range(length):
        for j in range(length):
            near = abs(i - j) < window or not window
            assert seen[i, j] == (near and (j <= i or not causal))
    even = uniform_attention(length, causal, window)
    assert np.allclose(even.sum(-1), 1) and ((even > 0) == seen).all()


def statistics_of(windows: tuple[int, ...], length: int, causal: bool):
    """All statistics of heads that spread their weight evenly, each layer over what it sees."""
    even = even_weights(length, causal, windows)
    weights = (
        even[:, None].repeat(2, 1) if even.ndim == 3 else np.tile(even, (len(windows), 2, 1, 1))
    )
    words = tuple(("a", ",", "b")[place % 3] for place in range(length))
    one = Attention("t", words, weights, causal, windows=windows if any(windows) else ())
    model = tiny("gpt2")
    repeated = repeated_sequences(model, 0, _Nowhere())
    return text_statistics([one, one], [frozenset(), frozenset()], repeated)


class _Nowhere:
    def result(self, _probe, _version, _parts, _kind, make):
        return make()


@pytest.mark.parametrize("causal", [True, False])
def test_an_even_spread_over_what_a_layer_sees_is_even(causal):
    found = statistics_of((5, 0, 3), 24, causal)
    for name in (
        "entropy_nats",
        "relative_entropy",
        "mean_distance",
        "sink_mass",
        "delimiter_mass",
    ):
        one = found[name]
        controls = [one.uniform_in(layer) for layer in range(3)]
        np.testing.assert_allclose(one.mean, np.array(controls)[:, None].repeat(2, 1), atol=1e-6)
    np.testing.assert_allclose(found["relative_entropy"].mean, 1, atol=1e-6)
    wide, narrow = (found["entropy_nats"].uniform_in(layer) for layer in (1, 2))
    assert narrow < math.log(5 + 1e-6) < wide
    bars = thresholds(RULES, found, {})
    assert bar_in(bars["previous token"], 2) > bar_in(bars["previous token"], 1)


def test_windows_longer_than_the_texts_change_nothing():
    plain, wide = statistics_of((0, 0, 0), 12, True), statistics_of((40, 40, 40), 12, True)
    for name, one in plain.items():
        np.testing.assert_array_equal(one.values, wide[name].values)
        assert wide[name].uniform == pytest.approx(one.uniform, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("family", ["mistral", "gemma3", "gptneo"])
def test_the_factor_of_scores_is_taken_over_visible_keys(family):
    model = tiny(family)
    ids = tokens(model, 30)
    found = read_queries(model, "t", type("E", (), {"ids": ids, "tokens": ("t",) * 30})())
    assert found.reason == "" and np.isfinite(found.scale).all()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["mistral", "gemma3", "modernbert"])
def test_pages_and_manifest_say_how_far_a_layer_sees(family, tmp_path):
    model, long = tiny(family), " ".join(f"w{place}" for place in range(20))
    texts = (
        CuratedText("long", long, "Long", ""),
        CuratedText("words", "rain fell on the old town w1 w2 rain fell", "Words", ""),
    )
    run = run_on(model, texts, tmp_path, **CHOICES)
    pages = {name: page.body for name, page in filled(run).items()}
    said = (
        "the last 8 tokens, itself among them" if model.causal else "up to 4 tokens to either side"
    )
    for layer in model.layers:
        folder = f"models/{model.id}/layers/{layer.name}"
        for address in (f"{folder}/index.html", f"{folder}/heads/0/index.html"):
            assert (said in pages[address]) == bool(layer.window), address
        assert "pairs of tokens that neither head can see" in pages[f"{folder}/heads/0/index.html"]
    assert said in pages[f"models/{model.id}/index.html"]
    assert all("e+38" not in body and "3402823" not in body for body in pages.values())
    stated = json.loads(json.dumps(_model(run)))
    assert stated["windows"] == {layer.name: layer.window for layer in model.layers}
    assert [check["name"] for check in stated["checks"]][:3] == ["Answer", "Attention", "Mask"]
