"""What a folder with a text model says of itself, or does not say: told, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runs import run_on
from tiny_transformers import PAIRS, save_tiny

from generator.errors import UsageError
from generator.exhibit import ModelSpec
from generator.inputs.texts import CuratedText
from generator.models.load import load_model
from generator.models.seq2seq import Seq2SeqModel
from generator.probes.repeated_sequences import ordinary_tokens
from generator.techniques.decoding import DECODING
from generator.techniques.heads import HEADS


def opened(folder: Path, name: str = "net"):
    return load_model(ModelSpec(id=name, source=str(folder)), folder, folder)


@pytest.mark.parametrize("family", ["gpt2", "llama", "cohere", "bert", "t5"])
def test_a_token_without_a_row_is_named(family, tmp_path):
    from transformers import AutoTokenizer

    save_tiny(family, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.add_tokens(["zyx"])
    tokenizer.save_pretrained(tmp_path)
    model = opened(tmp_path)
    with pytest.raises(UsageError, match=r"'t' holds the token 'zyx', number 64; .* for 64 tokens"):
        model.encode(CuratedText("t", "rain zyx", "", ""))
    assert model.encode(CuratedText("t", "rain fell", "", "")).ids
    assert ordinary_tokens(model).max() == 63
    assert isinstance(model, Seq2SeqModel) == (family in PAIRS)


@pytest.mark.parametrize("family", ["gpt2", "llama", "cohere"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_bare_decoder_is_measured_on_any_number_of_texts(family, count, tmp_path):
    folder = tmp_path / "net"
    save_tiny(family, folder)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = [config["architectures"][0].replace("ForCausalLM", "Model")]
    config["architectures"] = [config["architectures"][0].replace("LMHeadModel", "Model")]
    (folder / "config.json").write_text(json.dumps(config))
    model = opened(folder)
    assert [part.name for part in model.left_out] == ["decoding"]
    texts = [
        CuratedText("one", "rain fell on the old town at night", "", ""),
        CuratedText("two", "w1 w2 w3 w1 w2", "", ""),
    ][:count]
    run = run_on(model, texts, tmp_path, ablate=1, runs=1, words=3)
    assert len(run[HEADS][0].inputs) == count
    decoded = run[DECODING]
    assert len(decoded) == count and all(lens.reason for lens, _ in decoded)


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert"])
def test_pooling_that_is_not_the_mean_is_told(family, tmp_path):
    save_tiny(family, tmp_path)
    stated = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(stated))
    notes = opened(tmp_path).provenance.notes
    assert any("makes a sentence's vector of: cls; and so" in note for note in notes)
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    assert not any("1_Pooling" in note for note in opened(tmp_path).provenance.notes)
