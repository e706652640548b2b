"""The pages on attention over patches, built by the command and used in a browser as a reader would."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from accessibility import violations
from filled import quoted
from PIL import Image
from playwright.sync_api import expect
from small_site import CHECKOUT, Site, built_once, write_exhibit
from tiny_vision import BLOCKS, COLUMNS, HEADS, HIGH, SEES_LIGHT, SIDE, WIDE, save, save_seeker

pytestmark = pytest.mark.slow

# The bright patch of the picture "corner": at the top, on the right.
ROW, COLUMN = 0, COLUMNS - 1
# That of the brightest of the pool: on the left, at the bottom.
LIT = SIDE // HIGH - 1
NEURONS = "models/seeker/layers/vit.layers.0.mlp.fc1"
SEEKER = "models/seeker/layers/vit.layers.0/heads/1/index.html"
ATLAS = "models/deit/atlas/index.html"
DEIT = "models/deit/layers/deit.layers.1/heads/2/index.html"
ARTICLE = "articles/heads/index.html"
WRITTEN = """---
title: Heads over pictures
description: Two heads, played.
---
{{ head("seeker", 0, 1) }} is in {{ ref("fig-seek") }}.

{{ figure("patch_attention", id="fig-seek", model="seeker", layer=0, head=1, image="corner") }}

{{ widget("patch_view", model="seeker", layer=0, head=1, image="corner") }}

