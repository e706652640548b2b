"""Of a text classifier its labels are told and its head is not shown, which is told too."""

from __future__ import annotations

from html import escape
from pathlib import Path

import pytest
import tiny_transformers as tiny
from filled import filled_page
from runs import run_on
from test_other_transformers import CHOICES, TEXTS

from generator.exhibit import ModelSpec
from generator.manifest import _model
from generator.models.load import load_model
from generator.models.text_model import LanguageModel

LABELS = {0: "bad", 1: "so <so>", 2: "good"}
# The class, the problem that its folder states, its labels, and what the page says of both.
HEADS = {
    "bert": ("BertForSequenceClassification", "multi_label_classification", LABELS),
    "gpt2": ("GPT2ForSequenceClassification", "", {0: "LABEL_0", 1: "LABEL_1"}),
    "distilbert": ("DistilBertForTokenClassification", "", {n: f"tag {n}" for n in range(12)}),
    "roberta": ("RobertaForSequenceClassification", "regression", {0: "LABEL_0"}),
}
SAID = {
    "bert": ("bad, so <so>, good", "any number of labels at once"),
    "gpt2": ("2, not named", "not stated"),
    "distilbert": ("12, from tag 0 to tag 11", "not stated"),
    "roberta": ("1, not named", "a number for each label (regression)"),
}


def opened(family: str, folder: Path, monkeypatch) -> LanguageModel:
    kind, problem, labels = HEADS[family]
    _, config, settings = tiny.FAMILIES[family]
    more = {"num_labels": len(labels), "id2label": labels, "problem_type": problem or None}
    monkeypatch.setitem(tiny.FAMILIES, family, (kind, config, settings | more))
    tiny.save_tiny(family, folder)
    model = load_model(ModelSpec(id=family, source=str(folder)), folder, folder)
    assert isinstance(model, LanguageModel)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("family", list(HEADS))
def test_labels_are_told_and_the_head_is_left_out(family, tmp_path, monkeypatch):
    model = opened(family, tmp_path / "net", monkeypatch)
    kind, problem, labels = HEADS[family]
    (left,) = [one for one in model.left_out if one.name == "its classification head"]
    assert kind in left.reason and SAID[family][0] in left.reason
    assert any(
        "belong" in note and "head that is not shown" in note for note in model.provenance.notes
    )
    run = run_on(model, TEXTS[:1], tmp_path / "store", **CHOICES)
    stated = _model(run)
    assert stated["labels"] == list(labels.values()) and stated["problem_type"] == (problem or None)
    page = filled_page(run, f"models/{family}/index.html").body
    assert all(escape(words) in page for words in SAID[family]) and "so <so>" not in page


@pytest.mark.parametrize("family", ["bert", "llama", "gemma"])
def test_a_network_without_such_a_head_has_no_labels(family):
    """Every configuration of transformers has two labels that nobody gave it."""
    model = tiny.tiny(family)
    assert model.head is None and not any("head" in one.name for one in model.left_out)
