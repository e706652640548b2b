"""Networks of two towers are opened as two models, each computing what the library computes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_site import cutaway_here
from tiny_towers import KINDS, OTHERS, SIDE, TEXT, save_towers
from tiny_transformers import PAIRS, closed_tokenizer, save_tiny
from typer.testing import CliRunner

from generator.cli import app
from generator.errors import CutawayError, UsageError
from generator.exhibit import ModelSpec
from generator.inputs.texts import CuratedText
from generator.models.load import load_model, parts_of
from generator.models.model import TwoTowers, VisionModel
from generator.models.text_model import LanguageModel
from generator.models.towers import MATCH
from generator.probes.matching import measure_matching
from generator.store import Store


def opened(folder: Path, part: str | None = None):
    spec = ModelSpec(id="net", source=str(folder))
    specs = parts_of(spec, folder, folder)
    assert [one.id for one in specs] == ["net-picture", "net-text"]
    return [load_model(one, folder, folder) for one in specs if part in (None, one.part)]


@pytest.mark.parametrize("kind", KINDS + OTHERS)
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
    match = next(check for check in model.trial if check.name == MATCH)
    assert match.passed and match.difference < 1e-4


@pytest.mark.parametrize("kind", KINDS + OTHERS)
def test_pictures_and_texts_are_compared_as_the_library_compares_them(kind, tmp_path):
    whole = save_towers(kind, tmp_path)
    (model,) = opened(tmp_path, "picture")
    texts = [
        CuratedText(name, text, "", "") for name, text in (("a", "rain"), ("b", "the old town"))
    ]
    pixels = np.random.default_rng(0).normal(size=(3, SIDE, SIDE)).astype(np.float32)
    found = measure_matching(model, {"a": pixels}, texts, 0, Store(tmp_path / "store")).pictures[0]
    read = model.towers.read([one.text for one in texts])
    with torch.no_grad():
        logits = whole(pixel_values=torch.from_numpy(pixels)[None], **read).logits_per_image[0]
    shares = logits.sigmoid() if kind == "Siglip" else logits.softmax(-1)
    assert np.allclose(found.probabilities, shares.numpy(), atol=1e-4)


@pytest.mark.parametrize("kind", ["CLIP", "Siglip", "ChineseCLIP"])
def test_a_whole_that_compares_otherwise_is_refused(kind, tmp_path, monkeypatch):
    """As a network would be that scales, or projects, in another place."""
    save_towers(kind, tmp_path)
    monkeypatch.setattr(TwoTowers, "scale", 3.0)
    with pytest.raises(CutawayError, match=r"a check failed when it was opened \(Match; "):
        opened(tmp_path, "picture")


def test_of_naflex_the_texts_are_shown_and_the_pictures_refused_with_the_reason(tmp_path):
    import transformers

    text = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2} | TEXT
    text |= {"num_attention_heads": 4, "projection_size": 32}
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "patch_size": 8}
    config = transformers.Siglip2Config(
        text_config=text, vision_config=vision | {"num_attention_heads": 4, "num_patches": 16}
    )
    whole = transformers.Siglip2Model(config).eval()
    whole.save_pretrained(tmp_path)
    closed_tokenizer().save_pretrained(tmp_path)
    spec = ModelSpec(id="net", source=str(tmp_path))
    (one,) = parts_of(spec, tmp_path, tmp_path)
    model = load_model(one, tmp_path, tmp_path)
    assert one.id == "net-text" and "NaFlex" in model.left_out[-1].reason
    ids = model.encode(CuratedText("a", "rain fell on the old town", "", "")).ids
    with torch.no_grad():
        theirs = whole.text_model(input_ids=torch.tensor([ids])).last_hidden_state
    assert torch.allclose(model.run(ids).last_hidden_state, theirs, atol=1e-5)
    with pytest.raises(CutawayError, match="patches of a picture of any shape"):
        load_model(spec.tower("picture"), tmp_path, tmp_path)


@pytest.mark.parametrize("kind", KINDS + OTHERS)
def test_the_text_tower_computes_what_the_whole_computes(tmp_path, kind):
    whole = save_towers(kind, tmp_path)
    (model,) = opened(tmp_path, "text")
    assert isinstance(model, LanguageModel)
    assert model.causal == (kind in {"CLIP", "MetaClip2"})
    assert model.max_tokens == (63 if kind == "AltCLIP" else 64)  # behind its padding
    ids = model.encode(CuratedText("a", "rain fell on the old town", "", "")).ids
    ours = model.run(ids, attentions=True)
    with torch.no_grad():
        body = whole.text_model.roberta if kind == "AltCLIP" else whole.text_model
        theirs = body(input_ids=torch.tensor([ids]))
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


@pytest.mark.slow
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
