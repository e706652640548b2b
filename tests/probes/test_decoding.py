"""Logit lens and logit attribution: sums that must close, and what other hands compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from independent import bridge_of, cache_of
from small_site import DECODER_LAYERS
from tiny_transformers import tiny, tokens

from generator.models.randomise import random_twin
from generator.models.stream import find_ends
from generator.models.text_model import Encoding
from generator.probes.decoding import TOP, attribute_logit, lens_logits, logit_lens
from generator.store import Store

DECODERS = ["gpt2", "opt", "llama", "qwen2", "gemma", "neox", "qwen3"]
IDS = tuple(range(1000, 1011))


def _encoding(ids):
    return Encoding(tuple(ids), tuple(str(i) for i in ids))


@pytest.mark.parametrize("family", DECODERS)
def test_the_lens_behind_the_last_block_is_the_model(family):
    model, ids = tiny(family), tokens(tiny(family))
    *_, last = lens_logits(model, find_ends(model), ids)
    torch.testing.assert_close(last, model.run(ids).logits[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", DECODERS)
def test_the_shares_of_a_logit_sum_to_it(family, tmp_path):
    model, ids = tiny(family), tokens(tiny(family))
    found = attribute_logit(model, "t", _encoding(ids), Store(tmp_path))
    logits = model.run(ids).logits[0, -1]
    assert found.reason == ""
    assert found.token_id == int(logits.argmax())
    assert found.shares.total == pytest.approx(float(logits.max()), abs=1e-4)
    above = float(logits.max() - logits.mean())
    assert found.above_mean.total == pytest.approx(above, abs=1e-4)
    assert found.shares.heads.shape == (3, 4)


@pytest.fixture(scope="module")
def lens(smollm2_model, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return logit_lens(smollm2_model, "t", _encoding(IDS), store)


def test_the_lens_on_smollm2_is_that_of_another_implementation(smollm2_model, lens):
    logits, record = cache_of(smollm2_model, IDS)
    bridge = bridge_of(smollm2_model)
    assert lens.ids.shape == (DECODER_LAYERS + 1, len(IDS), TOP)
    for row in (1, 4, DECODER_LAYERS):
        with torch.no_grad():
            stream = record[f"blocks.{row - 1}.hook_resid_post"]
            other = bridge.unembed(bridge.ln_final(stream))[0].softmax(-1)
        np.testing.assert_allclose(
            lens.probabilities[row], np.take_along_axis(other.numpy(), lens.ids[row], 1), atol=1e-5
        )
        np.testing.assert_allclose(lens.probabilities[row, :, 0], other.max(-1).values, atol=1e-5)
    assert (lens.ids[-1, :, 0] == logits[0].argmax(-1).numpy()).all()


def test_behind_the_last_block_the_final_token_ranks_first_and_nothing_diverges(lens):
    assert (lens.final_rank[-1] == 1).all()
    np.testing.assert_allclose(lens.divergence[-1], 0, atol=1e-6)
    np.testing.assert_allclose(lens.final_probability[-1], lens.probabilities[-1, :, 0], atol=1e-6)
    assert (lens.divergence[0] > 1).all()
    assert lens.final_rank[0].min() > 1


def test_divergence_and_rank_agree_with_slow_loops(tmp_path):
    model, ids = tiny("llama"), tokens(tiny("llama"))
    found = logit_lens(model, "t", _encoding(ids), Store(tmp_path))
    rows = [row.double().softmax(-1).numpy() for row in lens_logits(model, find_ends(model), ids)]
    for row in range(4):
        for place in range(len(ids)):
            mine, final = rows[row][place], rows[-1][place]
            expected = sum(p * np.log(p / q) for p, q in zip(final, mine, strict=True))
            assert found.divergence[row, place] == pytest.approx(expected, abs=1e-5)
            above = sum(q > mine[final.argmax()] for q in mine)
            assert found.final_rank[row, place] == above + 1


def test_attribution_on_smollm2_is_that_of_another_implementation(smollm2_model, tmp_path):
    found = attribute_logit(smollm2_model, "t", _encoding(IDS), Store(tmp_path))
    logits, record = cache_of(smollm2_model, IDS)
    module = smollm2_model.module
    stream = record[f"blocks.{DECODER_LAYERS - 1}.hook_resid_post"][0, -1]
    gain = module.model.norm.weight
    rms = (stream.square().mean() + module.config.rms_norm_eps).sqrt()
    aim = gain * module.lm_head.weight[found.token_id] / rms
    assert found.logit == pytest.approx(float(logits[0, -1].max()), abs=1e-4)
    assert found.shares.total == pytest.approx(found.logit, abs=1e-4)
    for layer in (0, 4, DECODER_LAYERS - 1):
        z = record[f"blocks.{layer}.attn.o.hook_in"][0, -1].reshape(9, 64)
        rows = module.model.layers[layer].self_attn.o_proj.weight.t().reshape(9, 64, -1)
        expected = torch.einsum("hd,hdw,w->h", z, rows, aim)
        np.testing.assert_allclose(found.shares.heads[layer], expected, atol=1e-5)
        written = record[f"blocks.{layer}.mlp.hook_out"][0, -1]
        assert found.shares.mlps[layer] == pytest.approx(float(written @ aim), abs=1e-5)
    embedded = record["hook_embed"][0, -1]
    assert found.shares.embedding == pytest.approx(float(embedded @ aim), abs=1e-5)


def test_an_encoder_has_no_next_token(minilm_model, tmp_path):
    store = Store(tmp_path)
    assert "encoder" in logit_lens(minilm_model, "t", _encoding(IDS), store).reason
    assert "encoder" in attribute_logit(minilm_model, "t", _encoding(IDS), store).reason


def test_a_head_that_caps_its_logits_is_refused(tmp_path):
    model = tiny("gemma2")
    found = logit_lens(model, "t", _encoding(tokens(model)), Store(tmp_path))
    assert found.reason == "gemma2: its logits are not one matrix times the final state."
    assert found.ids.shape[0] == 0


def test_norms_behind_heads_are_refused_for_attribution(tmp_path):
    # Gemma 2 without its cap: what heads write passes a norm before it enters the stream.
    model = tiny("gemma2-uncapped")
    found = attribute_logit(model, "t", _encoding(tokens(model)), Store(tmp_path))
    assert "not the sum of what its heads and its MLP write" in found.reason
    assert logit_lens(model, "t", _encoding(tokens(model)), Store(tmp_path)).reason == ""


def test_a_random_twin_has_the_shape_and_other_weights():
    model = tiny("llama")
    twin, again, other = random_twin(model, 1), random_twin(model, 1), random_twin(model, 2)
    assert twin.key == again.key
    assert twin.key != model.key
    assert twin.key != other.key
    assert [type(block) for block in twin.blocks] == [type(block) for block in model.blocks]
    assert twin.run(tokens(model)).logits.shape == model.run(tokens(model)).logits.shape
    assert set(twin.module.modules()).isdisjoint(model.module.modules())
    assert all(block in set(twin.module.modules()) for block in twin.blocks)
