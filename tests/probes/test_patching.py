"""Activation patching: against TransformerLens and plain hooks, on a planted fact, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from independent import bridge_of
from runs import finding, run_on
from tiny_transformers import save_tiny, tiny, tiny_masked, tokenizer_of_words

from generator.card_schema import Pairs, PromptPair
from generator.errors import UsageError
from generator.exhibit import ModelSpec
from generator.inputs.texts import CuratedText
from generator.models.compat import repair_torchvision
from generator.models.load import load_model
from generator.probes.patched_runs import PARTS, STREAM, open_patcher
from generator.probes.patching import Patching, patch
from generator.probes.prompts import read_prompts
from generator.run import why_not
from generator.store import Store
from generator.techniques.patching import PATCHING, sentences, tables, view

FRAME = "w1 w2 {subject} w4 w5 w6 {answer} w7"
PAIR = PromptPair(
    id="p", title="A pair", frame=FRAME, subjects=("w8", "w9"), answers=("w10", "w11")
)


def _patched(model, folder, pair=PAIR, **how) -> Patching:
    return patch(model, pair, Store(folder), known=False, **how)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_every_grid_is_that_of_transformer_lens_both_ways(family, tmp_path):
    from transformer_lens import patching

    save_tiny(family, tmp_path)
    model = load_model(ModelSpec(id=family, source=str(tmp_path)), tmp_path, tmp_path)
    found, prompts = _patched(model, tmp_path / "store"), read_prompts(model, PAIR)
    assert not found.reason and set(found.shares) == set(PARTS)
    bridge, ids = bridge_of(model), [torch.tensor([one]) for one in prompts.ids]
    right, wrong = prompts.answers
    theirs = {
        "stream": patching.get_act_patch_resid_pre,
        "attention": patching.get_act_patch_attn_out,
        "mlp": patching.get_act_patch_mlp_out,
        "head": patching.get_act_patch_attn_head_out_all_pos,
    }

    def difference(logits):
        return logits[0, -1, right] - logits[0, -1, wrong]

    caches = [bridge.run_with_cache(one) for one in ids]
    own = [float(difference(logits)) for logits, _ in caches]
    np.testing.assert_allclose(found.differences, own, atol=1e-5)
    for way, (given, run) in enumerate(((0, 1), (1, 0))):
        for part, patched_by in theirs.items():
            with torch.no_grad():
                made = patched_by(bridge, ids[run], caches[given][1], difference)
            share = (made.numpy() - own[run]) / (own[given] - own[run])
            np.testing.assert_allclose(found.shares[part][way], share, atol=1e-5, err_msg=part)


def _by_hand(model, prompts, layer, position):
    """The share that the stream into a layer restores, by a hook on one run of the whole network."""
    seen = {}

    def difference(ids):
        with torch.no_grad():
            logits = model.module(input_ids=torch.tensor([ids])).logits[0, prompts.at]
        return float(logits[prompts.answers[0]] - logits[prompts.answers[1]])

    def keep(_, args, named):
        seen["stream"] = (args[0] if args else named["hidden_states"]).clone()

    def put(_, args, named):
        stream = (args[0] if args else named["hidden_states"]).clone()
        stream[:, position] = seen["stream"][:, position]
        return ((stream, *args[1:]), named) if args else (args, {**named, "hidden_states": stream})

    block, made = model.blocks[layer], []
    for hook, ids in ((keep, prompts.ids[0]), (put, prompts.ids[1])):
        handle = block.register_forward_pre_hook(hook, with_kwargs=True)
        made.append(difference(ids))
        handle.remove()
    corrupted = difference(prompts.ids[1])
    return (made[1] - corrupted) / (made[0] - corrupted)


FAMILIES = ["opt", "gemma", "gemma2", "neox", "bloom", "gptj", "mistral", "falcon", "mixtral", "qwen3"]


@pytest.mark.parametrize("family", [*FAMILIES, "roberta"])
def test_the_stream_is_patched_as_by_a_plain_hook(family, tmp_path):
    model = tiny_masked(family) if family == "roberta" else tiny(family)
    found, prompts = _patched(model, tmp_path, parts=(STREAM,)), read_prompts(model, PAIR)
    assert not found.reason
    for layer in range(len(model.blocks)):
        for position in range(len(prompts.ids[0])):
            share = _by_hand(model, prompts, layer, position)
            assert found.shares[STREAM][0, layer, position] == pytest.approx(share, abs=2e-4)


def test_runs_that_begin_at_the_patch_are_those_that_begin_at_the_start(tmp_path, monkeypatch):
    model = tiny("llama")
    assert all(len(side.kept) == 3 for side in open_patcher(model, read_prompts(model, PAIR)).sides)
    short = _patched(model, tmp_path / "a")
    monkeypatch.setattr("generator.probes.patched_runs._continues", lambda _: False)
    whole = _patched(model, tmp_path / "b")
    for part in PARTS:
        np.testing.assert_allclose(short.shares[part], whole.shares[part], atol=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "roberta"])
def test_noising_is_denoising_with_the_prompts_exchanged(family, tmp_path):
    model = tiny_masked() if family == "roberta" else tiny(family)
    other = PAIR.model_copy(update={"subjects": PAIR.subjects[::-1], "answers": PAIR.answers[::-1]})
    found, reverse = _patched(model, tmp_path), _patched(model, tmp_path, other)
    for part in PARTS:
        np.testing.assert_allclose(found.shares[part], reverse.shares[part][::-1], atol=1e-5)


def test_the_word_that_differs_carries_all_into_the_first_layer(tmp_path):
    found = _patched(tiny("llama"), tmp_path)
    stream = found.shares[STREAM]
    assert (found.first, found.at) == (2, 5)
    np.testing.assert_allclose(stream[:, 0, 2], 1, atol=1e-5)
    np.testing.assert_allclose(stream[:, 0, 3:], 0, atol=1e-5)
    assert (stream[:, :, :2] == 0).all()
    np.testing.assert_array_equal(found.shares["head"].shape, (2, 3, 4))
