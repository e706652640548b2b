"""What the tests of articles share: everything that can be named on the tiny exhibit, out of its store."""

from __future__ import annotations

import functools

import pytest
from small_site import Site

from generator.articles.shown import Shown
from generator.exhibit import load_exhibit
from generator.findings import Findings
from generator.store import Store
from generator.subjects import load_subjects, measure, read_inputs


@pytest.fixture(scope="session")
def shown(tiny_site: Site) -> Shown:
    """An image classifier and an encoder with what the build of the tiny exhibit measured."""
    exhibit = load_exhibit(tiny_site.exhibit)
    store = Store(tiny_site.work / "store")
    subjects = load_subjects(exhibit, read_inputs(exhibit), "cpu", lambda _: None)
    by_name = {one.model.id: one for one in subjects}

    @functools.cache
    def measured(name: str) -> Findings:
        return measure(by_name[name], exhibit.seed, store, lambda _: None, full=False)

    return Shown(by_name, measured, store, exhibit.seed)
