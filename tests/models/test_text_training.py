"""Cutaway's own trainings of networks that read: seeded, kept whole, opened as any decoder."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from generator.errors import UsageError
from generator.exhibit import ModelSpec
from generator.inputs.repeated_words import WORDS
from generator.inputs.source import parse_source
from generator.inputs.texts import CuratedText
from generator.models import load_training, text_training
from generator.models.heads_access import find_heads
from generator.models.load import load_model
from generator.models.text_training import (
    HEAD_WIDTH,
    HEADS,
    KEPT,
    MEASURED,
    WIDTH,
    course_of,
    judged_rows,
    token_ids,
    trained_text,
    word_losses,
)
from generator.probes.decoding import attribute_logit
from generator.store import Store

STEPS = 50


def source(text="train:induction"):
    return parse_source(text, Path())


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The cache after a few steps of both trainings."""
    folder = tmp_path_factory.mktemp("cache")
    for name in ("induction", "induction-one-layer"):
        trained_text(source(f"train:{name}"), folder, 3, STEPS)
    return folder


@pytest.fixture
def opened(cache, monkeypatch):
    """Opens one of the two, after its few steps."""
    monkeypatch.setattr(load_training, "trained_text", partial(trained_text, steps=STEPS))

    def open_(name="induction", **more):
        spec = ModelSpec(id="i", source=f"train:{name}", **more)
        return load_model(spec, Path(), cache, seed=3)

    return open_


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_whatever_the_threads(cache, tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.manual_seed(99)
        again = trained_text(source(), tmp_path, 3, STEPS).root
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    first = trained_text(source(), cache, 3, STEPS).root
    for name in ("model.safetensors", "tokenizer.json", "config.json", "../training.json"):
        assert (again / name).read_bytes() == (first / name).read_bytes()
    other = trained_text(source(), tmp_path, 4, STEPS).root
    assert (other / "model.safetensors").read_bytes() != (first / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_every_state_is_kept_and_measured(cache):
    files = trained_text(source("train:induction@0"), cache, 3, STEPS)
    assert files.revision == "step 0"
    assert files.origin.startswith("before any training, seed 3; loss on passages read for")
    course = course_of(files.root)
    assert [one.step for one in course] == list(range(0, STEPS + 1, MEASURED))
    assert course[-1].first < course[0].first
    kept = sorted(path.name for path in files.root.parent.glob("step-*"))
    assert kept == [f"step-{step:04d}" for step in range(0, STEPS + 1, KEPT)]


@pytest.mark.slow
def test_step_zero_is_the_network_before_its_first_step(cache):
    state = load_file(
        trained_text(source("train:induction@0"), cache, 3, STEPS).root / "model.safetensors"
    )
    own = text_training.text_network("induction", 3).state_dict()
    assert all(torch.equal(state[name], own[name]) for name in own if own[name].numel())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train:induction@40", "step 40, which is not kept; the nearest is 50"),
        ("train:induction@51", "ends at 50"),
        ("train:inductoin", "Did you mean 'induction'?"),
    ],
)
def test_what_is_not_kept_is_refused(text, said, cache):
    with pytest.raises(UsageError) as caught:
        trained_text(source(text), cache, 3, STEPS)
    assert said in str(caught.value)


def test_it_opens_as_any_decoder_of_attention_alone(opened):
    model = opened()
    assert (model.kind, model.heads, len(model.blocks)) == ("decoder", HEADS, 2)
    assert model.attention_only
    assert model.mlp_outputs == ()
    assert {one.name: one.reason for one in model.left_out}["MLPs"].startswith(
        "its blocks have none"
    )
    assert all(check.passed for check in model.trial)
    assert "other is read as [UNK]" in model.provenance.notes[-1]
    size = 2 * len(model.tokenizer) * WIDTH + WIDTH
    assert model.parameters == size + 2 * (4 * WIDTH * HEADS * HEAD_WIDTH + 2 * WIDTH)
    json.dumps(dict(model.provenance.files))
    alone = opened("induction-one-layer")
    assert len(alone.blocks) == 1
    assert alone.attention_only
    untrained = opened(weights="random")
    assert untrained.provenance.weights_sha256 != model.provenance.weights_sha256
    assert untrained.provenance.revision == "step 0"
    with pytest.raises(UsageError, match="takes no weights file"):
        opened(weights="./w.pth")


