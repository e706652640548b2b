"""Neurons whose weights were set by hand: found, named and silenced by the pages that any model has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filled import filled
from runs import run_on
from safetensors.torch import save_file

from generator.dictionary_schema import DictionarySpec
from generator.exhibit import ModelSpec
from generator.inputs.passages import Passage
from generator.inputs.texts import CuratedText
from generator.models.compat import repair_torchvision
from generator.models.load import load_model
from generator.techniques.dictionaries import DICTIONARIES
from generator.techniques.neurons import NEURONS, neurons
from generator.techniques.token_unit_list import effect_of, list_view
from generator.techniques.token_units import tokens_of

_WORDS = "sun moon rain snow wind hill lake sand fern moss crow wolf bear deer frog"
WORDS = tuple(_WORDS.split())
DIGITS = tuple("0123456789")
VOCABULARY = ["[PAD]", "[BOS]", "[EOS]", "[UNK]", *WORDS, *DIGITS]
SIZE, PLACES, INNER = len(VOCABULARY), 40, 6
# Where the stream keeps what: the token, its position, the token before it, and what is said next.
TOKEN, PLACE, BEFORE, NEXT = (
    slice(0, SIZE),
    slice(SIZE, SIZE + PLACES),
    slice(SIZE + PLACES, 2 * SIZE + PLACES),
    slice(2 * SIZE + PLACES, 3 * SIZE + PLACES),
)
WIDTH = 3 * SIZE + PLACES + 1  # one more: heads share it evenly
LATENT = 6
DIGIT, PAIR = 4, 2  # the planted neurons, of layers 0 and 1
FIRST, SECOND, THIRD = "crow", "lake", "fern"


def _tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(models.WordLevel({word: n for n, word in enumerate(VOCABULARY)}, "[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    named = {"pad_token": "[PAD]", "bos_token": "[BOS]", "eos_token": "[EOS]", "unk_token": "[UNK]"}
    return PreTrainedTokenizerFast(tokenizer_object=plain, model_max_length=PLACES, **named)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """L0 N4 answers to digits and writes nothing; L1 N2 to "crow lake" alone, and says "fern"."""
    repair_torchvision()
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = {"n_embd": WIDTH, "n_layer": 2, "n_head": 1, "n_inner": INNER, "n_positions": PLACES}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    made = GPT2LMHeadModel(GPT2Config(vocab_size=SIZE, tie_word_embeddings=False, **shape, **ends))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.fill_(1.0 if "ln_" in name and name.endswith("weight") else 0.0)
        body = made.transformer
        body.wte.weight[:, TOKEN] = torch.eye(SIZE)
        body.wpe.weight[:, PLACE] = torch.eye(PLACES)
        first, second = body.h
        for row in range(PLACES - 1):  # a query at row + 1 meets the key at row
            first.attn.c_attn.weight[PLACE.start + row + 1, row] = 4.0
            first.attn.c_attn.weight[PLACE.start + row, WIDTH + row] = 4.0
        for row in range(SIZE):  # and takes along the token there
            first.attn.c_attn.weight[row, 2 * WIDTH + row] = 1.0
            first.attn.c_proj.weight[row, BEFORE.start + row] = 0.1
        for digit in DIGITS:
            first.mlp.c_fc.weight[VOCABULARY.index(digit), DIGIT] = 1.0
        first.mlp.c_fc.bias[DIGIT] = -4.0
        second.mlp.c_fc.weight[VOCABULARY.index(SECOND), PAIR] = 1.0
        second.mlp.c_fc.weight[BEFORE.start + VOCABULARY.index(FIRST), PAIR] = 1.0
        # A little of the position, so that no two passages excite it just the same.
        second.mlp.c_fc.weight[PLACE, PAIR] = torch.linspace(0, 0.05, PLACES)
        second.mlp.c_fc.bias[PAIR] = -12.0
        second.mlp.c_proj.weight[PAIR, NEXT.start + VOCABULARY.index(THIRD)] = 1.0
        made.lm_head.weight[:, NEXT] = torch.eye(SIZE)
    folder = tmp_path_factory.mktemp("planted")
    made.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return load_model(ModelSpec(id="planted", source=str(folder)), folder, Path(folder))


def _passages():
    """Random words, a digit among every five, and in every third passage the pair with what follows it."""
    random, found = np.random.default_rng(0), []
    for number in range(60):
        words = [str(one) for one in random.choice([w for w in WORDS if w != SECOND], 20)]
        for place in random.choice(np.arange(1, 20), 4, replace=False):
            words[place] = str(random.choice(DIGITS))
        place = 2 + number % 14
        if number % 3 == 0:
            words[place : place + 3] = [FIRST, SECOND, THIRD]
        elif number % 3 == 1:
            words[place : place + 2] = ["sun", SECOND]  # with another word before it it is nothing
        found.append(Passage(f"p{number}", " ".join(words), kind="made"))
    return found


@pytest.fixture(scope="module")
def run(planted, tmp_path_factory):
    texts = [CuratedText(f"t{n}", one.text, "", "") for n, one in enumerate(_passages()[:6])]
    store = tmp_path_factory.mktemp("store")
    return run_on(
        planted,
        texts,
        store,
        seed=3,
        passages=_passages(),
        neurons=INNER,
        ablate=1,
        runs=1,
        words=1,
    )


def test_the_neuron_of_a_pair_is_excited_by_this_pair_alone(run):
    units = run[NEURONS].pool.layers[1]
    best = units.by_peak
    for rank in range(9):
        passage, place = int(best.picture[PAIR, rank]), int(best.place[PAIR, rank])
        assert passage % 3 == 0
        assert tokens_of(run, passage)[place - 1 : place + 1] == (FIRST, SECOND)
    assert 20 / units.tokens == pytest.approx(units.above[PAIR])
    random = run.control[NEURONS].pool.layers[1].by_peak
    found = {
        tokens_of(run, int(n))[int(at)]
        for n, at in zip(random.picture[PAIR], random.place[PAIR], strict=True)
    }
    assert found != {SECOND}


def test_without_it_its_own_passages_are_said_worse_and_no_others(run):
    row = run[NEURONS].pool.layers[1].row(PAIR)
    own, others = effect_of(run[NEURONS], 1, row)
    assert own.least > 0.01  # nats a token
    chosen = run[NEURONS].ablation.passages
    for passage, effect in zip(chosen, run[NEURONS].ablation.others[1][row], strict=True):
        assert (effect > 0.01) == (passage % 3 == 0)
    assert others.most <= own.most + 1e-3
    silent = effect_of(run[NEURONS], 0, run[NEURONS].pool.layers[0].row(DIGIT))
    assert max(abs(silent[0].most), abs(silent[1].most)) < 1e-6


def test_the_word_that_it_writes_is_the_one_that_follows(run):
    row = run[NEURONS].pool.layers[1].row(PAIR)
    weights = run[NEURONS].weights.layers[1]
    assert VOCABULARY[weights.up.ids[row, 0]] == THIRD
    assert VOCABULARY[weights.reads[0].words.ids[row, 0]] == SECOND
    first = (
        run[NEURONS].weights.layers[0].reads[0].words.ids[run[NEURONS].pool.layers[0].row(DIGIT)]
    )
    assert {VOCABULARY[one] for one in first} < set(DIGITS)


def test_the_neuron_of_digits_is_named_and_that_of_random_weights_is_not(run):
    name, area = run[NEURONS].name_of(0, DIGIT)
    assert name == "digits" and area > 0.99
    assert run[NEURONS].name_of(1, PAIR) is None  # no class is that pair
    view = list_view(neurons(run), 0)
    assert view.names.having == 1 and view.names.named[0][0] == "digits"
    random = run.control[NEURONS].pool
    assert DIGIT not in random.tokens.named(0)


def test_pages_say_all_of_it(run):
    pages = filled(run)
    digits = pages["models/planted/layers/0/units/4/index.html"].body
    assert "tells digits from the rest: AUROC 1.00" in digits
    pair = pages["models/planted/layers/1/units/2/index.html"].body
    assert "The tokens that excite this neuron most are “lake”" in pair
    assert "What changes without it" in pair and "The same neuron with random weights" in pair
    layer = pages["models/planted/layers/0/index.html"].body
    assert 'href="units/4/index.html"' in layer and "<strong>digits</strong>" in layer


@pytest.mark.slow
def test_figures_light_the_passages(run, kept):
    for made in (
        run.figure("neuron", layer=1, unit=PAIR, count=2),
        kept.figure("latent", dictionary="mine", latent=LATENT, count=2),
    ):
        assert made.alt.startswith("The 2 passages that excite ") and "“lake”" in made.alt
        rows = made.drawing.arguments["rows"]
        assert len(rows) == 2
        for _, tokens in rows:
            (best,) = [n for n, (_, _, value) in enumerate(tokens) if value > 0.9]
            assert [text for _, text, _ in tokens[best - 1 : best + 1]] == [FIRST, SECOND]


def test_tables_have_every_neuron(run):
    every = run.table("neurons_1").records
    assert [int(row["neuron"]) for row in every] == list(range(INNER))
    pair = every[PAIR]
    assert pair["passage"] in {f"p{n}" for n in range(0, 60, 3)}
    assert pair["name"] == ""
    chosen = [row for row in run.table("neuron_effects").records if row["neuron"] == str(PAIR)]
    assert float(chosen[1]["own_passages"]) > 0.01


@pytest.fixture(scope="module")
def kept(planted, tmp_path_factory):
    """The same network with a dictionary file in which one latent is the direction of the pair's neuron."""
    folder = tmp_path_factory.mktemp("dictionary")
    random = torch.Generator().manual_seed(0)
    encoder = torch.randn(WIDTH, 20, generator=random) * 0.01
    decoder = torch.randn(20, WIDTH, generator=random)
    word = NEXT.start + VOCABULARY.index(THIRD)
    encoder[:, LATENT], decoder[LATENT] = 0, 0
    encoder[word, LATENT], decoder[LATENT, word] = 1, 1
    parts = {
        "W_enc": encoder,
        "b_enc": torch.zeros(20),
        "W_dec": decoder,
        "b_dec": torch.zeros(WIDTH),
    }
    save_file(
        {name: one.contiguous() for name, one in parts.items()}, folder / "planted.safetensors"
    )
    stated = {"layer": 1, "site": "stream", "activation": "relu"}
    spec = DictionarySpec(name="mine", source="./planted.safetensors", **stated)
    model = replace(planted, dictionaries=((spec, folder),))
    texts = [CuratedText(f"t{n}", one.text, "", "") for n, one in enumerate(_passages()[:6])]
    store = tmp_path_factory.mktemp("store")
    return run_on(
        model, texts, store, seed=3, passages=_passages(), neurons=5, ablate=1, runs=1, words=1
    )


