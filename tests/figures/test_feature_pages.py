"""The page of feature visualisation, filled from a run: what it lists."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from noise_run import noise_run
from torch import nn

from generator.exhibit import ModelSpec, Preprocessing
from generator.models.vision import Network, finish
from generator.run import Run
from generator.techniques import features
from generator.techniques.features import FEATURES


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Every unit of a wide layer, visualised in one step."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 60, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(60, 3)
    )  # fmt: skip
    network = Network(module, "test", Preprocessing(size=32), ("a", "b", "c"))
    place = {"source": "test", "origin": "test", "revision": None, "files": {}}
    model = finish(network, ModelSpec(id="wide", source="test"), place, torch.device("cpu"))
    plain = noise_run(model, tmp_path_factory.mktemp("wide"), ["one"])
    budget = plain.budget.model_copy(update={"features": 60, "steps": 0.002})
    return replace(plain, full=True, budget=budget, _results={})


def test_all_units_are_listed_where_none_has_a_page_that_could_show_the_rest(run):
    stages = FEATURES.sections[0].view(run).stages
    assert [stage.count for stage in stages] and max(stage.count for stage in stages) == 60
    assert all(len(stage.units) == stage.count for stage in stages)
    assert not any(unit.link.target for stage in stages for unit in stage.units)


def test_a_unit_s_page_shows_what_the_table_states(run):
    (table,) = FEATURES.tables(run)
    row = next(row for row in table.records if row["kind"] == "channel" and row["unit"] == "7")
    layer = next(layer for layer in run.vision.layers if layer.name == row["layer"])
    view = features.unit_view(run, layer, 7)
    assert view.peak == pytest.approx(float(row["peak"]), rel=1e-6) and view.best == 0
    assert view.figure.path.endswith(f"features/{row['name']}.webp")
    assert features.unit_view(run, layer, 60) is None
