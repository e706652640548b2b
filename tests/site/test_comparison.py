"""Two models side by side, built: pages, tables, links, cards, the manifest, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from rich.console import Console

from generator import build, subjects
from generator.errors import UsageError
from generator.exhibit import Exhibit
from generator.exhibit_yaml import load_exhibit
from generator.formatting import number, percent
from generator.preview import Preview
from generator.progress import Reporter
from generator.single import Given, exhibit_of_two
from tests.small_site import Site, cutaway_here, read_exhibit, write_exhibit


def page(site: Site, address: str) -> str:
    return (site.site / address).read_text(encoding="utf-8")


def section(text: str, name: str) -> str:
    found = re.search(rf'<section[^>]*id="{name}".*?</section>', text, re.DOTALL)
    return found[0] if found else ""


def rows(site: Site, comparison: str, name: str) -> list[dict[str, str]]:
    text = (site.site / "compare" / comparison / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def test_each_pair_has_a_page_with_its_tables(compared_site: Site) -> None:
    for pair in ("whole-pruned", "whole-rounded", "whole-whole"):
        shown = section(page(compared_site, f"compare/{pair}/index.html"), "data")
        tables = re.findall(r'href="(data/[^"]*\.csv)"', shown)
        assert "data/compared_layers.csv" in tables
        assert all((compared_site.site / "compare" / pair / link).is_file() for link in tables)


def test_what_the_exhibit_says_stands_there_as_text(compared_site: Site) -> None:
    shown = page(compared_site, "compare/whole-pruned/index.html")
    assert "One head of &lt;i&gt;twelve&lt;/i&gt; is silent." in shown
    assert "<i>twelve</i>" not in shown
    rounded = page(compared_site, "compare/whole-rounded/index.html")
    assert "&lt;b&gt;Rounded" in rounded and "<b>Rounded" not in rounded
    assert "L1H2" in section(shown, "models")


def test_a_model_that_is_only_compared_has_no_pages(compared_site: Site) -> None:
    assert not (compared_site.site / "models" / "rounded").exists()
    cards = section(page(compared_site, "index.html"), "models")
    assert re.findall(r"<h3>(.*?)</h3>", cards) == ["Whole", "Pruned"]
    assert "models/rounded" not in page(compared_site, "compare/whole-rounded/index.html")


def test_pages_lead_to_their_comparisons(compared_site: Site) -> None:
    front = section(page(compared_site, "index.html"), "comparisons")
    found = re.findall(r'href="(compare/[^"/]*)', front)
    assert found == [f"compare/whole-{name}" for name in ("pruned", "rounded", "whole")]
    assert ">Beside Whole</a>" in section(page(compared_site, "models/pruned/index.html"), "ways")
    jump = page(compared_site, "javascripts/jump-index.js")
    assert "compare/whole-pruned/" in jump


def test_the_manifest_states_all_models_and_pairs(compared_site: Site) -> None:
    stated = json.loads(page(compared_site, "manifest.json"))
    by_id = {one["id"]: one for one in stated["models"]}
    assert by_id["rounded"]["pages"] is False
    assert any("2 bits" in note for note in by_id["rounded"]["notes"])
    assert "pages" not in by_id["whole"]
    pairs = [(one["before"], one["after"]) for one in stated["comparisons"]]
    assert pairs == [("whole", "pruned"), ("whole", "rounded"), ("whole", "whole")]


def test_a_model_beside_itself_has_changed_nowhere(compared_site: Site) -> None:
    found = rows(compared_site, "whole-whole", "compared_layers.csv")
    assert [float(row["cka"]) for row in found] == [1.0] * len(found)
    assert all(row["most_like"] == row["layer"] for row in found)


def test_what_numbers_are_of_is_said_beside_them(compared_site: Site) -> None:
    shown = page(compared_site, "compare/whole-rounded/index.html")
    weights = section(shown, "weights")
    assert "the matrix after lies from the one before with its rows in another order" in weights
    name, moved = re.findall(r"<code>(.*?)</code></th>.*?</td><td[^>]*>(.*?)</td>", weights)[0]
    row = next(
        row
        for row in rows(compared_site, "whole-rounded", "compared_weights.csv")
        if row["parameter"] == name
    )
    assert moved == percent(float(row["relative"]), 2)


def test_the_card_of_what_was_changed_says_so(compared_site: Site) -> None:
    changed = section(page(compared_site, "models/pruned/card/index.html"), "changed")
    assert "Held against Whole, on the same inputs." in changed
    assert "Pruned" not in section(page(compared_site, "models/whole/card/index.html"), "changed")


def test_the_command_writes_a_card_of_a_model_that_is_held_against_itself(
    compared_site: Site, tmp_path: Path
) -> None:
    given = ("--exhibit", compared_site.exhibit, "-o", tmp_path / "card")
    made = cutaway_here("card", "whole", *given)
    assert (made.code, made.err) == (0, "")
    text = (tmp_path / "card" / "README.md").read_text(encoding="utf-8")
    assert "Held against Whole, on the same inputs." in text


def test_articles_take_figures_and_numbers_of_a_pair(compared_site: Site) -> None:
    article = page(compared_site, "articles/changed/index.html")
    value = float(rows(compared_site, "whole-pruned", "compared_layers.csv")[0]["cka"])
    assert f"alike at {number(value)}" in re.sub(r"<[^>]*>", "", article)
    assert re.search(r"<figure.*?<img", article, re.DOTALL)


@pytest.fixture
def exhibit(compared_site: Site, tmp_path: Path) -> Path:
    folder = tmp_path / "exhibit"
    ignored = shutil.ignore_patterns("site", "build")
    return Path(shutil.copytree(compared_site.exhibit, folder, ignore=ignored))


def test_an_unknown_model_is_named_with_the_nearest(exhibit: Path) -> None:
    changed = {"compare": [["whole", "prunned"]], "writing": ""}
    write_exhibit(exhibit, read_exhibit(exhibit) | changed)
    made = cutaway_here("build", exhibit)
    assert made.code == 2
    assert "compare: the exhibit has no model 'prunned'. Did you mean 'pruned'?" in made.err
    assert "Probes" not in made.out  # before anything is measured


@pytest.mark.parametrize(("name", "fetched"), [("prunned", False), ("pruned-text", True)])
def test_an_unknown_model_is_refused_before_any_is_loaded(
    exhibit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fetched: bool
) -> None:
    """That `pruned` is no network of two towers is known once it was fetched, and not before."""
    done = list[str]()

    def opened_in_parts(*given: Any) -> Any:
        done.append("fetched")
        return subjects.opened_in_parts(*given)

    monkeypatch.setattr(build, "opened_in_parts", opened_in_parts)
    monkeypatch.setattr(build, "load_runs", lambda *_: done.append("loaded"))
    write_exhibit(exhibit, read_exhibit(exhibit) | {"compare": [["whole", name]], "writing": ""})
    options = build.Options(tmp_path / "site", tmp_path / "work")
    with pytest.raises(UsageError, match=f"has no model '{name}'. Did you mean 'pruned"):
        build.build(load_exhibit(exhibit), options, Reporter(Console(quiet=True)))
    assert done == ["fetched"] * fetched


def test_a_pair_that_stands_twice_and_an_exhibit_without_pages_are_refused() -> None:
    one = {"id": "a", "source": "train:digits"}
    with pytest.raises(ValidationError, match="a-a"):
        Exhibit.model_validate({"models": [one], "compare": [["a", "a"], ["a", "a"]]})
    named = [{"id": name, "source": "train:digits"} for name in ("a", "b", "a-b")]
    with pytest.raises(ValidationError, match="models and compare: the id 'a-b'"):
        Exhibit.model_validate({"models": named, "compare": [["a", "b"]]})
    with pytest.raises(ValidationError, match="none of them has pages"):
        Exhibit.model_validate({"models": [one | {"pages": False}]})
    with pytest.raises(ValidationError, match="compare"):
        Exhibit.model_validate({"models": [one], "compare": [["a"]]})


def test_two_sources_of_one_name_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no exhibit knows them
    epochs = exhibit_of_two(("train:digits@5", "train:digits@64"), None, Given())
    assert [one.id for one in epochs.models] == ["digits-5", "digits-64"]
    assert epochs.compare[0].id == "digits-5-digits-64"
    same = exhibit_of_two(("timm:resnet18", "timm:resnet18"), None, Given())
    assert [one.id for one in same.models] == ["resnet18-before", "resnet18-after"]


def test_two_models_of_an_exhibit_get_pages_and_a_stranger_beside_one_is_refused(
    exhibit: Path,
) -> None:
    shown = exhibit_of_two(("whole", "rounded"), exhibit, Given())
    assert [one.pages for one in shown.models] == [True, True]
    assert yaml.safe_load((exhibit / "exhibit.yml").read_text())["models"][2]["pages"] is False
    with pytest.raises(UsageError, match="two models of the exhibit, or two sources"):
        exhibit_of_two(("whole", "timm:resnet18"), exhibit, Given())


def test_the_command_draws_a_figure_of_a_pair(compared_site: Site, tmp_path: Path) -> None:
    file = tmp_path / "layers.svg"
    made = cutaway_here(
        "figure", "compared_layers", "--model", "whole-pruned", "--exhibit", compared_site.exhibit,
        "-o", file,
    )  # fmt: skip
    assert (made.code, made.err) == (0, "")
    assert file.read_text(encoding="utf-8").startswith("<?xml")


def test_a_preview_shows_what_is_said_of_a_pair_as_it_is_written(
    exhibit: Path, compared_site: Site
) -> None:
    preview = Preview(exhibit, compared_site.site, compared_site.work, "cpu")
    preview.refresh()
    address, data = "compare/whole-pruned/index.html", read_exhibit(exhibit)
    assert preview.page(address) is None  # as it was built
    data["compare"][0]["about"] = "Another sentence."
    write_exhibit(exhibit, data)
    preview.refresh()
    assert "Another sentence." in str(preview.page(address))
    assert ">Beside Whole</a>" in str(preview.page("models/pruned/index.html"))
    write_exhibit(exhibit, data | {"compare": data["compare"][1:]})
    preview.refresh()
    assert (preview.page(address), preview.mistake) == (None, "")
    write_exhibit(exhibit, data | {"compare": [["whole", "prunned"]]})
    preview.refresh()
    assert "Did you mean 'pruned'?" in preview.mistake


def test_a_pair_of_which_neither_has_pages_is_refused(exhibit: Path) -> None:
    data = read_exhibit(exhibit) | {"writing": "", "compare": [["rounded", "rounded"]]}
    write_exhibit(exhibit, data)
    made = cutaway_here("build", exhibit)
    assert made.code == 2
    assert "neither rounded nor rounded has pages" in made.err
