"""Activation patching: against TransformerLens and plain hooks, on a planted fact, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from independent import bridge_of
from runs import run_on
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


@pytest.mark.slow
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


FAMILIES = [
    "opt",
    "gemma",
    "gemma2",
    "neox",
    "gptj",
    "mistral",
    "falcon",
    "mixtral",
    "qwen3",
]


@pytest.mark.parametrize("family", [*FAMILIES, "roberta"])
def test_the_stream_is_patched_as_by_a_plain_hook(family, tmp_path):
    model = tiny_masked(family) if family == "roberta" else tiny(family)
    found, prompts = _patched(model, tmp_path, parts=(STREAM,)), read_prompts(model, PAIR)
    assert not found.reason
    for layer in range(len(model.blocks)):
        for position in range(len(prompts.ids[0])):
            share = _by_hand(model, prompts, layer, position)
            assert found.shares[STREAM][0, layer, position] == pytest.approx(share, abs=2e-4)


def test_a_network_that_takes_no_other_batch_is_refused(tmp_path):
    assert "cannot be patched in one batch" in _patched(tiny("bloom"), tmp_path).reason


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


# A fact planted by hand


WORDS, WIDTH = 64, 136
TOKEN, SAID, PLACE = slice(0, 64), slice(64, 128), slice(128, 136)
CARRIER, KEY = (
    1,
    2,
)  # the layer whose head 1 looks from the last token back to the word, and the word's place


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Three layers of two heads: L1H1 looks from position 5 at position 2, and says what stands there."""
    repair_torchvision()
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=WORDS, n_positions=8, n_embd=WIDTH, n_layer=3, n_head=2, n_inner=8, bos_token_id=1,
        tie_word_embeddings=False, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    made, size = GPT2LMHeadModel(config).eval(), WIDTH // 2
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.fill_(1.0 if "ln_" in name and name.endswith("weight") else 0.0)
        made.transformer.wte.weight[:, TOKEN] = torch.eye(WORDS)
        made.transformer.wpe.weight[:, PLACE] = torch.eye(8)
        attention = made.transformer.h[CARRIER].attn
        attention.c_attn.weight[PLACE.start + 5, size] = 40.0  # query of head 1
        attention.c_attn.weight[PLACE.start + KEY, WIDTH + size] = 40.0  # its key
        for row in range(64):
            attention.c_attn.weight[row, 2 * WIDTH + size + row] = 1  # its values
            attention.c_proj.weight[size + row, SAID.start + row] = 1
        made.lm_head.weight[:, SAID] = torch.eye(WORDS)
    folder = tmp_path_factory.mktemp("planted")
    made.save_pretrained(folder)
    tokenizer_of_words().save_pretrained(folder)
    return load_model(ModelSpec(id="planted", source=str(folder)), folder, Path(folder))


COPIED = PAIR.model_copy(update={"answers": PAIR.subjects})


def test_a_planted_fact_is_found_at_one_position_one_layer_and_one_head(planted, tmp_path):
    found = patch(planted, COPIED, Store(tmp_path))
    assert not found.reason and found.differences[0] > 1 > -1 > found.differences[1]
    for way in (0, 1):
        stream = np.zeros((3, 6))
        stream[: CARRIER + 1, KEY] = 1  # until the head has read it
        stream[CARRIER + 1 :, 5] = 1
        np.testing.assert_allclose(found.shares[STREAM][way], stream, atol=1e-4)
        attention, heads = np.zeros((3, 6)), np.zeros((3, 2))
        attention[CARRIER, 5] = heads[CARRIER, 1] = 1
        np.testing.assert_allclose(found.shares["attention"][way], attention, atol=1e-4)
        np.testing.assert_allclose(found.shares["head"][way], heads, atol=1e-4)
        np.testing.assert_allclose(found.shares["mlp"][way], 0, atol=1e-5)


@pytest.fixture(scope="module")
def run(planted, tmp_path_factory):
    pairs = Pairs(prompts=(COPIED, PAIR.model_copy(update={"id": "unknown"})))
    texts = [CuratedText("t", "w1 w2 w3", "T", "")]
    return run_on(planted, texts, tmp_path_factory.mktemp("store"), pairs=pairs, ablate=0, runs=1)


