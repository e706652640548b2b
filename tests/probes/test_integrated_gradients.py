"""Integrated gradients of pictures: against captum on the same steps, and what the page says of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from filled import any_pages
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from noise_run import noise_run
from torch import nn

from generator.errors import UsageError
from generator.exhibit import ModelSpec, Preprocessing
from generator.formatting import number
from generator.models.model import VisionModel
from generator.models.vision import Network, finish
from generator.pages.context import Place
from generator.pages.sections import FilledSection
from generator.probes import integrated_gradients as integrated
from generator.probes import picture_gradients
from generator.probes.picture_gradients import measure_picture_gradients
from generator.run import Run
from generator.store import Store
from generator.techniques.integrated_gradients import (
    CELLS,
    INTEGRATED_GRADIENTS,
    figure,
    in_squares,
)


class Shared(nn.Module):
    """One ReLU6, in place, behind each of two convolutions, the first of which is the first operation."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU6(inplace=True)
        self.first = nn.Conv2d(3, 6, 3, stride=2)
        self.second = nn.Conv2d(6, 8, 3, stride=2)
        self.classes = nn.Linear(8, 4)

    def forward(self, pixels):
        return self.classes(
            self.act(self.second(self.act(self.first(self.act(pixels))))).mean((2, 3))
        )


@pytest.fixture(scope="module")
def model() -> VisionModel:
    torch.manual_seed(5)
    module = Shared()
    for parameter in module.parameters():
        parameter.data *= 4  # both ends of the ReLU6 are reached
    network = Network(module, "test", Preprocessing(size=24), ("a", "b", "c", "d"))
    place = {"source": "test", "origin": "test", "revision": None, "files": {}}
    return finish(network, ModelSpec(id="tiny", source="test"), place, torch.device("cpu"))


@pytest.fixture(scope="module")
def run(model: VisionModel, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return noise_run(model, tmp_path_factory.mktemp("noise"), ["one", "two", "three", "four"])


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, 24, 24)).astype(np.float32)


def test_the_sum_is_the_rise_of_the_logit_of_the_most_probable_class(model, pixels, tmp_path):
    (gradient,) = measure_picture_gradients(model, pixels, Store(tmp_path)).classes
    both = torch.from_numpy(np.stack([pixels, np.zeros_like(pixels)]))
    with torch.no_grad():
        logits = model.module(both.clone())
    assert gradient.index == int(logits[0].argmax()) == model.labels.index(gradient.label)
    assert gradient.logit == pytest.approx(float(logits[0, gradient.index]), abs=1e-5)
    assert gradient.baseline == pytest.approx(float(logits[1, gradient.index]), abs=1e-5)
    assert gradient.probability == pytest.approx(float(logits[0].softmax(0)[gradient.index]))
    rise = gradient.logit - gradient.baseline
    assert gradient.values.sum() == pytest.approx(gradient.total, rel=1e-5)
    assert gradient.total == pytest.approx(rise, rel=integrated.TOLERANCE)
    assert gradient.gap == pytest.approx(abs(gradient.total - rise) / abs(rise))


def test_each_piece_of_the_way_is_captum_s(model, pixels, tmp_path):
    gradients = measure_picture_gradients(model, pixels, Store(tmp_path), (0, 1, 2, 3)).classes
    picture = torch.from_numpy(pixels)
    method = IntegratedGradients(lambda batch: model.module(batch.clone()))
    for gradient in gradients:
        way = integrated.by_trapezoids(
            lambda batch, c=gradient.index: model.module(batch.clone())[:, [c]],
            picture,
            picture_gradients.MOST,
        )
        assert way.points == gradient.points
        # Its n points are 1 / n apart, where the ends of n - 1 pieces are 1 / (n - 1) apart.
        theirs = 2 * sum(
            method.attribute(
                (stop * picture)[None],
                (start * picture)[None],
                target=gradient.index,
                n_steps=2,
                method="riemann_trapezoid",
            )[0]
            for start, stop in pairwise(way.edges)
        )
        np.testing.assert_allclose(gradient.values, theirs.sum(0).detach(), atol=1e-5)


def test_a_network_that_takes_one_picture_at_a_time_gives_the_same(model, pixels, tmp_path):
    alone = replace(model, batched=False)
    (one,), (other,) = (
        measure_picture_gradients(each, pixels, Store(tmp_path / str(each.batched))).classes
        for each in (model, alone)
    )
    np.testing.assert_allclose(one.values, other.values, atol=1e-5)


def test_what_is_still_missing_is_stated(model, pixels, tmp_path, monkeypatch):
    monkeypatch.setattr(integrated, "TOLERANCE", 0.0)
    monkeypatch.setattr(picture_gradients, "MOST", 48)
    (gradient,) = measure_picture_gradients(model, pixels, Store(tmp_path)).classes
    assert gradient.points == 48 and gradient.gap > 0


def test_a_network_without_classes_says_so(model, pixels, tmp_path):
    found = measure_picture_gradients(replace(model, labels=()), pixels, Store(tmp_path))
    assert found.classes == () and found.reason == model.no_classes


@given(arrays(np.float32, st.tuples(st.integers(1, 130), st.integers(1, 130)),
              elements=st.floats(-8, 8, width=16)))  # fmt: skip
def test_squares_keep_the_sum(values):
    squares = in_squares(values)
    assert max(squares.shape) <= CELLS
    assert squares.sum() == pytest.approx(values.astype(float).sum(), abs=1e-6)


def filled(run: Run) -> str:
    view = INTEGRATED_GRADIENTS.sections[0].view(run)
    section = FilledSection("x", "integrated-gradients", "sections/integrated_gradients.html", view)
    pages = any_pages()
    page = pages.page(
        "topic.html", "models/tiny/classes/index.html", "T", "D", model=run.model, kind="classes",
        heading="T", lead="", place=Place((), ()), sections=(section,), tables=(),
    )  # fmt: skip
    assert sum(figure.kind == "integrated_gradients" for figure, _ in page.figures()) == len(
        view.items
    )
    return pages.fill(page).body


def test_the_page_states_the_sum_and_the_control(run):
    body = filled(run)
    (table,) = INTEGRATED_GRADIENTS.tables(run)
    assert [row["weights"] for row in table.records] == ["trained", "random"] * 2 + ["trained"] * 2
    assert table.records[-1]["rank_correlation"] == ""
    for row in table.records:
        assert f"sum of the map {number(float(row['sum']))}" in body
        if row["weights"] == "random":
            assert number(float(row["rank_correlation"]), 2) in body
    assert "#7c7468" in body  # the mean of ImageNet


def test_the_control_is_the_same_on_random_weights(run, tmp_path: Path):
    found = run[INTEGRATED_GRADIENTS]
    trained, random = found.trained["one"], found.random["one"]
    own = measure_picture_gradients(run.control.run.vision, run.pixels["one"], Store(tmp_path))
    np.testing.assert_array_equal(random.classes[0].values, own.classes[0].values)
    assert not np.array_equal(random.classes[0].values, trained.classes[0].values)


def test_a_figure_is_of_the_classes_that_are_named(run):
    made = figure(run, "one", classes=("b", "d"))
    (row,) = made.drawing.arguments["rows"]
    assert [panel.title for panel in row] == ["one", "b", "d"]
    assert "logit of b" in made.alt and "logit of d" in made.alt
    with pytest.raises(UsageError, match="knows no class 'e'"):
        figure(run, "one", classes=("e",))
    with pytest.raises(UsageError, match="no integrated gradients"):
        figure(replace(run, model=replace(run.vision, labels=()), _results={}), "one")