def test_the_tokenizer_reads_words_and_tells_those_that_it_does_not_know(opened):
    encode = opened().encode
    read = encode(CuratedText("t", "The Old king, the zebra.", "", ""))
    assert read.tokens == ("[BOS]", "the", "old", "king", ",", "the", "[UNK]", ".")
    words = encode(CuratedText("t", " ".join(WORDS[:40]), "", ""))
    assert words.tokens[1:] == WORDS[:40]
    assert token_ids(np.arange(40)[None]).tolist() == [list(words.ids)]
    with pytest.raises(UsageError, match="takes at most 49"):
        encode(CuratedText("t", "the " * 60, "", ""))


def test_logits_are_those_of_an_independent_forward_pass(opened):
    model = opened()
    ids = token_ids(judged_rows().words[:3])
    weights = {name: one.double().numpy() for name, one in model.module.state_dict().items()}
    with torch.no_grad():
        theirs = model.module(input_ids=ids).logits.numpy()
    np.testing.assert_allclose(
        np.stack([forward(weights, row) for row in ids.numpy()]), theirs, atol=2e-4
    )


def forward(weights, ids):
    """Logits (tokens, vocabulary) of two blocks of attention, written down from the formulas alone."""

    def normed(x, gain):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * gain

    def turned(x):  # rotary: pairs (n, n + half) turn by position times a frequency
        half = HEAD_WIDTH // 2
        angle = np.arange(len(ids))[:, None] * 10000.0 ** (-np.arange(half) / half)
        one, other = x[:, :half], x[:, half:]
        both = (
            one * np.cos(angle) - other * np.sin(angle),
            other * np.cos(angle) + one * np.sin(angle),
        )
        return np.concatenate(both, axis=1)

    x = weights["model.embed_tokens.weight"][ids]
    hidden = np.triu(np.ones((len(ids), len(ids)), dtype=bool), 1)
    for block in range(2):
        at = f"model.layers.{block}"
        read = normed(x, weights[f"{at}.input_layernorm.weight"])
        written = np.zeros_like(x)
        for head in range(HEADS):
            part = slice(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH)
            q, k, v = (read @ weights[f"{at}.self_attn.{n}_proj.weight"][part].T for n in "qkv")
            scores = np.where(hidden, -np.inf, turned(q) @ turned(k).T / np.sqrt(HEAD_WIDTH))
            shares = np.exp(scores - scores.max(1, keepdims=True))
            shares /= shares.sum(1, keepdims=True)
            written += shares @ v @ weights[f"{at}.self_attn.o_proj.weight"][:, part].T
        x = x + written
    return normed(x, weights["model.norm.weight"]) @ weights["lm_head.weight"].T


def test_losses_are_those_of_the_logits(opened):
    model, rows = opened(), judged_rows()
    ids = token_ids(rows.words[:5])
    with torch.no_grad():
        losses = word_losses(model.module, ids).numpy()
        logits = model.module(input_ids=ids).logits.double().numpy()
    chances = np.exp(logits - logits.max(-1, keepdims=True))
    chances /= chances.sum(-1, keepdims=True)
    right = np.take_along_axis(chances[:, :-1], ids[:, 1:, None].numpy(), -1)[..., 0]
    np.testing.assert_allclose(losses, -np.log(right), rtol=1e-4)


def test_its_heads_are_found_by_value(opened):
    model = opened()
    for place, block in zip(find_heads(model), model.blocks, strict=True):
        own = block.self_attn
        assert place.query.rotated
        assert place.key.rotated
        torch.testing.assert_close(
            place.output, own.o_proj.weight.t().reshape(HEADS, HEAD_WIDTH, WIDTH)
        )


def test_a_logit_is_the_sum_of_what_heads_write_where_there_is_no_mlp(opened, tmp_path):
    model = opened()
    text = CuratedText("t", "the old king sits . the old", "", "")
    encoding = model.encode(text)
    found = attribute_logit(model, "t", encoding, Store(tmp_path))
    assert found.reason == ""
    with torch.no_grad():
        logits = model.run(encoding.ids).logits[0, -1]
    assert found.logit == pytest.approx(float(logits.max()), abs=1e-4)
    shares = found.shares
    assert shares.mlps.size == 0
    total = shares.embedding + shares.heads.sum() + shares.attention_bias.sum() + shares.bias
    assert total == pytest.approx(found.logit, abs=1e-3)