def test_what_is_said_of_the_planted_fact(run):
    shown = view(run)
    (pair,), (refused,) = shown.pairs, shown.refused
    assert pair.said[0] == (
        "Up to what enters layer 1 more than half of the answer is restored at ‘w8 / w9’; from layer 2 on at "
        "‘w6’, the token that answers."
    )
    assert pair.said[1].startswith("With random weights the first of these holds up to layer ")
    assert pair.places[0].link.text == "L1H1" and pair.places[0].restored == pytest.approx(
        1, abs=1e-4
    )
    assert "does not prefer the right answer to both" in refused.found.reason
    by_name = {table.name: table.records for table in tables(run)}
    assert [row["pair"] for row in by_name["patching_pairs.csv"]] == ["p", "unknown"]
    rows = by_name["patching.csv"]
    assert len(rows) == 3 * (
        3 * 4 + 2
    )  # three parts at the four tokens from the word on, two heads
    (carrier,) = (r for r in rows if r["part"] == "head" and (r["layer"], r["head"]) == ("1", "1"))
    assert float(carrier["restored"]) == pytest.approx(1, abs=1e-4) == float(carrier["destroyed"])


def test_no_layer_is_named_where_the_answer_comes_and_goes(run):
    (found, _), (twin,) = run[PATCHING], run.control[PATCHING]
    stream = found.shares[STREAM].copy()
    assert "Up to what enters" in next(sentences(found, twin))
    stream[0, 2, KEY] = 0.9  # at both places at once: it has not left the word
    assert "Up to what enters" in next(sentences(_with(found, stream), twin))
    stream[0, 1, KEY] = 0.2  # gone in between
    assert not any("Up to" in said for said in sentences(_with(found, stream), twin))
    flat = np.zeros_like(stream)
    assert not list(sentences(_with(found, flat), twin))


def _with(found, stream):
    return replace(found, shares={**found.shares, STREAM: stream})


def test_figures_are_of_what_was_patched(run):
    assert len(run.figure("patching").drawing.arguments["parts"]) == 4
    one = run.figure("patching", pair="p", parts="head", ways="noising")
    assert one.drawing.arguments["values"][0].shape == (1, 3, 2)
    assert "Of all heads L1H1 destroys most, 100.0" in one.caption
    with pytest.raises(UsageError, match=r"'unknown' was not patched\. The logit of"):
        run.figure("patching", pair="unknown")
    with pytest.raises(UsageError, match="no part 'heads'"):
        run.figure("patching", parts="heads")


# What is refused


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"subjects": ("w8", "w9 w9")}, "‘w8’ and ‘w9 w9’ make prompts of 6 and 7 tokens"),
        ({"answers": ("w10 w3", "w11")}, "‘w10 w3’ is 2 tokens to this model"),
        ({"answers": ("unsaid", "unread")}, "both answers are the same tokens"),
        ({"frame": "w1 " * 45 + "{subject} {answer}"}, "its prompts have 46 tokens"),
    ],
)
def test_prompts_that_cannot_be_compared_are_refused(changes, reason, tmp_path):
    found = _patched(tiny("llama"), tmp_path, PAIR.model_copy(update=changes))
    assert reason in found.reason and not found.shares


def test_an_answer_that_the_model_does_not_prefer_is_refused_with_its_numbers(tmp_path):
    model = tiny("llama")
    clean, corrupted = _patched(model, tmp_path).differences
    found = patch(model, PAIR, Store(tmp_path))
    assert found.reason and found.differences == (clean, corrupted) and not found.shares
    assert "after the clean prompt and" in found.reason


def test_a_model_without_an_answer_and_an_exhibit_without_prompts_are_refused(tmp_path):
    text, pairs = [CuratedText("t", "w1 w2", "T", "")], Pairs(prompts=(PAIR,))
    assert "names no token" in why_not(PATCHING, run_on(tiny("bert"), text, tmp_path, pairs=pairs))
    assert "no prompts" in why_not(PATCHING, run_on(tiny("llama"), text, tmp_path))


@pytest.mark.parametrize(
    "changes", [{"frame": "{answer} {subject}"}, {"answers": ("a", "a")}, {"frame": "{subject}"}]
)
def test_a_pair_that_asks_for_nothing_is_no_pair(changes):
    with pytest.raises(ValueError, match="must"):
        PromptPair(**PAIR.model_dump() | changes)
