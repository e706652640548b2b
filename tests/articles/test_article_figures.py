"""Figures of articles: every kind draws what was measured, in light and dark ink, alone and in a page."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from small_site import cutaway_here, read_exhibit, write_exhibit
from test_article_kinds import ASKED as ASKED_OF_OTHERS

from generator.articles.catalogue import Catalogue
from generator.articles.kinds import KINDS, figure
from generator.errors import UsageError
from generator.exhibit import Choices
from generator.exhibit_yaml import load_exhibit
from generator.figure_alone import Paper, draw_alone, parameters, pixels_of_width
from generator.figures import figure as figures
from generator.figures.designs import laid_out, pictures
from generator.figures.style import styled
from generator.inputs.shown import Inputs
from generator.inputs.texts import curated_texts
from generator.models.stacks import ONLY
from generator.models.text_model import LanguageModel
from generator.probes.class_maps import measure_class_maps
from generator.run import Run
from generator.store import Store
from generator.techniques import TECHNIQUES
from generator.techniques.attention_drawings import attention_on

CNN, BERT, LM = "efficientnet-lite0", "minilm-l6", "smollm2-135m"

# What each kind is asked for here, and what its words must hold. All kinds that there are stand in it.
ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "image": ({"model": CNN, "image": "cat"}, "cat"),
    "picture": ({"model": CNN, "image": "cat"}, "cat"),
    "cam": ({"model": CNN, "image": "cat", "classes": ["tabby", "fox squirrel"]}, "tabby ("),
    "grad_cam": ({"model": CNN, "image": "cat", "layer": "blocks.4.2"}, "at blocks.4.2"),
    "integrated_gradients": (
        {"model": CNN, "image": "cat", "classes": "tabby"},
        "the logit of tabby (orange)",
    ),
    "control": ({"model": CNN}, "rank correlation"),
    "exemplars": ({"model": CNN, "layer": "conv_stem", "unit": [3, 5], "count": 4}, "unit 3: "),
    "deconvolution": ({"model": CNN, "layer": "conv_stem", "unit": 3, "count": 2}, "deconvolution"),
    "evolution": ({"model": CNN}, "conv_stem: units"),
    "unit_responses": ({"model": CNN, "layer": "conv_stem", "unit": 3}, "of 10; the largest"),
    "feature": ({"model": CNN, "classes": "tabby", "by": "logit"}, "the logit of tabby"),
    "feature_set": ({"model": CNN, "set": "interpolation"}, "on the way from"),
    "dream": ({"model": CNN}, "changes step by step"),
    "building_blocks": ({"model": CNN, "image": "cat"}, "cells"),
    "nmf": ({"model": CNN, "image": "cat"}, "groups of channels"),
    "filters": ({"model": CNN}, "All 32 filters of conv_stem"),
    "journey": ({"model": CNN, "image": "cat"}, "the map of one channel of each of conv_stem"),
    "activation_maps": (
        {"model": CNN, "layer": "conv_stem", "image": "cat", "units": [1, 2]},
        "2 channels",
    ),
    "sparsity": ({"model": BERT}, "near zero, from"),
    "changes": ({"model": CNN}, "Another class: "),
    "leans": ({"model": BERT}, "Leans of every subject"),
    "attention_map": ({"model": BERT, "layer": 1, "head": 2, "text": "coreference"}, "L1H2"),
    "attention_heads": ({"model": BERT, "layer": 1, "text": "coreference"}, "12 heads of layer 1"),
    "head_scatter": ({"model": BERT, "heads": "L1H2"}, "36 heads"),
    "head_grid": ({"model": BERT, "statistic": "induction"}, "is the highest"),
    "readings": ({"model": BERT, "layer": 2, "heads": [0, 1]}, "2 heads of layer 2"),
    "rollout": ({"model": BERT}, "rollout"),
    "context_steps": ({"model": BERT}, "of the weight"),
    "three_words": ({}, "Three arrows"),
    "logit_lens": ({"model": LM, "text": "coreference", "rows": 5}, "it ends at"),
    "logit_attribution": ({"model": LM, "text": "coreference"}, "writes most of all heads"),
    "ablation": (
        {"model": BERT, "statistic": "induction", "on": "text"},
        "the effect of silencing",
    ),
    "circuits": ({"model": BERT, "layer": 1, "head": 2}, "when it looks at"),
}
# What the tiny exhibit does not allow, and how that is said.
REFUSED = {
    "birth": ({"model": BERT}, "its training was not watched"),
    "learned_cam": ({"model": CNN}, "no classes were learned"),
    "matching": ({"model": CNN}, "two towers"),
    "latent": ({"model": BERT, "dictionary": "none", "latent": 0}, "names no dictionaries"),
    "neuron": ({"model": BERT, "layer": 1, "unit": 5000}, "were looked at, and not 5000"),
    "patching": ({"model": BERT}, "it names no token"),
    "training": ({"model": CNN, "layer": "conv_stem"}, "no states of its training"),
    "training_course": ({"model": CNN}, "no states of its training"),
    "training_heads": ({"model": BERT}, "no states of its training"),
    "training_losses": ({"model": BERT}, "no states of its training"),
    "training_neurons": ({"model": BERT}, "no states of its training"),
    "training_layers": ({"model": BERT}, "no states of its training"),
    "training_maps": ({"model": BERT}, "no states of its training"),
    **{
        f"compared_{what}": ({"model": BERT}, "it compares two models")
        for what in ("answers", "heads", "maps", "units", "layers", "weights")
    },
}


@pytest.fixture(scope="module")
def bench(catalogue: Catalogue, smollm2_model: LanguageModel, tiny_exhibit: Path) -> Catalogue:
    """What can be named on the tiny exhibit, and a decoder of which nothing was measured yet."""
    texts = curated_texts(load_exhibit(tiny_exhibit))
    store, inputs = catalogue.store, _with_texts(catalogue, texts)
    decoder = Run(
        smollm2_model, inputs, Choices(), catalogue.seed, store, [].append, techniques=TECHNIQUES
    )
    return Catalogue({**catalogue.runs, LM: decoder}, store, catalogue.seed)


def _with_texts(catalogue: Catalogue, texts: Any) -> Inputs:
    return replace(catalogue.runs[BERT].inputs, texts=texts)


def drawn(made: figures.Figure, **more: Any) -> Figure:
    with styled():
        return laid_out(made.drawing, width=680.0, **more)


def pixels(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return np.asarray(Image.open(buffer).convert("RGB")).astype(int)


def test_every_kind_is_tried_here() -> None:
    assert {*ASKED, *REFUSED, *ASKED_OF_OTHERS} == set(KINDS)


@pytest.mark.parametrize("kind", ASKED)
def test_a_kind_draws_and_says_what_was_measured(kind: str, bench: Catalogue) -> None:
    asked, words = ASKED[kind]
    made = figure(bench, kind, asked)
    assert words in made.alt
    assert made.caption.endswith(".")
    found = drawn(made)
    seen = pixels(found)
    assert seen.std() > 5
    assert 200 < seen.shape[1] <= 720
    # Nothing is cut off: the outermost pixels of a chart are bare ground.
    if made.ink:
        edges = np.concatenate([seen[0], seen[-1], seen[:, 0], seen[:, -1]])
        assert (edges == 255).all(axis=-1).mean() > 0.97


@pytest.mark.parametrize("kind", REFUSED)
def test_what_was_not_measured_is_said(kind: str, bench: Catalogue) -> None:
    asked, words = REFUSED[kind]
    with pytest.raises(UsageError, match=words):
        figure(bench, kind, asked)


def test_a_map_holds_the_weights(bench: Catalogue) -> None:
    made = figure(bench, "attention_map", ASKED["attention_map"][0])
    weights = attention_on(bench.run(BERT), "coreference", ONLY).weights[1, 2]
    images = [image for axes in drawn(made).axes for image in axes.images]
    np.testing.assert_array_equal(np.asarray(images[0].get_array()), weights)


def test_evidence_is_that_of_the_classes_asked_for(bench: Catalogue) -> None:
    model = bench.run(CNN).vision
    made = figure(bench, "cam", ASKED["cam"][0])
    index = model.labels.index("fox squirrel")
    found = measure_class_maps(model, "cat", bench.run(CNN).pixels["cat"], bench.store, [index])
    (one,) = found.classes
    assert one.label == "fox squirrel"
    assert one.difference < 1e-3
    panel = made.drawing.arguments["rows"][0][2]
    assert panel.title == "fox squirrel"
    assert f"logit {one.logit:.2f}"[:10] in panel.note


def test_bars_are_as_long_as_the_numbers(bench: Catalogue) -> None:
    made = figure(bench, "context_steps", {"model": BERT})
    weights = made.drawing.arguments["weights"]
    assert weights.sum() == pytest.approx(1, abs=1e-4)
    axes = drawn(made).axes[1]
    widths = sorted(patch.get_width() for patch in axes.patches)
    np.testing.assert_allclose(widths, np.sort(weights), atol=1e-6)


def test_photographs_are_the_same_in_both_inks_and_charts_have_one(bench: Catalogue) -> None:
    made = figure(bench, "cam", ASKED["cam"][0])
    light, dark = pictures(figures.placed(made, "cam", 680).drawing)
    assert (light.width, light.height) == (dark.width, dark.height)
    one, other = (np.asarray(Image.open(io.BytesIO(p.data)).convert("RGBA")) for p in (light, dark))
    assert one.shape[1] == 2 * light.width
    photograph = one.shape[0] * 2 // 3
    difference = np.abs(one[photograph, :300, :3].astype(int) - other[photograph, :300, :3])
    assert difference.mean() < 2
    ink = (one[..., 3] > 200) & (one[..., :3].max(-1) < 60)
    assert other[: one.shape[0] // 8][ink[: one.shape[0] // 8]][:, :3].mean() > 150
    chart = figure(bench, "head_grid", ASKED["head_grid"][0])
    drawing = figures.placed(chart, "grid", 680).drawing
    (only,) = pictures(drawing)
    assert only.data.startswith(b"<?xml")
    assert [only] == pictures(drawing)


def test_long_labels_are_cut_to_their_panel(bench: Catalogue) -> None:
    made = figure(bench, "image", ASKED["image"][0])
    panel = made.drawing.arguments["rows"][0][0]
    hostile = type(panel)(panel.pixels, "$x^2$ <b> " + "W" * 300, "日本語 " * 50)
    seen = pixels(drawn(figures.published("panels", {"rows": ((hostile, panel),)}, "", "")))
    gap = seen[:30, 262:268]
    assert (gap == 255).mean() > 0.95


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["--image", "cat", "--classes=tabby,lynx"],
            {"image": "cat", "classes": ("tabby", "lynx")},
        ),
        (["--image=cat"], {"image": "cat"}),
    ],
)
def test_options_become_parameters(words: list[str], expected: dict[str, Any]) -> None:
    assert parameters("cam", words, TECHNIQUES) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--imag", "cat"], "'image'"),
        (["cat"], "'cat' is no option"),
        (["--image"], "needs a value"),
    ],
)
def test_wrong_options_are_answered(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parameters("cam", words, TECHNIQUES)
    with pytest.raises(UsageError, match="no kind of figure 'cams'"):
        parameters("cams", [], TECHNIQUES)


def test_widths() -> None:
    assert pixels_of_width("160mm") == pytest.approx(604.7, abs=0.1)
    assert pixels_of_width("6in") == 576
    for wrong in ("wide", "3mm", "1km", "-5in"):
        with pytest.raises(UsageError, match="--width"):
            pixels_of_width(wrong)


@pytest.fixture
def tiny(tiny_exhibit: Path, tmp_path: Path) -> Path:
    """A copy of the tiny exhibit, to change."""
    return shutil.copytree(tiny_exhibit, tmp_path / "exhibit")


def test_the_command_draws_for_paper(tiny: Path, tmp_path: Path) -> None:
    asked = ("--model", CNN, "--exhibit", tiny, "--image", "cat")
    pdf = tmp_path / "cam.pdf"
    run = cutaway_here("figure", "cam", *asked, "--classes", "tabby,fox squirrel", "-o", pdf)
    assert (run.code, run.err) == (0, "")
    assert "Class activation maps" in run.out
    data = pdf.read_bytes()
    assert data.startswith(b"%PDF")
    assert b"/Subtype /Image" in data
    assert b"FontFile2" in data  # letters, not outlines
    assert b"CreationDate" not in data


def test_the_same_figure_alone_in_other_formats(tiny: Path, tmp_path: Path) -> None:
    chosen = {"layer": 1, "head": 2, "text": "coreference"}
    for ending, start in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        files = [tmp_path / f"{number}.{ending}" for number in range(2)]
        for file in files:
            draw_alone(
                "attention_map", BERT, tiny, chosen, Paper(file, 600.0, 100), "cpu", TECHNIQUES
            )
        assert files[0].read_bytes().startswith(start)
        assert files[0].read_bytes() == files[1].read_bytes()
    with pytest.raises(UsageError, match="no format 'gif'"):
        draw_alone("cam", CNN, tiny, {}, Paper(tmp_path / "a.gif", 600.0), "cpu", TECHNIQUES)
    with pytest.raises(UsageError, match="Did you mean 'minilm-l6'"):
        draw_alone("cam", "minilm", tiny, {}, Paper(tmp_path / "a.pdf", 600.0), "cpu", TECHNIQUES)


def test_a_figure_needs_no_model_where_only_one_can_be_meant(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"layer": 1, "head": 2, "text": "coreference"}
    paper = Paper(tmp_path / "a.svg", 600.0)
    with pytest.raises(UsageError, match=f"needs --model: {CNN}, {BERT}"):
        draw_alone("attention_map", "", tiny, chosen, paper, "cpu", TECHNIQUES)
    data = read_exhibit(tiny)
    one = [model for model in data["models"] if model["id"] == BERT]
    write_exhibit(tiny, data | {"models": one})
    drawn = draw_alone("attention_map", "", tiny, chosen, paper, "cpu", TECHNIQUES)
    assert "L1H2 of MiniLM-L6" in drawn.caption
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="needs --model, such as"):
        draw_alone("attention_map", "", None, chosen, paper, "cpu", TECHNIQUES)
    with pytest.raises(UsageError, match="'minilm' names no model"):
        draw_alone("attention_map", "minilm", None, chosen, paper, "cpu", TECHNIQUES)
    assert (
        "three words" in draw_alone("three_words", "", None, {}, paper, "cpu", TECHNIQUES).caption
    )
    random = draw_alone(
        "filters",
        "timm:resnet18",
        None,
        {"layer": "conv1"},
        paper,
        "cpu",
        TECHNIQUES,
        weights="random",
    )
    assert "64 filters" in random.caption


def test_figures_come_out_of_the_store(bench: Catalogue, tmp_path: Path) -> None:
    """What one figure measured, another build finds."""
    asked = {"model": CNN, "image": "cat", "layer": "blocks.4.2"}
    figure(bench, "grad_cam", asked)
    store = Store(bench.store.root)
    runs = {name: replace(run, store=store, _results={}) for name, run in bench.runs.items()}
    again = Catalogue(runs, store, bench.seed)
    figure(again, "grad_cam", asked)
    assert (store.made, store.reused > 0) == (0, True)
