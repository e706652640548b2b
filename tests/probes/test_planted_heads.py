"""Heads whose weights were set by hand: what they do is known, and so is what should be said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from runs import run_on
from tiny_transformers import tiny, tokenizer_of_words

from generator.exhibit import ModelSpec
from generator.inputs.texts import CuratedText
from generator.models.compat import repair_torchvision
from generator.models.load import load_model
from generator.probes.roles import UNLABELLED
from generator.techniques.heads import HEADS

WORDS, PLACES = 64, 80
# Where the stream keeps what: the token, its position, the token before it, and what is said next.
TOKEN, PLACE, BEFORE, NEXT = (
    slice(0, 64),
    slice(64, 144),
    slice(144, 208),
    slice(208, 272),
)
WIDTH, SHARP = 272, 4.0


def _texts(count, start):
    random = np.random.default_rng(start)
    made = []
    for number in range(count):
        words = " ".join(f"w{i}" for i in random.permutation(50)[:6])
        made.append(CuratedText(f"t{start}-{number}", f"{words} {words}", "", ""))
    return tuple(made)


def _attention(block, head, query, key, value, output):
    """Set one head: (rows of the stream, their place in the head), a slice and an offset each."""
    attention, size = block.attn, WIDTH // 2
    for part, (source, shift) in enumerate((query, key)):
        for row in range(source.start, source.stop):
            column = row - source.start + shift
            if 0 <= column < size:
                attention.c_attn.weight[row, part * WIDTH + head * size + column] = SHARP
    for row in range(value.start, value.stop):
        place = row - value.start
        attention.c_attn.weight[row, 2 * WIDTH + head * size + place] = 1
        if output is not None:
            attention.c_proj.weight[head * size + place, output.start + place] = 0.1


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Two layers of two heads: L0H0 looks one back, L1H0 copies, L1H1 looks as it does and says nothing."""
    repair_torchvision()
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=WORDS,
        n_positions=PLACES,
        n_embd=WIDTH,
        n_layer=2,
        n_head=2,
        n_inner=8,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    made = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.fill_(1.0 if "ln_" in name and name.endswith("weight") else 0.0)
        body = made.transformer
        body.wte.weight[:, TOKEN] = torch.eye(WORDS)
        body.wpe.weight[:, PLACE] = torch.eye(PLACES)
        first, second = body.h
        _attention(first, 0, (PLACE, -1), (PLACE, 0), TOKEN, BEFORE)
        _attention(second, 0, (TOKEN, 0), (BEFORE, 0), TOKEN, NEXT)
        _attention(second, 1, (TOKEN, 0), (BEFORE, 0), TOKEN, None)
        made.lm_head.weight[:, NEXT] = torch.eye(WORDS)
    folder = tmp_path_factory.mktemp("planted")
    made.save_pretrained(folder)
    tokenizer_of_words().save_pretrained(folder)
    return load_model(ModelSpec(id="planted", source=str(folder)), folder, Path(folder))


@pytest.fixture(scope="module")
def found(planted, tmp_path_factory):
    folder, held_out = tmp_path_factory.mktemp("store"), _texts(10, 1)
    run = run_on(
        planted, _texts(6, 0), folder, seed=3, held_out=held_out, ablate=2, runs=1, words=2
    )
    return run[HEADS][0]


def test_planted_heads_get_their_roles(found):
    roles = found.roles
    assert roles[0][0].role == "previous token"
    assert roles[1][0].role == "induction"
    assert roles[1][0].deciding.value > 0.9
    assert roles[1][0].deciding.effect.low > 1  # nats a token


def test_a_planted_pattern_whose_output_is_nothing_is_a_pattern_and_no_role(found):
    silent = found.roles[1][1]
    assert (silent.role, silent.near) == (UNLABELLED, "induction")
    assert silent.deciding.effect.mean == pytest.approx(0, abs=1e-6)
    assert silent.deciding.adjusted > 0.5


def test_what_is_planted_holds_on_either_half_and_not_with_random_weights(found):
    named, control = found.named, found.control
    assert named.labelled == 2
    assert named.replication.share == 1
    assert control.labelled == 0


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt2", "llama", "neox", "bert"])
def test_random_weights_get_next_to_no_roles(family, tmp_path):
    model = tiny(family, seed=5)
    held_out = _texts(10, 1)
    run = run_on(
        model, _texts(6, 0), tmp_path, seed=3, held_out=held_out, ablate=2, runs=1, words=2
    )
    found = run[HEADS][0]
    heads = len(model.layers) * model.heads
    for named in (found.named.labelled, found.control.labelled):
        assert named <= 0.05 * heads
