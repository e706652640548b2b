"""Networks of two towers are opened as two models, each computing what the library computes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_site import cutaway_here
from tiny_towers import KINDS, SIDE, save_towers
from tiny_transformers import PAIRS, closed_tokenizer, save_tiny
from typer.testing import CliRunner

from generator.cli import app
from generator.errors import UsageError
from generator.exhibit import ModelSpec
from generator.inputs.texts import CuratedText
from generator.models.load import load_model, parts_of
from generator.models.model import VisionModel
from generator.models.text_model import LanguageModel


def opened(folder: Path, part: str | None = None):
    spec = ModelSpec(id="net", source=str(folder))
    specs = parts_of(spec, folder, folder)
    assert [one.id for one in specs] == ["net-picture", "net-text"]
    return [load_model(one, folder, folder) for one in specs if part in (None, one.part)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_tower_ends_where_the_library_compares(tmp_path, kind):
    whole = save_towers(kind, tmp_path)
    (model,) = opened(tmp_path, "picture")
    assert isinstance(model, VisionModel)
    assert model.labels == () and model.attention is not None and model.towers is not None
    assert model.attention.heads == 4 and len(model.attention.blocks) == 2
    pixels = np.random.default_rng(0).normal(size=(3, SIDE, SIDE)).astype(np.float32)
    ours = model.run(pixels, lambda layer, response: None)
    with torch.no_grad():
        theirs = whole.get_image_features(pixel_values=torch.from_numpy(pixels)[None])
    assert torch.allclose(ours, theirs.pooler_output[0], atol=1e-5)
    assert "picture tower" in model.provenance.notes[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_tower_computes_what_the_whole_computes(tmp_path, kind):
    whole = save_towers(kind, tmp_path)
    (model,) = opened(tmp_path, "text")
    assert isinstance(model, LanguageModel)
    assert model.causal == (kind == "CLIP") and model.max_tokens == 64
    ids = model.encode(CuratedText("a", "rain fell on the old town", "", "")).ids
    ours = model.run(ids, attentions=True)
    with torch.no_grad():
        theirs = whole.text_model(input_ids=torch.tensor([ids]))
    assert torch.allclose(ours.last_hidden_state, theirs.last_hidden_state, atol=1e-5)
    assert len(ours.attentions) == 2


def test_inspect_shows_both_towers(tmp_path):
    save_towers("CLIP", tmp_path / "clip")
    found = CliRunner().invoke(app, ["inspect", str(tmp_path / "clip")])
    assert found.exit_code == 0, found.output
    assert "clip, picture tower: vision transformer" in found.output
    assert "clip, text tower: decoder" in found.output


def test_a_part_is_asked_for_where_one_model_is_meant(tmp_path):
    save_towers("CLIP", tmp_path)
    with pytest.raises(Exception, match="two towers"):
        load_model(ModelSpec(id="net", source=str(tmp_path)), tmp_path, tmp_path)
    save_tiny("gpt2", tmp_path / "one")
    spec = ModelSpec(id="net", source=str(tmp_path / "one"), part="text")
    with pytest.raises(UsageError, match="part: text names nothing"):
        load_model(spec, tmp_path, tmp_path)


@pytest.mark.parametrize("family", ["CLIP", "gpt2"])
def test_random_weights_are_not_asked_for_in_vain(family, tmp_path):
    """A folder has weights of its own: to show these where random ones are asked for would mislead."""
    save_towers(family, tmp_path) if family == "CLIP" else save_tiny(family, tmp_path)
    part = "text" if family == "CLIP" else None
    spec = ModelSpec(id="net", source=str(tmp_path), weights="random", part=part)
    with pytest.raises(UsageError, match="weights: random goes with timm:"):
        load_model(spec, tmp_path, tmp_path)


def test_the_encoder_of_t5_is_opened_alone(tmp_path):
    import transformers

    torch.manual_seed(0)
    made = transformers.T5EncoderModel(transformers.T5Config(**PAIRS["t5"][2])).eval()
    made.save_pretrained(tmp_path)
    closed_tokenizer().save_pretrained(tmp_path)
    model = load_model(ModelSpec(id="t5", source=str(tmp_path)), tmp_path, tmp_path)
    assert isinstance(model, LanguageModel)
    assert (model.kind, model.heads, model.head_width) == ("encoder", 4, 6)
    ids = model.encode(CuratedText("a", "rain fell on the old town", "", "")).ids
    with torch.no_grad():
        theirs = made(input_ids=torch.tensor([ids]))
    assert torch.allclose(
        model.run(ids).last_hidden_state, theirs.last_hidden_state, rtol=1e-4, atol=1e-4
    )


def test_one_folder_becomes_two_models_of_a_site(tmp_path):
    save_towers("CLIP", tmp_path / "clip")
    (tmp_path / "pics").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "pics" / "noise.png")
    (tmp_path / "texts.txt").write_text("rain fell on the old town\nthe old town\n", "utf-8")
    out = tmp_path / "site"
    words = ["--images", tmp_path / "pics", "--texts", tmp_path / "texts.txt", "--out", out]
    made = cutaway_here(
        "build", "--model", tmp_path / "clip", *words, "--features", "0", "--jobs", "1"
    )
    assert made.code == 0, made.err
    assert sorted(path.name for path in (out / "models").iterdir()) == ["clip-picture", "clip-text"]
