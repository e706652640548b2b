"""`cutaway new`: every shape is a folder that builds, and says how to go on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from conftest import MINILM
from small_site import Site, build_here, cutaway_here, files_of, read_exhibit, write_exhibit
from tiny_transformers import save_tiny

from generator.starter import SHAPES

PAGES = {
    "explainer": "articles/why-a-cat/index.html",
    "course": "lectures/where-a-token-looks/index.html",
    "model-card": "models/digits/card/index.html",
}


@pytest.fixture(scope="module", params=SHAPES)
def started(
    request: pytest.FixtureRequest, new_site: Site, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Site]:
    """A shape, and its folder built as it came."""
    shape: str = request.param
    if shape == "explainer":  # the one that is made when none is named
        return shape, new_site
    folder = tmp_path_factory.mktemp("started") / shape
    made = cutaway_here("new", folder, "--shape", shape)
    assert (made.code, made.err) == (0, "")
    assert f"cutaway build {folder}" in made.out
    data = read_exhibit(folder)
    if (
        shape == "course"
    ):  # a tiny network costs a tenth of the one it names, which other sites show
        assert data["models"][0]["source"] == MINILM
        save_tiny("bert", folder / "build" / "tiny")
        data["models"][0]["source"] = "./build/tiny"
    write_exhibit(folder, data)  # nothing is exported
    return shape, build_here(folder)


def test_the_folder_builds_as_it_comes(started):
    shape, made = started
    folder, site = made.exhibit, made.site
    there = {path.name for path in folder.iterdir()}
    assert {"exhibit.yml", "mkdocs.yml", "README.md", "writing", ".gitignore"} <= there
    page = (site / PAGES[shape]).read_text(encoding="utf-8")
    guide = (site / "guide" / "next-steps" / "index.html").read_text(encoding="utf-8")
    assert "How to go on" in guide
    if shape != "model-card":
        assert "<figure" in page and 'class="c-cite"' in page
        assert "c-answer" in page
    else:
        assert "not seen" in page or "held-out" in page
    # The starter is small: few models, few pictures.
    assert len(read_exhibit(folder)["models"]) == 1
    size = sum(
        len(data)
        for name, data in files_of(folder).items()
        if not name.startswith(("build", "site"))
    )
    assert size < 400_000


def test_what_the_readme_names_is_there(started):
    _, made = started
    text = (made.exhibit / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)
    assert len(named) >= 3
    for name in named:
        assert (made.exhibit / name).is_file(), name


def test_every_picture_of_its_table_came_along(started):
    _, made = started
    table = made.exhibit / "inputs" / "images.yml"
    entries = yaml.safe_load(table.read_bytes()) if table.is_file() else []
    for entry in entries:
        assert (made.exhibit / "inputs" / entry["file"]).is_file()
        assert entry["alt"]
        assert entry["licence"]


def test_the_card_of_the_model_card_states_what_the_exhibit_states(started):
    shape, made = started
    if shape != "model-card":
        return
    page = (made.site / PAGES[shape]).read_text(encoding="utf-8")
    stated = read_exhibit(made.exhibit)["models"][0]["card"]
    for key in ("intended_use", "out_of_scope", "training_data", "limits"):
        assert stated[key].split(".")[0][:60] in " ".join(page.split()), key


def test_a_shape_that_there_is_not_is_answered_with_the_nearest(tmp_path: Path):
    run = cutaway_here("new", tmp_path / "x", "--shape", "corse")
    assert run.code == 2
    assert "Did you mean 'course'?" in run.err
    assert not (tmp_path / "x").exists()
