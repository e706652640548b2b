"""The language model inside a network that reads pictures and texts computes what the whole computes."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_readers import OPENED, save_reader
from typer.testing import CliRunner

from generator.cli import app
from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.load import load_model
from generator.models.randomise import random_twin
from generator.models.text_model import LanguageModel

IDS = tuple(range(3, 25))


def opened(folder: Path, **stated: str):
    return load_model(ModelSpec(id="net", source=str(folder), **stated), folder, folder)


@pytest.mark.parametrize("kind", OPENED)
def test_the_text_part_answers_a_text_as_the_whole_does(tmp_path, kind):
    whole = save_reader(kind, tmp_path)
    model = opened(tmp_path)
    assert isinstance(model, LanguageModel)
    assert (model.kind, model.head_kind) == ("decoder", "next token")
    ids = torch.tensor([IDS])
    with torch.no_grad():
        theirs = whole(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    assert torch.allclose(model.run(IDS).logits, theirs, atol=1e-4)
    assert f"text part of {kind}ForConditionalGeneration" in model.provenance.notes[0]
    twin = random_twin(model, 0)
    assert twin.parameters == sum(one.numel() for one in twin.module.parameters())
    assert not torch.allclose(twin.run(IDS).logits, theirs, atol=1e-2)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("PaliGemma", "reads a prompt both ways"),
        ("Mllama", "opens the text part of Mllama.* only within the whole"),
    ],
)
def test_a_text_part_that_is_none_alone_is_refused(tmp_path, kind, reason):
    save_reader(kind, tmp_path)
    with pytest.raises(CutawayError, match=reason):
        opened(tmp_path)


def test_a_part_that_answers_otherwise_than_the_whole_is_refused(tmp_path, monkeypatch):
    save_reader("Llava", tmp_path)
    from transformers import LlavaForConditionalGeneration

    plain = LlavaForConditionalGeneration.forward

    def louder(self, **given):
        made = plain(self, **given)
        made.logits = made.logits * 1.5
        return made

    monkeypatch.setattr(LlavaForConditionalGeneration, "forward", louder)
    with pytest.raises(CutawayError, match=r"answers otherwise than the language model inside it"):
        opened(tmp_path)


@pytest.mark.parametrize("lost", ["language_model.model.layers.1.mlp.up_proj", "lm_head"])
def test_a_text_part_with_missing_tensors_is_refused(tmp_path, lost):
    save_reader("Llava", tmp_path)
    _without(tmp_path / "model.safetensors", lost)
    with pytest.raises(CutawayError, match=r"the first of 1 that are missing in it is"):
        opened(tmp_path)


def test_the_text_part_needs_no_tensors_of_the_picture_tower(tmp_path):
    save_reader("Llava", tmp_path)
    _without(tmp_path / "model.safetensors", "vision_tower")
    assert opened(tmp_path, part="text").heads == 4


def test_a_picture_part_is_refused(tmp_path):
    save_reader("Llava", tmp_path)
    with pytest.raises(CutawayError, match="reads pictures and texts with a part for each"):
        opened(tmp_path, part="picture")


def test_inspect_says_what_it_is_a_part_of(tmp_path):
    save_reader("Qwen2VL", tmp_path)
    found = CliRunner().invoke(app, ["inspect", str(tmp_path)])
    assert found.exit_code == 0, found.output
    assert "the text part of Qwen2VLForConditionalGeneration" in found.output


def _without(file: Path, part: str) -> None:
    state = load_file(file)
    kept = {name: values for name, values in state.items() if part not in name}
    assert len(kept) < len(state)
    save_file(kept, file, metadata={"format": "pt"})
