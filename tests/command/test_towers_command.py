"""A network of two towers on the command line: what is meant is drawn and described, or asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from small_site import FEW, cutaway_here
from tiny_towers import KINDS, save_open_clip, save_towers
from tiny_transformers import save_tiny

import cutaway
from generator.errors import UsageError

TEXTS = "rain fell on the old town\nthe old town\n"


@pytest.fixture(params=["CLIP"])
def folder(request, tmp_path, monkeypatch) -> Path:
    """A network of two towers, with a picture and two texts beside it, as the working folder has them."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "net"
    save_open_clip(made) if request.param == "open_clip" else save_towers(request.param, made)
    (tmp_path / "pics").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "pics" / "noise.png")
    (tmp_path / "texts.txt").write_text(TEXTS, "utf-8")
    return tmp_path


def exhibit(folder: Path) -> Path:
    stated = {"title": "Two", "images": "pics", "texts": "texts.txt"}
    models = [{"id": "clip", "source": "./net", "make": FEW | {"features": 0}}]
    (folder / "exhibit.yml").write_text(yaml.safe_dump(stated | {"models": models}), "utf-8")
    return folder / "exhibit.yml"


INPUTS = ("--images", "pics", "--texts", "texts.txt")


@pytest.mark.slow
@pytest.mark.parametrize("folder", [*KINDS, "open_clip"], indirect=True)
def test_both_towers_get_a_card(folder):
    made = cutaway_here("card", "./net", *INPUTS, "--out", "cards")
    assert made.code == 0, made.err
    for part in ("picture", "text"):
        text = (folder / "cards" / f"net-{part}" / "README.md").read_text("utf-8")
        assert f"{part} tower" in text


@pytest.mark.slow
def test_one_tower_gets_a_card_where_it_is_named(folder):
    one = cutaway_here("card", "./net", *INPUTS, "--part", "text")
    assert one.code == 0, one.err
    assert (folder / "net-text-card" / "README.md").is_file()
    exhibit(folder)
    by_id = cutaway_here("card", "clip-picture")
    assert by_id.code == 0, by_id.err
    assert (folder / "clip-picture-card" / "README.md").is_file()
    wrong = cutaway_here("card", "clip", "--part", "middle")
    assert wrong.code == 2 and "no part of clip" in wrong.err


@pytest.mark.slow
def test_the_card_of_a_tower_says_what_changed(folder):
    path = exhibit(folder)
    stated = yaml.safe_load(path.read_text("utf-8"))
    stated["models"].append(stated["models"][0] | {"id": "drawn", "altered": {"random": True}})
    stated["compare"] = [["clip-picture", "drawn-picture"], ["drawn-text", "drawn-text"]]
    path.write_text(yaml.safe_dump(stated), "utf-8")
    made = cutaway_here("card", "drawn")
    assert made.code == 0, made.err
    for part, before in (("picture", "clip"), ("text", "drawn")):
        text = (folder / "drawn-card" / f"drawn-{part}" / "README.md").read_text("utf-8")
        assert f"Held against {before}, {part} tower" in text


@pytest.mark.slow
def test_a_figure_is_of_the_tower_that_it_can_be_made_of(folder):
    exhibit(folder)
    asked = {
        "attention_map": ("--layer", "1", "--head", "2", "--text", "text-1"),
        "matching": ("--image", "noise"),
        "head_grid": ("--statistic", "entropy_nats", "--part", "text"),
    }
    for kind, words in asked.items():
        made = cutaway_here("figure", kind, "--model", "clip", *words, "-o", "one.svg")
        assert made.code == 0, (kind, made.err)
    either = cutaway_here("figure", "head_grid", "--model", "clip", "-o", "one.svg")
    assert either.code == 2 and "add --part picture or --part text" in either.err
    by_id = cutaway_here("figure", "matching", "--model", "clip-picture", "-o", "one.svg")
    assert by_id.code == 0, by_id.err


def test_the_public_face_opens_the_part_that_is_named(folder):
    run = cutaway.open("./net", images="pics", texts="texts.txt", part="text")
    assert run.model.id == "net-text"
    with pytest.raises(UsageError, match="say part='picture' or part='text'"):
        cutaway.open("./net", images="pics", texts="texts.txt")


def test_a_part_of_one_model_names_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_tiny("gpt2", tmp_path / "gpt2")
    (tmp_path / "texts.txt").write_text(TEXTS, "utf-8")
    words = ("--texts", "texts.txt", "--part", "text")
    assert "names nothing" in cutaway_here("card", "./gpt2", *words).err
    timm = ("timm:test_resnet", "--weights", "random", "--part", "picture")
    assert "names nothing" in cutaway_here("card", *timm).err
    drawn = ("figure", "filters", "--model", "timm:test_resnet", "--weights", "random")
    assert "names no part" in cutaway_here(*drawn, "--part", "text", "-o", "one.svg").err
