"""The map of a network on the page of a model, and the mark on it on all other pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from filled import any_pages
from networks import opened
from runs import run_on
from tiny_blocks import Residual
from tiny_transformers import LAYERS, tiny, tiny_pair

from generator.addresses import head_address, layer_address
from generator.inputs.texts import CuratedText
from generator.pages.page import Page
from generator.run import Run
from generator.techniques.architecture import ARCHITECTURE, View, view
from generator.techniques.links import paged_layers
from generator.techniques.map_colours import Colouring, letters
from generator.techniques.map_here import here, map_file, small_map
from generator.techniques.map_layout import draw_map
from generator.techniques.measured_stack import heads_of

LEAF = 2500  # bytes that a mark may take on each of thousands of pages


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("map")


@pytest.fixture(scope="module")
def seen(folder: Path) -> Run:
    pixels = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    return run_on(opened(Residual(), side=32), store=folder / "seen", pixels={"noise": pixels})


@pytest.fixture(scope="module")
def read(folder: Path) -> Run:
    text = CuratedText("words", "rain fell on w1 w2 the old town w1 w2", "", "")
    return run_on(tiny("qwen2"), [text], folder / "read", ablate=1, runs=2, words=2)


@pytest.fixture(scope="module")
def pair(folder: Path) -> Run:
    text = CuratedText("words", "rain fell on w1 w2", "", "", "w1 w2")
    return run_on(tiny_pair("t5"), [text], folder / "pair", ablate=1, runs=2, words=2)


@pytest.fixture(params=["seen", "read", "pair"])
def run(request: pytest.FixtureRequest) -> Run:
    return request.getfixturevalue(request.param)


def shown(run: Run) -> tuple[View, str]:
    """The section as HTML on a page of its own."""
    found = view(run)
    page = Page("models/m/index.html", "", "", "sections/architecture.html", {"view": found})
    return found, any_pages().fill(page).body


def drawing(html: str) -> str:
    return html[html.index('<svg class="c-plan__drawing"') : html.index("<details")]


def links(html: str) -> Iterator[str]:
    for href in re.findall(r'<a href="([^"]+)"', html):
        yield str(Path("/models/m", href).as_posix()).replace("/models/m/..", "/models")[1:]


def test_each_layer_and_head_with_a_page_is_one_box(run):
    _, html = shown(run)
    expected = [layer_address(run.model.id, one.name) for one in paged_layers(run.model)]
    for stack in heads_of(run.model):
        for layer in stack.layers:
            expected += [head_address(run.model.id, layer.name, n) for n in range(stack.heads)]
    found = [href.replace("models/../", "models/") for href in links(drawing(html))]
    assert sorted(found) == sorted(expected)


def test_repeated_blocks_are_one_row_that_opens(seen, read, pair):
    rows = [(row.line.name, row.times, row.opens > 0) for row in view(seen).map.rows]
    assert rows == [("stem", 1, False), ("blocks.0–2", 3, True), ("classes", 1, False)]
    assert [(row.line.name, row.times) for row in view(read).map.rows] == [
        (f"Layers 0–{LAYERS - 1}", LAYERS)
    ]
    names = [(row.line.name, row.times) for row in view(pair).map.rows]
    assert names == [("encoder.0–1", 2), ("decoder.0–2", 3)]


def test_colours_are_of_what_was_measured(seen, read):
    parameters, *others = view(seen).colours
    assert [one.name for one in (parameters, *others)] == [
        "Parameters", "FLOPs", "Exactly zero", "Near zero", "Receptive field",
    ]  # fmt: skip
    assert "those of the normalisation that follows it" in parameters.note
    # 8 x 8 x 9 weights, and a gain and a bias of the batch norm for each of 8 channels.
    assert parameters.words["blocks.1.two"] == f"{8 * 8 * 9 + 16} parameters"
    assert parameters.words["blocks.1"] == f"{8 * 8 * 9 + 16 + 8 * 8 + 8} parameters"
    assert parameters.steps["classes"] == 0 and parameters.steps["blocks.0"] == 5
    flops = others[0]
    assert flops.words["stem"] == f"{2 * 3 * 9 * 8 * 16 * 16 / 1000:.0f} kFLOPs"
    assert "two operations for each multiply-add" in flops.note
    zero = others[1]  # of what ends in a rectifier only
    assert set(zero.words) == {"stem", *(f"blocks.{n}.one" for n in range(3))}
    effect = view(read).colours[0]
    assert effect.name == "Effect when silenced"
    # A layer has the colour of its costliest head.
    for layer in ("0", "1", "2"):
        assert effect.steps[layer] == max(effect.steps[(layer, head)] for head in range(4))


def test_the_table_says_what_the_map_shows(run):
    (table,) = ARCHITECTURE.tables(run)
    (flops,) = (one for one in view(run).colours if one.letter == "f")
    for row in table.records:
        assert row["layer"] in flops.words
    assert list(table.records[0])[-1] == "flops"
    assert sum(int(row["flops"]) for row in table.records) > 0


def test_a_mark_stands_on_the_map_and_takes_little(run):
    small = small_map(run)
    parts = [part for column in small.columns for part in column]
    assert len(parts) == len(set(parts))
    ((address, svg),) = map_file(run)
    assert svg.count("z") == len(parts) and len(svg) < 20_000
    stacks = heads_of(run.model)
    marks = [here(run, layer) for layer in run.model.layers]
    marks += [
        here(run, layer, h) for one in stacks for layer in one.layers for h in range(one.heads)
    ]
    places = {(round(one.left, 3), round(one.top, 3)) for one in marks}
    assert len(places) == len(marks)
    for one in marks:
        assert one.source == address
        assert 0 <= one.left <= 100 - one.wide and 0 <= one.top <= 100.01 - one.high
    html = str(any_pages().macro("partials/macros.html", "here", marks[-1], str))
    assert address in html and len(html) < LEAF / 4


def test_each_kind_has_a_letter_of_its_own() -> None:
    names = ["induction", "duplicate token", "previous token", "delimiter", "positional", "broad"]
    assert letters([*names, "bb", "-"]) == ("I", "D", "P", "E", "O", "B", "6", "7")


def test_a_kind_is_told_by_its_letter_as_well_as_by_its_colour(read: Run) -> None:
    layer, other = (one.name for one in read.model.layers[:2])
    kinds = (("sink", 1), ("broad", 1))
    steps = {layer: 1, (layer, 0): 0}
    roles = Colouring("r", "Roles", "", steps, {}, kinds=kinds, marks=letters(["sink", "broad"]))
    drawn = draw_map(read, (roles,))
    boxes = [box for row in drawn.rows for line in (row.line, *row.lines) for box in line.boxes]
    marks = {box.target: (box.classes, box.mark) for box in boxes}
    assert marks[layer_address(read.model.id, layer)] == ("r1", "B")
    assert marks[head_address(read.model.id, layer, 0)] == ("r0", "S")
    assert marks[layer_address(read.model.id, other)] == ("", "")
