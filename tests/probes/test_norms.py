"""Norm-weighted maps and rollout: sums that must close, and what other hands compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from independent import cache_of
from tiny_transformers import FAMILIES, tiny, tokens

from generator.errors import CutawayError
from generator.models.heads_access import attention_meetings, find_heads
from generator.models.stream import watch
from generator.models.text_model import Encoding
from generator.probes.attention import attention_weights
from generator.probes.norms import measure_norms, rollout, sink_masked, weighted
from generator.store import Store

IDS = tuple(range(1000, 1011))


def check_sums(model, ids):
    """Sum over heads and keys of A f(x), and the bias, is what the attention hands on."""
    seen = watch(model, ids)
    for place, call in zip(find_heads(model), attention_meetings(model, ids), strict=True):
        vectors = torch.einsum("hij,hjd,hdw->iw", call.weights, call.value, place.output)
        made = seen.outputs[place.projection].reshape(len(ids), -1)
        torch.testing.assert_close(vectors + place.output_bias, made, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_norm_weighted_vectors_of_all_heads_sum_to_the_attention_output(family):
    check_sums(tiny(family), tokens(tiny(family)))


@pytest.mark.parametrize("name", ["minilm_model", "smollm2_model"])
def test_norm_weighted_vectors_sum_to_the_attention_output_of_real_models(name, request):
    check_sums(request.getfixturevalue(name), IDS)


@pytest.mark.parametrize("name", ["minilm_model", "smollm2_model"])
def test_value_norms_are_those_of_another_implementation(name, request, tmp_path):
    model = request.getfixturevalue(name)
    found = measure_norms(model, "t", _encoding(IDS), Store(tmp_path))
    _, record = cache_of(model, IDS)
    places = find_heads(model)
    assert found.value.shape == found.output.shape == (len(places), model.heads, len(IDS))
    for layer in (0, len(places) // 2, len(places) - 1):
        raw = record[f"blocks.{layer}.attn.v.hook_out"][0]
        values = raw.reshape(len(IDS), model.kv_groups, -1)
        block = model.blocks[layer]
        if name == "smollm2_model":
            written = block.self_attn.o_proj.weight.t()
        else:
            written = block.attention.output.dense.weight.t()
        for head in range(model.heads):
            mine = values[:, head // (model.heads // model.kv_groups)]
            rows = written[head * model.head_width : (head + 1) * model.head_width]
            np.testing.assert_allclose(found.value[layer, head], mine.norm(dim=-1), rtol=1e-5)
            np.testing.assert_allclose(
                found.output[layer, head], (mine @ rows).norm(dim=-1), rtol=2e-5
            )


def test_what_attention_reads_is_what_the_model_reports(smollm2_model):
    calls = attention_meetings(smollm2_model, IDS)
    reported = smollm2_model.run(IDS, attentions=True).attentions
    for call, weights in zip(calls, reported, strict=True):
        torch.testing.assert_close(call.weights, weights[0], rtol=0, atol=1e-6)
        scores = call.query @ call.key.transpose(1, 2) * call.scaling
        scores = scores.masked_fill(~torch.ones(len(IDS), len(IDS)).tril().bool(), -torch.inf)
        torch.testing.assert_close(scores.softmax(-1), call.weights, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["minilm_model", "smollm2_model"])
def test_attention_weights_are_those_of_another_implementation(name, request):
    model = request.getfixturevalue(name)
    found = attention_weights(model, IDS)
    _, record = cache_of(model, IDS)
    assert len(found) == len(model.blocks)
    for layer, weights in enumerate(found):
        other = record[f"blocks.{layer}.attn.hook_pattern"][0]
        np.testing.assert_allclose(weights, other, atol=1e-5, rtol=0)


def test_reading_attention_leaves_nothing_behind(minilm_model):
    before = minilm_model.run(IDS).last_hidden_state
    attention_meetings(minilm_model, IDS)
    assert torch.equal(minilm_model.run(IDS).last_hidden_state, before)


def test_special_tokens_and_the_first_one_are_sinks(minilm_model, tmp_path):
    tokenizer = minilm_model.tokenizer
    ids = (tokenizer.cls_token_id, 2054, 2003, tokenizer.sep_token_id)
    assert measure_norms(minilm_model, "t", _encoding(ids), Store(tmp_path)).sinks == (0, 3)


def test_a_weighted_map_scales_columns_not_rows():
    weights = np.array([[[0.25, 0.75], [1.0, 0.0]]])
    lengths = np.array([[2.0, 10.0]])
    np.testing.assert_allclose(weighted(weights, lengths), [[[0.5, 7.5], [2.0, 0.0]]])


def test_rows_without_their_sinks_sum_to_one_or_are_empty():
    weights = np.array([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.9, 0.02, 0.08]]])
    found = sink_masked(weights, (0,))
    np.testing.assert_allclose(found, [[[0, 0, 0], [0, 1, 0], [0, 0.2, 0.8]]])
    assert weights[0, 0, 0] == 1  # what was given is left alone


def test_rollout_agrees_with_a_slow_product():
    random = np.random.default_rng(0)
    weights = random.dirichlet(np.ones(5), size=(3, 2, 5))
    found = rollout(weights)
    product = np.eye(5)
    for layer in range(3):
        mixed = np.zeros((5, 5))
        for i in range(5):
            for j in range(5):
                mixed[i, j] = 0.5 * np.mean([weights[layer, h, i, j] for h in range(2)])
            mixed[i, i] += 0.5
        product = mixed @ product
        np.testing.assert_allclose(found[layer], product, atol=1e-12)
    np.testing.assert_allclose(found.sum(-1), 1)


def test_rollout_of_heads_that_look_at_themselves_moves_nothing():
    np.testing.assert_allclose(
        rollout(np.eye(4)[None, None].repeat(3, 0)), np.eye(4)[None].repeat(3, 0)
    )


def test_a_model_whose_attention_cannot_be_read_gives_a_reason(minilm_model, tmp_path, monkeypatch):
    import generator.probes.norms as norms

    def refuse(*_):
        raise CutawayError("m: computes its attention in another way.")

    monkeypatch.setattr(norms, "find_heads", refuse)
    found = measure_norms(minilm_model, "t", _encoding(IDS), Store(tmp_path))
    assert found.reason == "m: computes its attention in another way."
    assert found.value.shape == (0, 0, len(IDS))


def _encoding(ids):
    return Encoding(tuple(ids), tuple(str(i) for i in ids))
