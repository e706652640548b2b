"""What the tests of articles share: everything that can be named on the tiny exhibit, out of its store."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from small_site import Site

from generator.articles.catalogue import Catalogue
from generator.exhibit_yaml import load_exhibit
from generator.run import Run
from generator.store import Store
from generator.subjects import load_runs, read_inputs
from generator.techniques import TECHNIQUES


@pytest.fixture(scope="session")
def catalogue(tiny_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """An image classifier and an encoder with what the build of the tiny exhibit measured, and a dream."""
    exhibit = load_exhibit(tiny_site.exhibit)
    folder = shutil.copytree(tiny_site.work / "store", tmp_path_factory.mktemp("bench") / "store")
    store, quiet = Store(folder), [].append
    inputs = read_inputs(exhibit)
    runs = {
        run.model.id: _dreaming(run)
        for run in load_runs(exhibit, inputs, "cpu", store, quiet, quiet, TECHNIQUES)
    }
    return Catalogue(runs, store, exhibit.seed)


def _dreaming(run: Run) -> Run:
    return replace(run, budget=run.budget.model_copy(update={"dream": "cat"}))
