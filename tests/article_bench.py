"""What the tests of articles share: everything that can be named on the tiny exhibit, out of its store."""

from __future__ import annotations

import functools
import shutil
from dataclasses import replace

import pytest
from small_site import Site

from generator.articles.catalogue import Catalogue
from generator.exhibit import load_exhibit
from generator.findings import Findings
from generator.store import Store
from generator.subjects import load_subjects, measure, read_inputs


@pytest.fixture(scope="session")
def catalogue(tiny_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """An image classifier and an encoder with what the build of the tiny exhibit measured, and a dream."""
    exhibit = load_exhibit(tiny_site.exhibit)
    folder = shutil.copytree(tiny_site.work / "store", tmp_path_factory.mktemp("bench") / "store")
    store = Store(folder)
    subjects = load_subjects(exhibit, read_inputs(exhibit), "cpu", lambda _: None)
    dreaming = {"dream": "cat"}
    by_name = {
        one.model.id: replace(one, choices=one.choices.model_copy(update=dreaming))
        for one in subjects
    }

    @functools.cache
    def measured(name: str) -> Findings:
        return measure(by_name[name], exhibit.seed, store, lambda _: None, full=False)

    return Catalogue(by_name, measured, store, exhibit.seed)