{{ widget("patch_view", model="deit", layer=1, head=2, image="cat") }}
"""


def bright(path: Path, row: int, column: int, light: int) -> None:
    """A black picture with one patch of some brightness."""
    path.parent.mkdir(exist_ok=True)
    pixels = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    pixels[row * HIGH : (row + 1) * HIGH, column * WIDE : (column + 1) * WIDE] = light
    Image.fromarray(pixels).save(path)


def exhibit(folder: Path) -> Path:
    """Three random networks on two pictures, one of them with a single bright patch."""
    folder.mkdir()
    save_seeker(folder / "seeker")
    for family in ("deit", "swin"):
        save(family, folder / family)
    bright(folder / "corner.png", ROW, COLUMN, 255)
    for name, row, light in (("lit", LIT, 200), ("dim", 3, 20), ("dimmer", 2, 10), ("black", 0, 0)):
        bright(folder / "pool" / f"{name}.png", row, 0, light)
    cat = str(CHECKOUT / "site_src/inputs/images/cat.jpg")
    make = {"features": 0, "classes": 0}
    models = [
        {"id": "seeker", "source": "./seeker", "make": make, "pool": "pool", "units": ["*fc1"]},
        {
            "id": "deit",
            "source": "./deit",
            "make": make,
            "layers": ["*projection", "deit.layers.[01]"],
        },
        {"id": "swin", "source": "./swin", "make": make, "layers": ["*projection"]},
    ]
    images = [
        {"file": "corner.png", "label": "a </script><b>corner", "id": "corner"},
        {"file": cat, "label": "cat"},
    ]
    (folder / "writing" / "articles").mkdir(parents=True)
    (folder / "writing" / "articles" / "heads.md").write_text(WRITTEN, encoding="utf-8")
    data = {"title": "Patches", "seed": 2, "models": models, "images": images, "texts": []}
    write_exhibit(folder, data | {"writing": "writing"})
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    return built_once(tmp_path_factory, "patches", exhibit)


@pytest.fixture(scope="module")
def root(site: Site) -> Path:
    return site.site


def rows_of(site, model, name):
    path = site.site / "models" / model / "data" / name
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def text_of(site, address):
    return quoted((site.site / address).read_text(encoding="utf-8"))


def test_every_head_of_a_block_with_a_page_has_one_and_its_numbers(site):
    deit = site.site / "models/deit"
    found = {path.parent.name for path in (deit / "layers").glob("*/heads/*/index.html")}
    assert found == {str(head) for head in range(HEADS)}
    assert len(list((deit / "layers").glob("*/heads/*/index.html"))) == 2 * HEADS
    script = text_of(site, "javascripts/jump-index.js").partition("=")[2].rstrip(";\n")
    jumps = next(model for model in json.loads(script)["models"] if model["id"] == "deit")["rows"]
    heads = [row[3] for row in jumps if row[0] == "head"]
    assert len(heads) == 2 * HEADS and all((deit / row / "index.html").is_file() for row in heads)
    rows = rows_of(site, "deit", "heads.csv")
    assert len(rows) == BLOCKS * HEADS and rows[HEADS]["layer"] == "deit.layers.1"
    assert {"entropy_nats", "mean_distance_percentile", "distillation_mass"} <= set(rows[0])
    assert "induction" not in rows[0]
    for name in ("heads_by_picture.csv", "looks.csv"):
        assert len(rows_of(site, "deit", name)) == 2 * BLOCKS * HEADS * (1 + (name == "looks.csv"))
    rolled = rows_of(site, "deit", "rollout.csv")
    assert {row["weights"] for row in rolled} == {"trained", "random"}
    assert {row["token"] for row in rolled} == {"class", "distillation"}
    manifest = json.loads(text_of(site, "manifest.json"))
    stated = {model["id"]: model for model in manifest["models"]}
    assert stated["seeker"]["patches"]["grid"] == [SIDE // HIGH, COLUMNS]
    assert stated["deit"]["patches"]["other_tokens"] == ["class", "distillation"]


def test_pages_link_the_model_its_blocks_and_its_heads(site):
    assert 'href="attention/index.html"' in text_of(site, "models/deit/index.html")
    layer = text_of(site, "models/deit/layers/deit.layers.1/index.html")
    assert all(f'href="heads/{head}/index.html"' in layer for head in range(HEADS))
    head = text_of(site, DEIT)
    assert 'href="../../index.html"' in head and "L1H2" in head
    part = text_of(site, "models/deit/attention/index.html")
    assert "layers/deit.layers.0/heads/3/index.html#picture=cat" in part
    assert "deit.layers.2/heads" not in part and "L2H3" in part  # that block has no page
    assert "random weights" in part


def test_a_page_states_what_the_table_says(site):
    row = next(
        row
        for row in rows_of(site, "seeker", "looks.csv")
        if (row["block"], row["head"], row["picture"]) == ("0", "1", "corner")
    )
    assert (int(row["strongest_row"]), int(row["strongest_column"])) == (ROW, COLUMN)
    assert f"row {ROW}, column {COLUMN} ({float(row['strongest']):.3f})" in text_of(site, SEEKER)
    assert (site.site / SEEKER).stat().st_size < 60_000


def test_windows_are_refused_on_the_page_and_the_rest_is_built(site):
    swin = text_of(site, "models/swin/index.html")
    assert "not laid over the pictures: its attention runs inside 16 groups of 16 tokens" in swin
    assert not (site.site / "models/swin/attention").exists()
    assert (site.site / "models/swin/classes/index.html").is_file()
    assert not (site.site / "models/swin/data/heads.csv").exists()


def test_a_neuron_that_answers_to_light_has_a_page_with_the_brightest_patch_marked(site):
    table = rows_of(site, "seeker", "neurons.csv")
    paged = {int(row["unit"]): row["page"] for row in table if row["page"]}
    # All others are silent: none of them writes, or is sparse or dense.
    assert paged.pop(SEES_LIGHT) == "sparse" and set(paged.values()) == {"random"}
    paged = {SEES_LIGHT, *paged}
    found = (site.site / NEURONS / "units").glob("*/index.html")
    assert {int(path.parent.name) for path in found} == paged
    page = text_of(site, f"{NEURONS}/units/{SEES_LIGHT}/index.html")
    marked = re.findall(
        r'aria-label="(\w+), with a patch marked".*?<rect class="c-box" (.*?)/>', page
    )
    assert [label for label, _ in marked[:3]] == ["lit", "dim", "dimmer"]
    assert marked[0][1] == f'x="0" y="{LIT * HIGH}" width="{WIDE}" height="{HIGH}"'
    assert "class token too; these count for nothing" in re.sub(r"<[^>]*>", "", page)
    assert "With random weights" in re.sub(r"<[^>]*>", "", page)
    layer = text_of(site, f"{NEURONS}/index.html")
    assert all(f'href="units/{unit}/index.html"' in layer for unit in paged)
    rows = [
        row for row in rows_of(site, "seeker", "exemplars.csv") if int(row["unit"]) == SEES_LIGHT
    ]
    first = next(row for row in rows if (row["variant"], row["place"]) == ("neuron", "1"))
    assert (first["picture"], first["row"], first["column"]) == ("lit", str(LIT), "0")
    assert len(rows_of(site, "seeker", "units.csv")) > len(table) == 48
    script = text_of(site, "javascripts/jump-index.js").partition("=")[2].rstrip(";\n")
    jumps = next(model for model in json.loads(script)["models"] if model["id"] == "seeker")
    units = {row[3] for row in jumps["rows"] if row[0] == "unit"}
    assert units == {f"layers/vit.layers.0.mlp.fc1/units/{unit}/" for unit in paged}


def spoken(page):
    return page.locator(".c-tabs__panel:visible .c-patches-play__says")


def canvas(page):
    found = page.locator(".c-tabs__panel:visible canvas")
    found.scroll_into_view_if_needed()
    return found


def over(page, row, column, rows, columns):
    """Point at the middle of a patch."""
    box = canvas(page).bounding_box()
    page.mouse.move(
        box["x"] + box["width"] * (column + 0.5) / columns,
        box["y"] + box["height"] * (row + 0.5) / rows,
    )


def weight_of(site, model, picture, block, head, query, key):
    """A weight out of the published script: tokens count the special ones first."""
    name = f"patches-{picture}--{block}-{head}"
    text = text_of(site, f"models/{model}/attention/{name}.js")
    packed = base64.b64decode(re.search(r'="([^"]+)";', text)[1])
    values, at = [], 0
    while at < len(packed):
        first = packed[at]
        values.append(first if first < 128 else (first & 127) << 8 | packed[at + 1])
        at += 1 if first < 128 else 2
    count = round(len(values) ** 0.5)
    return values[query * count + key] / 10_000


def test_an_article_plays_two_heads_apart(site, visit):
    page = visit(viewport={"width": 900, "height": 800}).open(ARTICLE)
    expect(page.locator("canvas")).to_have_count(2)
    assert page.locator("script[src$='javascripts/attention.js']").count() == 1
    one, other = page.locator("canvas").all()
    said = page.locator(".c-patches-play__says")
    expect(said.first).to_contain_text(f"most at row {ROW}, column {COLUMN} (0.9")
    other.scroll_into_view_if_needed()
    other.click(position={"x": 10, "y": 10})
    expect(said.nth(1)).to_contain_text("The patch in row 0, column 0 looks most at")
    expect(page).to_have_url(re.compile("#query-2=0.0$"))
    expect(said.first).to_contain_text("The class token looks most at")
    one.scroll_into_view_if_needed()
    one.click(position={"x": 10, "y": 10})
    expect(page).to_have_url(re.compile(r"query-2=0\.0&query=0\.0$"))
    page.locator(".c-inside").first.hover()
    shown = page.locator(".c-pop img")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => image.naturalWidth") == 224


@pytest.mark.parametrize("origin", ["server", "file"])
def test_pointing_at_a_patch_shows_where_it_looks(site, visit, origin):
    page = visit(origin).open(DEIT)
    expect(spoken(page)).to_contain_text("The class token looks most at row")
    over(page, 2, 1, 4, 4)
    expect(spoken(page)).to_contain_text("The patch in row 2, column 1 looks most at")
    said = spoken(page).inner_text()
    best = re.search(r"most at row (\d), column (\d) \((0\.\d{4})\);", said)
    key = 2 + 4 * int(best[1]) + int(best[2])
    assert float(best[3]) == weight_of(site, "deit", "corner", 1, 2, 2 + 4 * 2 + 1, key)
    beside = weight_of(site, "deit", "corner", 1, 2, 2 + 4 * 2 + 1, 1)
    assert f"distillation token ({beside:.4f})" in said

    page.mouse.down()
    page.mouse.up()
    expect(page).to_have_url(re.compile("query=2.1"))
    over(page, 0, 3, 4, 4)
    exact = weight_of(site, "deit", "corner", 1, 2, 2 + 4 * 2 + 1, 2 + 3)
    expect(spoken(page)).to_contain_text(
        f"row 2, column 1 looks at row 0, column 3 with {exact:.4f}"
    )
    page.get_by_role("button", name="distillation token").first.click()
    assert "query=1" in page.url
    expect(spoken(page)).to_contain_text("The distillation token looks")
    page.go_back()
    page.mouse.move(0, 0)
    expect(spoken(page)).to_contain_text("The patch in row 2, column 1 looks most at")


def test_the_keyboard_moves_keeps_and_lets_go(visit):
    page = visit().open(DEIT)
    canvas(page).focus()
    page.keyboard.press("ArrowRight")
    expect(spoken(page)).to_contain_text("The patch in row 2, column 2 looks most at")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    expect(spoken(page)).to_contain_text("The patch in row 1, column 1 looks most at")
    page.keyboard.press("Enter")
    assert "query=1.1" in page.url
    page.keyboard.press("ArrowDown")
    expect(spoken(page)).to_contain_text("row 1, column 1 looks at row 2, column 1 with")
    page.keyboard.press("Escape")
    assert "query" not in page.url


def test_a_link_opens_the_moment_it_names(visit):
    page = visit().open(DEIT + "#picture=cat&query=3.0")
    expect(spoken(page)).to_contain_text("The patch in row 3, column 0 looks most at")
    for wrong in ("query=9.9", "query=7", "query=%3Cb%3E", "query=1.1.1"):
        page.evaluate("hash => { location.hash = hash; }", wrong)
        expect(spoken(page)).to_contain_text("The class token looks most at")
        page.evaluate("location.hash = 'query=3.0'")
        expect(spoken(page)).to_contain_text("The patch in row 3, column 0 looks most at")


def test_the_bright_corner_is_lit_where_it_is_seen(visit):
    """Colours on the canvas, after all layers between the picture and the screen."""
    page = visit().open(SEEKER)
    expect(spoken(page)).to_contain_text(f"most at row {ROW}, column {COLUMN} (0.9")
    shot = np.asarray(Image.open(io.BytesIO(canvas(page).screenshot())).convert("RGB")).astype(int)
    high, wide = shot.shape[0] // 8, shot.shape[1] // COLUMNS
    cells = shot[: high * 8, : wide * COLUMNS].reshape(8, high, COLUMNS, wide, 3).mean((1, 3))
    warmth = cells[..., 0] - cells[..., 2]
    assert np.unravel_index(warmth.argmax(), warmth.shape) == (ROW, COLUMN)
    assert warmth[ROW, COLUMN] > 60 > 3 * np.delete(warmth.ravel(), ROW * COLUMNS + COLUMN).max()


def test_the_atlas_names_no_roles_and_opens_the_heads_that_have_pages(site, visit):
    page = visit(viewport={"width": 900, "height": 800}).open(ATLAS)
    dots, count = page.locator(".c-atlas__plot a"), BLOCKS * HEADS
    expect(dots).to_have_count(count)
    expect(page.locator(".c-atlas__plot a[href]")).to_have_count(2 * HEADS)  # of two chosen blocks
    expect(page.locator(".c-atlas__plot .c-dot--role")).to_have_count(0)
    expect(page.get_by_label("Role")).to_have_count(0)
    rows = csv.DictReader(io.StringIO(text_of(site, "models/deit/data/heads.csv")))
    entropies = [float(row["entropy_nats"]) for row in rows]
    page.get_by_role("button", name="Entropy", exact=True).click()
    places = np.argsort(-np.array(entropies), kind="stable")
    names = page.locator(".c-atlas__table tbody th").all_text_contents()
    assert names == [f"L{place // HEADS}H{place % HEADS}" for place in places]
    dots.last.focus()
    expect(page.locator(".c-atlas__says")).to_contain_text(re.compile(r"^L\d+H\d+: Mean distance "))


def test_without_a_script_the_map_stands_there(visit):
    page = visit(java_script_enabled=False).open(SEEKER)
    assert page.locator("canvas").count() == 0
    shown = page.locator(".c-tabs__panel:visible .c-over")
    expect(shown).to_have_count(1)
    label = shown.get_attribute("aria-label")
    assert f"row {ROW}, column {COLUMN}" in label and "</script><b>" in label
    page.wait_for_timeout(300)
    shot = np.asarray(Image.open(io.BytesIO(shown.screenshot())).convert("RGB")).astype(int)
    warmth = shot[..., 0] - shot[..., 2]
    brightest = np.unravel_index(warmth.argmax(), warmth.shape)
    assert brightest[0] < shot.shape[0] / 8 and brightest[1] >= shot.shape[1] * 3 / 4


@pytest.mark.parametrize(
    ("address", "scheme"),
    [
        (DEIT, "light"),
        ("models/deit/attention/index.html", "dark"),
        (ATLAS, "light"),
        ("models/deit/layers/deit.layers.0/index.html", "light"),
    ],
)
def test_pages_fit_a_phone_and_can_be_used_by_all(visit, address, scheme):
    visitor = visit(viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True)
    page = visitor.open(address)
    if address == DEIT:
        expect(spoken(page)).to_contain_text("looks most at")
        canvas(page).tap(position={"x": 300, "y": 140})
        expect(spoken(page)).to_contain_text("The patch in row 1, column 3 looks most at")
        assert "query=1.3" in page.url
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert violations(page) == []