@pytest.mark.slow
def test_a_planted_latent_is_excited_by_the_pair_and_its_word_is_lost_without_it(kept):
    (found,) = kept[DICTIONARIES]
    units = found.units.pool.layers[0]
    for rank in range(9):
        passage, place = (
            int(units.by_peak.picture[LATENT, rank]),
            int(units.by_peak.place[LATENT, rank]),
        )
        assert tokens_of(kept, passage)[place - 1 : place + 1] == (FIRST, SECOND)
    row = units.row(LATENT)
    own, others = effect_of(found.units, 0, row)
    assert own.least > 0.01 and own.mean > others.mean
    assert VOCABULARY[found.units.weights.layers[0].up.ids[row, 0]] == THIRD
    # By itself it is worth as much as the neuron whose direction it is.
    neuron = effect_of(kept[NEURONS], 1, kept[NEURONS].pool.layers[1].row(PAIR))[0]
    assert own.mean == pytest.approx(neuron.mean, rel=0.05)


@pytest.mark.slow
def test_its_page_says_so_and_the_page_of_dictionaries_how_little_it_stands_for(kept):
    pages = filled(kept)
    latent = pages[f"models/planted/dictionaries/mine/{LATENT}/index.html"].body
    assert "The tokens that excite this latent most are “lake”" in latent
    assert "a latent reads vectors that hold much more" in latent
    every = pages["models/planted/dictionaries/index.html"].body
    assert "random directions, as many" in every and "the same training on random weights" in every
    rows = kept.table("dictionaries").records
    assert rows[0]["of"] == "this dictionary" and float(rows[0]["variance_explained"]) < 0.9
    assert len(kept.table("latents_mine").records) == 20
