"""The technique that the guide writes, and one that is broken, in a site: what a user's own file gets."""

from __future__ import annotations

import csv
import re
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from small_site import CHECKOUT, Site, read_exhibit, write_exhibit
from typer.testing import CliRunner

import cutaway
from generator.cli import app
from generator.errors import UsageError
from generator.formatting import number
from generator.own_techniques import own_techniques

GUIDE = CHECKOUT / "site_src" / "guide" / "probes.md"
BROKEN = '''"""One that divides by zero."""
import cutaway


def measure(run):
    return 1 / (len(run.inputs.texts) - 1)


def view(run):
    return cutaway.figure_view(run, "broken", "Broken", f"{run[BROKEN]}")


BROKEN = cutaway.Technique(
    name="broken",
    title="Broken on purpose",
    search="",
    reads=cutaway.TEXTS,
    measure=measure,
    sections=(cutaway.Section("model", "broken", "own.html", view),),
)
'''
LINE = 1 + BROKEN.splitlines().index("    return 1 / (len(run.inputs.texts) - 1)")
ARTICLE = """---
title: Turned
description: How far.
---

{{ figure("turns", model="encoder") }}

Layer 1: {{ stat("turns", "degrees", model="encoder", text="coreference", layer=1) }}.
"""


def fenced(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def exhibit(seeded_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the seeded site has measured and drawn, with two techniques and an article besides."""
    folder = shutil.copytree(seeded_site.exhibit, tmp_path_factory.mktemp("own") / "exhibit")
    (code,) = fenced("python")
    (folder / "turns.py").write_text(code, encoding="utf-8")
    (folder / "broken.py").write_text(BROKEN, encoding="utf-8")
    (folder / "articles").mkdir()
    (folder / "articles" / "turned.md").write_text(ARTICLE, encoding="utf-8")
    more = {"writing": ".", "techniques": ["./turns.py", "./broken.py"]}
    write_exhibit(folder, read_exhibit(folder) | more)
    return folder


@pytest.fixture(scope="module")
def site(exhibit: Path) -> Path:
    return cutaway.build(exhibit, out=exhibit / "site", work=exhibit / "build")


def rows(site: Path) -> list[dict[str, str]]:
    with (site / "models/encoder/data/turns.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.build
def test_it_has_a_section_a_figure_and_a_table(site: Path) -> None:
    page = (site / "models/encoder/index.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="turns"') :].partition("</section>")[0]
    assert "How far layers turn" in section and "own/turns-0.svg" in section
    assert (site / "models/encoder/own/turns-0.svg").is_file()
    article = (site / "articles/turned/index.html").read_text(encoding="utf-8")
    first = next(row for row in rows(site) if (row["text"], row["layer"]) == ("coreference", "1"))
    assert f"Layer 1: {number(float(first['degrees']))}." in re.sub("<[^>]*>", "", article)
    assert list((site / "articles/turned/fig-1").glob("turns.svg"))


@pytest.mark.build
def test_its_numbers_are_those_of_another_computation_and_its_control_differs(
    exhibit: Path, site: Path
) -> None:
    run = cutaway.open("encoder", exhibit=exhibit, store=exhibit / "other")
    states = run.model.run(run.model.encode(run.inputs.texts[0]).ids).hidden_states
    known = [row for row in rows(site) if row["text"] == run.inputs.texts[0].id]
    for row, (before, after) in zip(known, pairwise(states), strict=True):
        a, b = (one[0].double().numpy() for one in (before, after))
        cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
        degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean()
        assert float(row["degrees"]) == pytest.approx(degrees, abs=0.05)
        assert abs(float(row["degrees"]) - float(row["random"])) > 1e-3


@pytest.mark.build
def test_a_mistake_is_told_with_its_line_and_leaves_the_rest(site: Path) -> None:
    page = (site / "models/encoder/index.html").read_text(encoding="utf-8")
    assert f"broken.py, line {LINE}: ZeroDivisionError: division by zero" in page
    assert '<section id="architecture"' in page


@pytest.mark.build
def test_a_model_of_another_kind_says_why_it_has_none(site: Path) -> None:
    page = (site / "models/cnn/index.html").read_text(encoding="utf-8")
    assert "it is made for models that take texts, not pictures." in page


def test_the_command_line_draws_it(exhibit: Path, tmp_path: Path) -> None:
    out = tmp_path / "turns.pdf"
    words = ["figure", "turns", "--exhibit", str(exhibit), "--model", "encoder", "-o", str(out)]
    told = CliRunner().invoke(app, words, catch_exceptions=False)
    assert told.exit_code == 0 and out.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1", "holds no technique"),
        ("import nowhere", "own.py, line 1: ModuleNotFoundError"),
        ("def", "own.py, line 1: SyntaxError"),
    ],
)
def test_a_file_without_a_technique_is_refused(tmp_path: Path, code: str, words: str) -> None:
    (tmp_path / "own.py").write_text(code, encoding="utf-8")
    exhibit = cutaway.load_exhibit(CHECKOUT).model_copy(
        update={"techniques": ("./own.py",), "base": tmp_path}
    )
    with pytest.raises(UsageError, match=re.escape(words)):
        own_techniques(exhibit)


def test_the_public_face_is_documented_and_each_name_is_one_thing() -> None:
    assert len(set(cutaway.__all__)) == len(cutaway.__all__)
    for name in cutaway.__all__:
        value = getattr(cutaway, name)
        assert isinstance(value, str) or (value.__doc__ or "").strip(), name
    things = [id(getattr(cutaway, name)) for name in cutaway.__all__]
    assert len(set(things)) == len(things)
