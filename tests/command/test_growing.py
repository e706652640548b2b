"""A first site is shown while a build measures: never in the place of a finished one, and without a trace."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

from generator import growing
from generator.pages.gallery import model_picture
from generator.store import BusyError, KeptStore, Store
from generator.unfinished import is_finished
from tests.small_site import cutaway_here, differing, files_of, read_exhibit, write_exhibit


@dataclass(frozen=True)
class Number:
    value: int


def count(store: Store, made: list[int]) -> list[int]:
    def make(number: int) -> Number:
        made.append(number)
        return Number(number)

    ask = store.result
    return [ask("n", 1, {"n": n}, Number, partial(make, n)).value for n in range(4)]


def test_what_takes_too_long_is_put_aside_and_what_it_made_is_kept(tmp_path, monkeypatch):
    clock, made = iter(range(100)), list[int]()  # every look at it is a second later
    monkeypatch.setattr("generator.store.time.monotonic", lambda: next(clock))
    store = Store(tmp_path)
    assert not store.tried(partial(count, store, made), 2.5)
    assert made == [0, 1]
    with pytest.raises(BusyError):
        count(KeptStore(tmp_path), made)
    assert store.tried(partial(count, store, made), 2.5)
    assert made == count(KeptStore(tmp_path), made) == [0, 1, 2, 3]


def test_each_gets_its_turn_before_one_gets_more(monkeypatch):
    given: list[tuple[str, float]] = []

    class Patient:
        def tried(self, ask, seconds):
            given.append((ask(), seconds))
            return ask() == "quick" or seconds > growing.SLICE

    asks = [lambda: "slow", lambda: "quick"]
    assert growing.answered_first(asks, Patient(), float("inf")) == []
    assert given == [("slow", growing.SLICE), ("quick", growing.SLICE), ("slow", 2 * growing.SLICE)]


@pytest.mark.build
def test_an_interrupted_build_leaves_its_first_site_and_the_finished_one_has_no_trace_of_it(
    growing_exhibit, tmp_path, monkeypatch
):
    folder, site = growing_exhibit, growing_exhibit / "site"
    plain = shutil.copytree(folder, tmp_path / "plain")
    (folder / "stop").touch()
    stopped = cutaway_here("build", folder, "--jobs", "1")
    assert stopped.code == 130
    assert "The first pages are there" in stopped.out
    assert json.loads((site / "manifest.json").read_text())["unfinished"] is True
    assert "Still being measured: Slow counting" in page_of(site)
    assert "This site is not finished" in page_of(site)
    assert sorted(one.name for one in folder.glob(".site*")) == []
    assert not (folder / "build" / "progress.txt").exists()
    (folder / "stop").unlink()
    (folder / "go").touch()
    assert cutaway_here("build", folder, "--jobs", "1").code == 0
    assert is_finished(site) and "All in all 1770." in page_of(site)
    monkeypatch.setattr(growing, "MEASURED", (0.0, 1e9))  # nothing is left: no first site
    (plain / "go").touch()
    whole = cutaway_here("build", plain, "--jobs", "1")
    assert whole.code == 0 and "The first pages" not in whole.out
    assert differing(site, plain / "site") == []
    assert differing(folder / "build" / "docs", plain / "build" / "docs") == []


@pytest.mark.build
def test_the_first_pages_are_there_while_a_training_is_waited_for(growing_exhibit, monkeypatch):
    @contextmanager
    def one_thing_at_a_time(*_):
        yield lambda spec, meanwhile: [ask() for ask in islice(meanwhile, int(spec.id == "digits"))]

    monkeypatch.setattr("generator.build.trainings", one_thing_at_a_time)
    monkeypatch.setattr(growing, "MEASURED", (0.0, 0.0))
    data = read_exhibit(growing_exhibit)
    made = {"make": {"features": 0, "classes": 0, "dream": "", "blocks": []}, "pool": ""}
    digits = {"id": "digits", "source": "train:digits@1", "images": "sklearn:digits", **made}
    write_exhibit(growing_exhibit, data | {"models": [*data["models"], digits]})
    (growing_exhibit / "go").touch()
    built = cutaway_here("build", growing_exhibit, "--jobs", "1")
    first, opened = "The first pages are there", re.search(r"Models: [\d.]+ s", built.out)
    assert built.code == 0 and built.out.index(first) < opened.start()
    site = growing_exhibit / "site"
    assert is_finished(site) and (site / "models" / "digits" / "index.html").is_file()


@pytest.mark.build
def test_what_is_measured_while_a_first_site_is_drawn_takes_no_page_from_it(
    growing_exhibit, monkeypatch
):
    opened, ahead, draw = [], growing.FirstSite.ahead, growing.FirstSite._draw

    def noted(self, runs, *given):
        opened[:] = runs
        return ahead(self, runs, *given)

    def drawn_and_measured(self, *given):
        drawn = draw(self, *given)
        shown = [model_picture(run) for run in opened]  # by the front page
        assert any(shown)
        return drawn

    monkeypatch.setattr(growing.FirstSite, "ahead", noted)
    monkeypatch.setattr(growing.FirstSite, "_draw", drawn_and_measured)
    monkeypatch.setattr(growing, "MEASURED", (0.0, 0.0))
    (growing_exhibit / "stop").touch()
    stopped = cutaway_here("build", growing_exhibit, "--jobs", "1")
    assert "The first pages are there" in stopped.out
    assert (growing_exhibit / "site" / "index.html").is_file()


@pytest.mark.build
def test_a_finished_site_stays_until_the_next_is_finished(growing_exhibit, seeded_site):
    folder = growing_exhibit
    shutil.copytree(seeded_site.site, folder / "site")
    before = files_of(folder / "site")
    (folder / "stop").touch()
    stopped = cutaway_here("build", folder, "--jobs", "1")
    assert stopped.code == 130 and "The first pages" not in stopped.out
    assert files_of(folder / "site") == before


def page_of(site: Path) -> str:
    return (site / "models" / "encoder" / "index.html").read_text(encoding="utf-8")
