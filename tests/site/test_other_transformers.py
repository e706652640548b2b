"""Transformers that no code here names go through every probe and onto every page, or hear why not."""

from __future__ import annotations

from html import escape

import numpy as np
import pytest
from filled import filled
from runs import run_on
from small_site import HOSTILE
from tiny_transformers import HEADS, LAYERS, PAIRS, tiny, tiny_pair

from generator.errors import UsageError
from generator.inputs.texts import CuratedText
from generator.pages.page import Page
from generator.pages.sections import technique_tables
from generator.techniques.attention import ATTENTION
from generator.techniques.circuits import CIRCUITS
from generator.techniques.heads import HEADS as MEASURED
from generator.techniques.readings import READINGS

TEXTS = (
    CuratedText("words", "rain fell on the old town w1 w2 rain fell", "Words", ""),
    CuratedText("hostile", HOSTILE, "<i>Hostile</i>", "", HOSTILE),
)
CHOICES = {"ablate": 2, "runs": 1, "words": 3}
# Llama, BERT and GPT-NeoX are like one of these, or stand in other tests.
UNNAMED = (
    "gpt2", "opt", "qwen2", "gemma", "distilbert", "roberta", "albert", "gemma2", "qwen3", "bloom", "gptj",
)  # fmt: skip
# Why a part cannot be had, where it cannot.
REASONS = {
    "gemma2": "its logits are not one matrix times the final state.",
    "albert": "token embeddings have another width than the residual stream.",
    "bloom": "heads cannot be silenced in one batch",
    "qwen3": "queries or keys are not one matrix times what is read",
}


@pytest.mark.slow
@pytest.mark.parametrize("family", UNNAMED)
def test_every_family_is_measured_and_gets_its_pages(family, tmp_path):
    model = tiny(family)
    run = run_on(model, TEXTS, tmp_path, **CHOICES)
    pages = list(filled(run).values())
    heads = LAYERS * HEADS
    addresses = check(pages, model.id, heads)
    assert f"models/{family}/atlas/index.html" in addresses
    rows = rows_of(run, "heads.csv")
    assert len(rows) == heads and all(row["induction"] for row in rows)
    assert len(run[ATTENTION][""].queries) == 1  # q and k show in all of them
    body = "\n".join(page.body for page in pages)
    if family in REASONS:
        assert REASONS[family] in body
    else:
        assert (
            run[CIRCUITS].reason == run[MEASURED][0].ablation.reason == run[READINGS].reason == ""
        )


@pytest.mark.slow
def test_of_experts_the_heads_are_shown_and_the_mlps_left_out_with_the_reason(tmp_path):
    model = tiny("mixtral")
    (left,) = model.left_out
    run = run_on(model, TEXTS[:1], tmp_path, **CHOICES)
    pages = filled(run)
    check(list(pages.values()), model.id, LAYERS * HEADS)
    overview = pages[f"models/{model.id}/index.html"].body
    assert "expert" in left.reason and escape(left.reason) in overview
    assert 'id="signal"' not in overview and 'id="heads"' in overview
    assert 'id="activity"' not in pages[f"models/{model.id}/layers/0/index.html"].body
    row = rows_of(run, "layers.csv")[0]
    assert row["near_zero"] == "" and float(row["stream_rms"]) > 0
    with pytest.raises(UsageError, match="MLPs are left out"):
        run.figure("sparsity")


@pytest.mark.slow
@pytest.mark.parametrize("family", list(PAIRS))
def test_every_encoder_decoder_is_measured_and_gets_its_pages(family, tmp_path):
    model = tiny_pair(family)
    run = run_on(model, TEXTS, tmp_path, **CHOICES)
    heads = sum(len(model.projections[name]) * count for name, count in model.heads.items())
    check(list(filled(run).values()), model.id, heads)
    assert len(rows_of(run, "heads.csv")) == heads


@pytest.mark.slow
def test_of_a_pair_with_experts_the_heads_are_shown_and_the_mlps_left_out(tmp_path):
    model = tiny_pair("switch")
    (left,) = model.left_out
    run = run_on(model, TEXTS[:1], tmp_path, **CHOICES)
    pages = filled(run)
    heads = sum(len(model.projections[name]) * count for name, count in model.heads.items())
    check(list(pages.values()), model.id, heads)
    overview = pages["models/switch/index.html"].body
    assert left.name == "MLPs" and escape(left.reason) in overview and 'id="signal"' not in overview
    assert len(rows_of(run, "heads.csv")) == heads and float(
        rows_of(run, "layers.csv")[0]["stream_rms"]
    )


def check(pages: list[Page], model: str, heads: int) -> set[str]:
    """All pages there, once each, with nothing undefined and no markup from a text."""
    addresses = {page.address for page in pages}
    assert len(addresses) == len(pages)
    assert sum("/heads/" in address for address in addresses) == heads
    assert f"models/{model}/index.html" in addresses
    for page in pages:
        assert "<img src=x" not in page.body and "<i>Hostile" not in page.body, page.address
        assert ">nan<" not in page.body, page.address
        assert "None" not in page.body.replace("None of ", ""), page.address
    return addresses


def rows_of(run, name: str) -> list[dict[str, str]]:
    return next(table.records for table in technique_tables(run) if table.name == name)


@pytest.mark.slow
def test_layers_that_share_weights_look_where_their_network_looks(tmp_path):
    """ALBERT: a page for each turn, each with its own numbers."""
    run = run_on(tiny("albert"), TEXTS[:1], tmp_path, **CHOICES)
    entropies = np.array([float(row["entropy_nats"]) for row in rows_of(run, "heads.csv")])
    assert (np.ptp(entropies.reshape(LAYERS, HEADS), axis=0) > 1e-3).all()
    pages = filled(run)
    assert "weights shared" in pages["models/albert/index.html"].body
    assert REASONS["albert"] in pages["models/albert/layers/2/heads/3/index.html"].body


def test_a_decoder_with_shared_keys_is_built_whole(families_site):
    folder = families_site.site / "models/qwen2"
    for part in ("atlas", "attention", "decoding"):
        assert (folder / part / "index.html").is_file(), part
    assert len(list((folder / "layers").glob("*/heads/*/index.html"))) == LAYERS * HEADS
    assert "KV group" in (folder / "layers/0/heads/1/index.html").read_text(encoding="utf-8")
