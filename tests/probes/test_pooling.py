"""A sentence's vector is made as the folder of its encoder states, and pages say how."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from filled import filled
from runs import run_on
from tiny_transformers import save_tiny

from generator.card_schema import Triple
from generator.exhibit import ModelSpec
from generator.inputs.texts import CuratedText
from generator.models.load import load_model
from generator.models.stated import CLS, LARGEST, LAST, MEAN
from generator.probes.embedding import embed, token_ids
from generator.probes.paraphrases import measure_paraphrases
from generator.probes.predictions import predict_texts
from generator.store import Store

OLDER = {
    MEAN: "pooling_mode_mean_tokens",
    CLS: "pooling_mode_cls_token",
    LARGEST: "pooling_mode_max_tokens",
    LAST: "pooling_mode_lasttoken",
}
BY_HAND = {
    MEAN: lambda states: states.mean(0),
    CLS: lambda states: states[0],
    LARGEST: lambda states: states.max(0),
    LAST: lambda states: states[-1],
}
SENTENCES = ("rain fell on the old town", "the old town at night", "w1 w2 rain")


def opened(folder, stated=None):
    save_tiny("bert", folder)
    if stated is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(stated))
    return load_model(ModelSpec(id="net", source=str(folder)), folder, folder)


def by_hand(model, way):
    found = []
    for sentence in SENTENCES:
        ids = torch.tensor([token_ids(model, sentence)])
        with torch.no_grad():
            states = model.module(ids, torch.ones_like(ids)).last_hidden_state[0].double().numpy()
        vector = BY_HAND[way](states)
        found.append(vector / np.linalg.norm(vector))
    return np.stack(found)


@pytest.mark.parametrize("way", OLDER)
@pytest.mark.parametrize("newer", [False, True])
def test_sentences_are_pooled_as_stated(tmp_path, way, newer):
    older = {key: name == way for name, key in OLDER.items()}
    model = opened(tmp_path, {"pooling_mode": way} if newer else older)
    assert model.pooling == way
    assert np.allclose(embed(model, SENTENCES), by_hand(model, way), atol=1e-5)
    told = [note for note in model.provenance.notes if "1_Pooling" in note]
    assert len(told) == (way != MEAN)
    assert ("pooling" in model.key) == (way != MEAN)


@pytest.mark.parametrize(
    "stated", [None, {"pooling_mode_weightedmean_tokens": True}, {"pooling_mode": ["cls", "max"]}]
)
def test_the_mean_is_taken_where_nothing_else_can_be(tmp_path, stated):
    model = opened(tmp_path, stated)
    assert model.pooling == MEAN and "pooling" not in model.key
    assert np.allclose(embed(model, SENTENCES), by_hand(model, MEAN), atol=1e-5)
    told = [note for note in model.provenance.notes if "which is not done here" in note]
    assert len(told) == (stated is not None)


def test_similarities_and_neighbours_are_of_the_stated_vectors(tmp_path):
    model = opened(tmp_path / "net", {"pooling_mode_cls_token": True})
    vectors, store = by_hand(model, CLS), Store(tmp_path / "store")
    triples = [
        Triple(id=f"t{i}", text=SENTENCES[i], same=SENTENCES[i - 1], other=SENTENCES[i - 2])
        for i in range(3)
    ]
    found = measure_paraphrases(model, triples, 0, store)
    assert np.allclose(found.trained.same, vectors @ vectors[[2, 0, 1]].T, atol=1e-5)
    texts = [CuratedText(f"s{i}", text, "", "") for i, text in enumerate(SENTENCES)]
    encodings = {text.id: model.encode(text) for text in texts}
    first = predict_texts(model, encodings, store)[0].guesses
    assert [one.score for one in first] == pytest.approx(sorted(vectors[0] @ vectors[1:].T)[::-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (None, "cosine similarity of the mean final representation over all tokens."),
        (
            {"pooling_mode_cls_token": True},
            "cosine similarity of the final representations of the first token.",
        ),
    ],
)
def test_the_page_says_of_what_similarities_are(tmp_path, stated, said):
    model = opened(tmp_path / "net", stated)
    texts = [CuratedText(f"s{i}", text, "", "") for i, text in enumerate(SENTENCES)]
    run = run_on(model, texts, tmp_path / "store", ablate=0, runs=1, words=2)
    page = filled(run)["models/net/index.html"]
    assert said in page.body
