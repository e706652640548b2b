"""A model whose context is too short for one way of measuring is measured in all others, and says why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from filled import filled
from runs import run_on
from test_other_transformers import CHOICES, TEXTS, check, rows_of
from tiny_transformers import HEADS, LAYERS, tiny, tiny_pair

from generator.cards.content import card_of
from generator.exhibit import Exhibit, ModelSpec
from generator.manifest import _model
from generator.probes.repeated_sequences import why_no_repeats
from generator.techniques.heads import HEADS as MEASURED

TOO_SHORT = "Induction and duplicate tokens are left out"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "context", "copies"),
    [("gpt2", 44, {"8", "16"}), ("llama", 30, {"8"}), ("bert", 17, ())],
)
def test_repeated_tokens_that_do_not_fit_are_left_out_with_the_reason(
    family, context, copies, tmp_path
):
    model = replace(tiny(family), max_tokens=context)
    run = run_on(model, TEXTS[:1], tmp_path, **CHOICES | {"runs": 2})
    pages = filled(run)
    check(list(pages.values()), model.id, LAYERS * HEADS)
    assert f"this model has {context} and" in pages[f"models/{family}/index.html"].body
    rows = rows_of(run, "heads.csv")
    assert all(row["sink_mass"] and row["previous_token"] for row in rows)
    assert all(row["ablation_delta_loss"] for row in rows) and "induction" not in rows[0]
    assert run[MEASURED][0].named is not None and run[MEASURED][0].repeats.reason
    stated = _model(run)
    assert stated["repeated_sequences"] == 0 and TOO_SHORT in stated["no_repeated_sequences"]
    if copies:  # those of a shorter recipe still fit
        assert {row["copy"] for row in rows_of(run, "recipes.csv")} == copies


@pytest.mark.slow
def test_an_encoder_decoder_of_a_short_context_is_measured(tmp_path):
    model = replace(tiny_pair("bart"), max_tokens=45)  # its decoder reads a token before the others
    run = run_on(model, TEXTS[:1], tmp_path, **CHOICES)
    body = filled(run)["models/bart/index.html"].body
    assert TOO_SHORT in body and "while the encoder reads a text without words" not in body
    rows = rows_of(run, "heads.csv")
    assert "induction" not in rows[0] and rows[0]["previous_token"]
    assert _model(run)["repeated_sequences"] == 0


def test_a_card_is_written_of_a_short_context(tmp_path):
    run = run_on(replace(tiny("gpt2"), max_tokens=30), TEXTS[:1], tmp_path, **CHOICES)
    spec = ModelSpec(id="gpt2", source="./gpt2")
    card = card_of(Exhibit(title="One", models=(spec,), texts=str(tmp_path)), run)
    assert card is not None


def test_few_different_tokens_are_told_as_the_reason():
    model = tiny("gpt2")
    assert why_no_repeats(model) == ""

    class Few:
        def __init__(self, whole):
            self.whole = whole

        def __getattr__(self, name):
            return getattr(self.whole, name)

        def __len__(self):
            return 20

        def __call__(self, *words, **named):
            return self.whole(*words, **named)

    few = replace(model, tokenizer=Few(model.tokenizer))
    assert "28 different ones; this model has 64 and 16." in why_no_repeats(few)
