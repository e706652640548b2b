"""Figures, widgets and links of vision transformers and encoder-decoders in articles."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tiny_transformers import HEADS as PAIR_HEADS
from tiny_transformers import tiny_pair
from tiny_vision import BLOCKS, HEADS, SIDE, tiny_vision

from generator.articles.bibliography import Bibliography
from generator.articles.catalogue import Catalogue
from generator.articles.document import Article
from generator.articles.errors import WritingError
from generator.articles.kinds import figure
from generator.articles.read import read_article
from generator.articles.source import read_source
from generator.card_schema import Pairs
from generator.errors import UsageError
from generator.exhibit import Choices
from generator.figure_alone import parameters
from generator.figures import figure as figures
from generator.figures.designs import laid_out
from generator.figures.patches import Cut, laid_over
from generator.figures.style import styled
from generator.inputs.images import CuratedImage
from generator.inputs.shown import Inputs
from generator.inputs.texts import CuratedText
from generator.models.stacks import CROSS, PAIR
from generator.probes.patch_attention import UNIT, measure_patch_maps, measure_patch_weights
from generator.run import Run
from generator.store import Store
from generator.techniques import TECHNIQUES
from generator.techniques.attention_drawings import attention_on
from generator.techniques.heads import HEADS as MEASURED

DEIT, SWIN, T5 = "deit", "swin", "t5"
CROSSES = {"model": T5, "stack": "cross"}
ASKED: dict[str, list[tuple[dict[str, Any], str]]] = {
    "patch_attention": [
        ({"model": DEIT, "layer": 1, "head": 2, "image": "noise"}, "the class token looks most at"),
        (
            {"model": DEIT, "layer": "deit.layers.1", "head": 2, "image": "noise",
             "queries": ["distillation", "1.3", "0.0"]},
            "the patch in row 1, column 3 looks most at",
        ),
    ],
    "patch_rollout": [
        ({"model": DEIT, "image": "noise"}, "with random weights"),
        ({"model": DEIT, "image": "noise", "layers": 2, "token": "distillation"}, "after block 2"),
    ],
    "head_scatter": [
        ({"model": DEIT, "heads": "L1H2"}, f"{BLOCKS * HEADS} heads: mean distance"),
        ({**CROSSES, "heads": ["X1H2"]}, "X1H2 has"),
    ],
    "head_grid": [
        ({"model": DEIT, "statistic": "distillation_mass"}, "distillation-token mass"),
        ({**CROSSES, "statistic": "peak"}, "is the highest"),
        ({"model": T5, "stack": "encoder", "statistic": "next_token"}, "over 2 layers"),
    ],
    "attention_map": [
        ({**CROSSES, "layer": 1, "head": 2, "text": "rain"}, "X1H2 on 3 × 6 tokens"),
        ({**CROSSES, "stack": "decoder", "layer": 0, "head": 0, "text": "rain"}, "D0H0 on 3 tokens"),
        (
            {"model": T5, "stack": "encoder", "layer": "encoder.1", "head": 0, "text": "rain"},
            "E1H0 on 6 tokens",
        ),
    ],
    "attention_heads": [
        ({**CROSSES, "layer": 0, "text": "rain"}, f"{PAIR_HEADS} heads of cross layer 0"),
    ],
    "rollout": [
        (CROSSES, "the first token of the source has a share of"),
        ({"model": T5, "stack": "encoder"}, "on 6 tokens after"),
    ],
    "word_attribution": [
        ({"model": T5, "text": "rain", "place": 1, "rather": "night"}, "rather than ‘night’"),
    ],
    "deletion_curves": [({"model": T5, "text": "rain"}, "in random order")],
    "ablation": [
        ({**CROSSES, "statistic": "peak"}, "effect of silencing"),
        ({"model": DEIT, "statistic": "class_mass"}, "effect of silencing"),
    ],
}  # fmt: skip
CASES = [(kind, *case) for kind, cases in ASKED.items() for case in cases]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """Two vision transformers, one without heads that can be laid over a picture, and a T5."""
    folder = tmp_path_factory.mktemp("kinds")
    pixels = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "noise.png")
    image = CuratedImage(
        id="noise", path=folder / "noise.png", sha256="0", label="noise", alt="Noise.", licence="",
        origin="",
    )  # fmt: skip
    text = CuratedText("rain", "rain fell on the town", "", "", "w9 w8")
    choices = Choices(features=0, classes=0, ablate=1, blocks=(), dream="")
    inputs = Inputs((image,), (text,), (), (), Pairs())
    models = [tiny_vision(DEIT), tiny_vision(SWIN), tiny_pair(T5)]
    store = Store(folder / "store")
    runs = {
        model.id: Run(model, inputs, choices, 0, store, [].append, techniques=TECHNIQUES)
        for model in models
    }
    return Catalogue(runs, store, 0)


def drawn(made: figures.Figure) -> Figure:
    with styled():
        return laid_out(made.drawing, width=680.0)


@pytest.mark.parametrize(("kind", "asked", "words"), CASES)
def test_a_kind_draws_and_says_what_was_measured(
    bench: Catalogue, kind: str, asked: dict[str, Any], words: str
) -> None:
    made = figure(bench, kind, asked)
    assert words in made.alt
    assert made.caption.endswith(".")
    buffer = io.BytesIO()
    drawn(made).savefig(buffer, format="png", facecolor="white")
    seen = np.asarray(Image.open(buffer).convert("RGB")).astype(int)
    assert seen.std() > 5
    if made.ink:
        edges = np.concatenate([seen[0], seen[-1], seen[:, 0], seen[:, -1]])
        assert (edges == 255).all(axis=-1).mean() > 0.97


def test_a_map_of_patches_holds_the_weights_of_its_token(bench: Catalogue) -> None:
    run = bench.run(DEIT)
    model, pixels = run.vision, run.pixels["noise"]
    looks = measure_patch_maps(model, "noise", pixels, bench.store).looks[1, 2, 0]
    made = figure(bench, "patch_attention", ASKED["patch_attention"][0][0])
    over = looks[2:].reshape(4, 4)  # behind the class token and the distillation token
    row, column = np.unravel_index(over.argmax(), over.shape)
    assert f"row {row}, column {column} ({over.max():.3f}), " in made.alt
    assert "of its weight on tokens without a patch" in made.caption
    weights = measure_patch_weights(model, "noise", pixels, bench.store).units[1, 2] / UNIT
    patch = weights[2 + 1 * 4 + 3, 2:].reshape(4, 4)
    row, column = np.unravel_index(patch.argmax(), patch.shape)
    made = figure(bench, "patch_attention", ASKED["patch_attention"][1][0])
    assert f"the patch in row 1, column 3 looks most at row {row}, column {column}" in made.alt


def test_colours_lie_on_the_patches_that_have_the_weight() -> None:
    picture = np.full((32, 32, 3), 100, dtype=np.uint8)
    weights = np.zeros((4, 4))
    weights[1, 3] = 1
    laid = laid_over(picture, weights, Cut((0, 8, 16, 24, 32), (0, 8, 16, 24, 32)), 17, (2, 0))
    zoom = laid.shape[0] // 32
    coloured = (laid != 100).any(-1)
    expected = np.zeros((32, 32), dtype=bool)
    expected[8:16, 24:32] = expected[16:24, 0:8] = True
    inside = expected.repeat(zoom, 0).repeat(zoom, 1)
    assert not coloured[~inside].any()
    assert coloured[8 * zoom : 16 * zoom, 24 * zoom : 32 * zoom].all()
    frame = laid[16 * zoom : 24 * zoom, : 8 * zoom]
    assert (frame[0] == 0).all() and (frame[3] == 255)[3:-3].all() and (frame[9, 9] == 100).all()


def test_a_map_of_cross_attention_has_the_target_beside_it_and_the_source_above(
    bench: Catalogue,
) -> None:
    made = figure(bench, "attention_map", ASKED["attention_map"][0][0])
    found = attention_on(bench.run(T5), "rain", CROSS)
    chart = drawn(made)
    axes = next(axes for axes in chart.axes if axes.get_yticklabels())
    np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()), found.weights[1, 2])
    names = [[label.get_text() for label in side] for side in
             (axes.get_xticklabels(), axes.get_yticklabels())]  # fmt: skip
    assert len(names[0]) == len(found.keys) == 6 and names[0][:2] == ["rain", "fell"]
    assert len(names[1]) == len(found.tokens) == 3


def test_statistics_are_those_of_the_stack(bench: Catalogue) -> None:
    for stack, found in zip(PAIR, bench.run(T5)[MEASURED], strict=True):
        made = figure(
            bench, "head_grid", {"model": T5, "stack": stack.name, "statistic": "entropy_nats"}
        )
        values = found.statistic("entropy_nats").mean
        np.testing.assert_array_equal(made.drawing.arguments["values"][0], values)
        assert made.drawing.arguments["letter"] == stack.letter
    made = figure(bench, "head_grid", {"model": DEIT, "statistic": "class_mass"})
    expected = bench.run(DEIT)[MEASURED][0].statistic("class_mass").mean
    np.testing.assert_array_equal(made.drawing.arguments["values"][0], expected)


MAP = {"model": T5, "layer": 0, "head": 0, "text": "rain"}
PATCH = {"model": DEIT, "layer": 0, "head": 0, "image": "noise"}
WRONG: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("attention_map", MAP, ("several stacks", "'encoder' or 'decoder' or 'cross'")),
    ("attention_map", {**MAP, "stack": "crss"}, ("no stack 'crss'", "'cross'")),
    ("attention_map", {**MAP, "stack": "encoder", "layer": 2}, ("no layer '2'",)),
    ("attention_map", {**MAP, "stack": "cross", "text": "rian"}, ("text 'rian'", "'rain'")),
    ("attention_map", PATCH | {"text": "rain"}, ("takes no parameter 'image'",)),
    ("attention_map", {**MAP, "model": DEIT}, ("take texts or pairs of texts, not pictures",)),
    ("head_scatter", {**CROSSES, "heads": "L1H2"}, ("'L1H2' names no head", "X5H1")),
    ("head_scatter", {"model": SWIN}, ("its attention is not laid over pictures",)),
    ("head_grid", {"model": DEIT, "statistic": "induction"}, ("no statistic 'induction'",)),
    ("head_grid", {"model": DEIT, "stack": "cross", "statistic": "x"}, ("leave 'stack' out",)),
    ("patch_attention", {**PATCH, "queries": "clas"}, ("no token 'clas'", "'class'")),
    ("patch_attention", {**PATCH, "queries": "4.0"}, ("from 0 to 3", "no patch 4.0")),
    ("patch_attention", {**PATCH, "layer": "deit.layer.1"}, ("no layer", "'deit.layers.1'")),
    ("patch_attention", {**PATCH, "head": 4}, ("heads 0 to 3, not 4",)),
    ("patch_attention", {**PATCH, "model": T5}, ("not pairs of texts",)),
    ("patch_rollout", {"model": DEIT, "image": "noise", "token": "patch"}, ("'patch'",)),
    ("ablation", {"model": DEIT, "on": "second"}, ("no span 'second'", "Valid are: text")),
    ("ablation", {**CROSSES, "on": "second"}, ("no span 'second'", "Valid are: text")),
    ("rollout", {"model": T5}, ("several stacks",)),
    ("readings", {"model": T5, "layer": 0}, ("not pairs of texts",)),
]


@pytest.mark.parametrize(("kind", "asked", "said"), WRONG)
def test_a_mistake_is_answered_with_the_nearest_name(
    bench: Catalogue, kind: str, asked: dict[str, Any], said: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError) as caught:
        figure(bench, kind, asked)
    for word in said:
        assert word in f"{caught.value} {caught.value.hint}"


def test_options_of_the_command_name_patches_and_stacks() -> None:
    asked = parameters("patch_attention", ["--queries", "class,3.5", "--layer", "1"], TECHNIQUES)
    assert asked == {"queries": ("class", "3.5"), "layer": "1"}
    assert parameters("attention_map", ["--stack=cross"], TECHNIQUES) == {"stack": "cross"}


# Links and widgets


@pytest.fixture
def read(tmp_path: Path, bench: Catalogue):
    def reader(text: str) -> Article:
        path = tmp_path / "one.md"
        path.write_text(f"---\ntitle: T\ndescription: D\n---\n{text}", encoding="utf-8")
        return read_article(read_source(path, "articles"), bench, Bibliography())

    return reader


def test_a_link_to_a_head_over_a_picture_has_its_map_drawn_once(read) -> None:
    article = read('{{ head("deit", 1, 2) }} and {{ head("deit", "deit.layers.1", 2, text="it") }}')
    (drawing,) = article.drawings
    assert drawing.paths == ("articles/one/deit-L1H2.webp",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{{ head("t5", 0, 0) }}', "several stacks"),
        ('{{ head("t5", 0, 9, stack="cross") }}', "heads 0 to 3, not 9"),
        (
            '{{ widget("patch_view", model="deit", layer=0, head=1) }}',
            "needs the parameter 'image'",
        ),
        ('{{ widget("patch_view", model="deit", layer=0, head=1, image="noice") }}', "'noise'"),
        (
            '{{ widget("patch_view", model="t5", layer=0, head=1, image="noise") }}',
            "takes pairs of texts",
        ),
        ('{{ widget("head_view", model="deit", layer=0, head=1, text="rain") }}', "takes pictures"),
        ('{{ widget("head_view", model="t5", layer=0, head=1, text="rain") }}', "several stacks"),
        ('{{ widget("patch_vew", model="deit", layer=0, head=1) }}', "'patch_view'"),
    ],
)
def test_wrong_links_and_widgets_are_answered(read, text: str, said: str) -> None:
    with pytest.raises(WritingError) as caught:
        read(text)
    assert re.search(re.escape(said), f"{caught.value} {caught.value.hint}")
