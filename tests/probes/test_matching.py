"""Pictures are matched with texts as the library matches them, and parts of pictures are truly hidden."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filled import filled_page
from PIL import Image
from small_site import FEW
from tiny_towers import KINDS, PATCH, SIDE, save_towers

from generator.exhibit import Choices, Exhibit, ImageSpec, ModelSpec, TextSpec
from generator.inputs.texts import CuratedText
from generator.models.load import load_model
from generator.models.model import VisionModel
from generator.pages.jump import jump_index
from generator.pages.parts import ways
from generator.pages.sections import technique_tables
from generator.probes.matching import DRAWS, block_side, measure_matching, part_of_pixel
from generator.run import why_not
from generator.store import Store
from generator.subjects import (
    load_runs,
    opened_in_parts,
    other_tower,
    read_inputs,
)
from generator.techniques import TECHNIQUES
from generator.techniques.matching import MATCHING

TEXTS = tuple(
    CuratedText(name, text, "", "")
    for name, text in {
        "rain": "rain fell on the old town",
        "short": "the town",
        "odd": "<b>old</b> & rain on rain",
    }.items()
)


def matched(kind: str, folder: Path):
    whole = save_towers(kind, folder / "net")
    spec = ModelSpec(id="net", source=str(folder / "net"), part="picture")
    model = load_model(spec, folder, folder)
    assert isinstance(model, VisionModel) and model.towers is not None
    drawn = np.random.default_rng(1).normal(size=(2, 3, SIDE, SIDE)).astype(np.float32)
    pixels = dict(zip("ab", drawn, strict=True))
    return whole, model, pixels, Store(folder / "store")


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_are_what_the_library_computes(tmp_path, kind):
    whole, model, pixels, store = matched(kind, tmp_path)
    found = measure_matching(model, pixels, TEXTS, 0, store)
    from transformers import AutoTokenizer

    read = AutoTokenizer.from_pretrained(tmp_path / "net")(
        [text.text for text in TEXTS],
        padding="max_length" if kind == "Siglip" else True,
        max_length=64,
        truncation=True,
        return_tensors="pt",
    )
    mask = {"attention_mask": read["attention_mask"]} if kind == "CLIP" else {}
    batch = torch.from_numpy(np.stack(list(pixels.values())))
    with torch.no_grad():
        theirs = whole(input_ids=read["input_ids"], pixel_values=batch, **mask).logits_per_image
    shares = theirs.softmax(-1) if kind == "CLIP" else theirs.sigmoid()
    for match, logits, share in zip(found.pictures, theirs, shares, strict=True):
        ours = found.scale * match.cosines + found.bias
        np.testing.assert_allclose(ours, logits.numpy(), atol=1e-4)
        np.testing.assert_allclose(match.probabilities, share.numpy(), atol=1e-4)
        assert match.best == int(logits.argmax())
    assert (found.bias != 0) == (kind == "Siglip")


@pytest.mark.parametrize("kind", KINDS)
def test_a_drop_is_that_of_the_part_hidden_by_hand(tmp_path, kind):
    _, model, pixels, store = matched(kind, tmp_path)
    match = measure_matching(model, pixels, TEXTS, 0, store).pictures[1]
    assert match.drops.shape == (SIDE // PATCH, SIDE // PATCH)

    def cosine(picture: np.ndarray, text: int) -> float:
        read = model.towers.read([TEXTS[text].text])
        with torch.no_grad():
            made = model.towers.module(pixel_values=torch.from_numpy(picture)[None], **read)
        return float((made.image_embeds @ made.text_embeds.t())[0, 0])

    def hidden(parts: list[tuple[int, int]]) -> np.ndarray:
        changed = pixels["b"].copy()
        for row, column in parts:
            rows = slice(row * PATCH, (row + 1) * PATCH)
            columns = slice(column * PATCH, (column + 1) * PATCH)
            changed[:, rows, columns] = pixels["b"].mean((1, 2))[:, None, None]
        return changed

    before = cosine(pixels["b"], match.best)
    assert match.drops[1, 2] == pytest.approx(
        before - cosine(hidden([(1, 2)]), match.best), abs=1e-5
    )
    strongest = [tuple(map(int, divmod(part, 4))) for part in match.strongest]
    assert len(strongest) == 2 and match.drops[strongest[0]] == match.drops.max()
    falls = [
        cosine(pixels["b"], text) - cosine(hidden(strongest), text) for text in range(len(TEXTS))
    ]
    assert match.together == pytest.approx(falls.pop(match.best), abs=1e-5)
    assert match.others == pytest.approx(np.mean(falls), abs=1e-5)
    assert match.random.shape == (DRAWS,)


def test_what_was_measured_is_measured_again_only_for_other_texts(tmp_path):
    _, model, pixels, store = matched("CLIP", tmp_path)
    measure_matching(model, pixels, TEXTS, 0, store)
    made = store.made
    measure_matching(model, pixels, TEXTS, 0, store)
    assert store.made == made
    (alone,) = measure_matching(model, {"a": pixels["a"]}, TEXTS[:1], 0, store).pictures
    assert store.made == made + 2
    assert alone.probabilities == pytest.approx([1.0]) and np.isnan(alone.others)


@pytest.mark.parametrize(
    ("size", "patch", "side", "parts"),
    [(224, 32, 1, 49), (224, 16, 2, 49), (224, 14, 2, 64), (336, 14, 3, 64), (384, 14, 4, 49)],
)
def test_a_picture_has_at_most_sixty_four_parts(size, patch, side, parts):
    assert block_side(size // patch) == side
    found = part_of_pixel(size, patch)
    assert set(np.unique(found)) - {-1} == set(range(parts))
    assert (found == -1).any() == (size % patch > 0)


def test_a_tower_stands_beside_the_other_of_its_own_network():
    models = [
        ModelSpec(id="a-picture", source="./a", part="picture"),
        ModelSpec(id="b-text", source="./b", part="text"),
        ModelSpec(id="a-text", source="./a", part="text"),
        ModelSpec(id="whole", source="./a"),
    ]
    assert [other_tower(one, models) for one in models] == ["a-text", "", "a-picture", ""]


@pytest.mark.slow
def test_both_towers_lead_to_a_page_with_every_pair(tmp_path):
    save_towers("CLIP", tmp_path / "net")
    for name, colour in (("red", (200, 20, 10)), ("blue", (10, 20, 200))):
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{name}.png")
    whole = Exhibit(
        models=(ModelSpec(id="net", source="./net", make=Choices(features=0, **FEW)),),
        images=tuple(ImageSpec(file=f"{name}.png", label=f"<i>{name}") for name in ("red", "blue")),
        texts=tuple(TextSpec(id=text.id, text=text.text) for text in TEXTS),
        base=tmp_path,
    )
    store = Store(tmp_path / "store")
    exhibit, inputs = opened_in_parts(whole, read_inputs(whole))
    runs = load_runs(exhibit, inputs, "cpu", store, [].append, [].append, TECHNIQUES)
    seen, read = runs
    address = "models/net-picture/matching/index.html"
    shown = filled_page(seen, address)
    page = shown.body
    assert (
        "&lt;b&gt;old&lt;/b&gt; &amp; rain" in page and "<b>old" not in page and "<i>" not in page
    )
    assert "The network was trained" not in page and "Networks of this kind are trained" in page
    assert page.count("c-best") == 2 and "None" not in page and "nan" not in page
    assert all('alt=""' not in tag for tag in page.split("<img")[1:])
    assert address in [link.target for link, _ in ways(read)]
    tables = {table.name: table.records for table in technique_tables(seen)}
    assert len(tables["matches.csv"]) == 2 * len(TEXTS)
    assert sum(float(row["probability"]) for row in tables["matches.csv"][:3]) == pytest.approx(1)
    assert len(tables["match_patches.csv"]) == 2 * (16 + 2 + DRAWS)
    drawn = {figure.path: figure.drawing for figure, _ in shown.figures()}
    assert drawn["models/net-picture/matching/red.webp"].arguments["maps"].shape == (1, SIDE, SIDE)
    asked = runs[0].figure("matching", image="red")
    assert "Which parts of the picture of <i>red move its match with “" in asked.alt
    index = jump_index([seen, read], [])
    assert index.count('"matching/"') == 1
    alone = replace(seen, other_tower="", _results={})
    assert why_not(MATCHING, alone)
    assert "matches.csv" not in {table.name for table in technique_tables(alone)}
