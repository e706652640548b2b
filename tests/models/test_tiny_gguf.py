"""A GGUF file that nobody named: opened alone from its folder, the same network as in its own library."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_gguf import BLOCKS, GROUPS, HEADS, WIDTH, write_gguf

from generator.exhibit import ModelSpec
from generator.inputs.texts import CuratedText
from generator.models.load import load_model

TEXT = "the cat sat in the hat, and Ann saw it."


@pytest.mark.parametrize("tokenizer", ["gpt2", "llama"])
def test_one_file_is_opened_with_its_tokenizer_and_computes_what_its_weights_say(
    tmp_path, tokenizer
):
    from transformers import AutoModelForCausalLM

    file = write_gguf(tmp_path / "tiny.gguf", tokenizer)
    spec = ModelSpec(id="tiny", source="./tiny.gguf")
    model = load_model(spec, tmp_path, tmp_path / "cache")
    assert (len(model.layers), model.heads, model.kv_groups) == (BLOCKS, HEADS, GROUPS)
    assert model.trial and all(check.passed for check in model.trial)
    encoding = model.encode(CuratedText("one", TEXT, "", "", ""))
    assert model.tokenizer.decode(encoding.ids, skip_special_tokens=True).strip() == TEXT
    whole = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file.name).eval()
    with torch.no_grad():
        theirs = whole(torch.tensor([encoding.ids])).logits[0]
        ours = model.module(torch.tensor([encoding.ids])).logits[0]
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-4)
    assert whole.config.hidden_size == WIDTH
