"""What the tests of articles share: everything that can be named on the tiny exhibit, measured when it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_site import shared_folder

from generator.articles.catalogue import Catalogue
from generator.exhibit_yaml import load_exhibit
from generator.run import Run
from generator.store import Store
from generator.subjects import load_runs, read_inputs
from generator.techniques import TECHNIQUES


@pytest.fixture(scope="session")
def catalogue(tiny_exhibit: Path, tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """An image classifier and an encoder of the tiny exhibit, and a dream."""
    exhibit = load_exhibit(tiny_exhibit)
    store, quiet = (
        Store(shared_folder(tmp_path_factory) / "bench"),
        [].append,
    )  # as results are safe
    inputs = read_inputs(exhibit)
    runs = {
        run.model.id: _dreaming(run)
        for run in load_runs(exhibit, inputs, "cpu", store, quiet, quiet, TECHNIQUES)
    }
    return Catalogue(runs, store, exhibit.seed)


def _dreaming(run: Run) -> Run:
    return replace(run, budget=run.budget.model_copy(update={"dream": "cat"}))
