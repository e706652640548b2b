"""The pages on a model's techniques: what they say is what the tables hold."""

from __future__ import annotations

import csv
import html
import re
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import yaml
from filled import filled
from small_site import CHECKOUT, Site, build_here, built_once, cutaway_here

from generator.exhibit_yaml import load_exhibit
from generator.formatting import number, percent
from generator.run import Run
from generator.store import Store
from generator.subjects import load_runs, read_inputs
from generator.techniques import TECHNIQUES
from generator.uncertainty import share_interval

MODEL = "digits"
UNITS = ("conv2", 16)


def lay_out(folder: Path) -> Path:
    """The digits of the shipped exhibit, with three checkpoints and few visualisations."""
    shipped = yaml.safe_load((CHECKOUT / "exhibit.yml").read_text(encoding="utf-8"))
    (model,) = (each for each in shipped["models"] if each["id"] == MODEL)
    model |= {
        "checkpoints": [
            "train:digits@1",
            {"source": "train:digits@5", "label": "five"},
            model["source"],
        ],
        "make": {"features": 3, "classes": 1, "steps": 0.05},
        "units": [UNITS[0]],
    }
    folder.mkdir(parents=True)
    for name in ("images", "texts", "held_out", "pool", "passages", "pairs", "writing", "compare"):
        shipped.pop(name)
    (folder / "exhibit.yml").write_text(yaml.safe_dump(shipped | {"models": [model]}))
    shutil.copyfile(CHECKOUT / "mkdocs.yml", folder / "mkdocs.yml")
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return built_once(tmp_path_factory, "digits", lay_out)


@pytest.mark.parametrize("make", [{"dream": "nothing"}, {"blocks": ["nothing"]}])
def test_a_picture_that_make_does_not_know_is_refused_by_name(make, tmp_path):
    folder = lay_out(tmp_path / "e")
    data = yaml.safe_load((folder / "exhibit.yml").read_text())
    data["models"][0]["make"] = make
    (folder / "exhibit.yml").write_text(yaml.safe_dump(data))
    run = cutaway_here("build", folder)
    assert run.code == 2
    assert f"make.{next(iter(make))} names no picture 'nothing'" in run.err
    assert "Models" not in run.out  # nothing is loaded for it


@pytest.mark.slow
def test_full_shows_every_exemplar_of_every_unit_and_links_lead_somewhere(site, tmp_path):
    folder = tmp_path / "e"
    shutil.copytree(site.exhibit, folder, ignore=shutil.ignore_patterns("site"))
    data = yaml.safe_load((folder / "exhibit.yml").read_text())
    data["models"][0]["make"] |= {"features": 0, "classes": 0}
    (folder / "exhibit.yml").write_text(yaml.safe_dump(data))
    plain = filled(loaded(folder))
    unit = plain[f"models/{MODEL}/layers/{UNITS[0]}/units/3/index.html"].body
    assert 'href="../../../../evolution/index.html"' in unit
    # Nothing was made, so no page is there to show it and no link leads to one.
    assert f"models/{MODEL}/features/index.html" not in plain
    assert "features/index.html" not in plain[f"models/{MODEL}/index.html"].body
    assert f"models/{MODEL}/evolution/index.html" in plain
    data["models"][0]["make"]["features"] = 3
    (folder / "exhibit.yml").write_text(yaml.safe_dump(data))
    full = build_here(folder, "--full")
    page(full, "evolution")
    rows = [row for row in table(full, "features.csv") if row["kind"] == "channel"]
    assert len(rows) == UNITS[1]
    for unit in range(UNITS[1]):
        source = page(full, f"layers/{UNITS[0]}/units/{unit}")
        assert f"{unit}-rules.webp" in source or "guided-8.webp" in source
    drawn = {path.name for path in (full.site / f"models/{MODEL}/layers/{UNITS[0]}").iterdir()}
    assert {"guided.webp", "guided-1.webp", "guided-8.webp", "deconvolutions-8.webp"} <= drawn


def loaded(folder: Path) -> Run:
    """The only run of an exhibit that was built, without a build."""
    exhibit, quiet = load_exhibit(folder), [].append
    store = Store(folder / "build" / "store")
    (run,) = load_runs(exhibit, read_inputs(exhibit), "cpu", store, quiet, quiet, TECHNIQUES)
    return run


def page(site: Site, address: str) -> str:
    """A page's source."""
    return (site.site / "models" / MODEL / address / "index.html").read_text(encoding="utf-8")


def words(source: str) -> str:
    """What a reader reads, in one line."""
    main = source[source.index("<h1") :]
    return re.sub(r"[ \n]+", " ", html.unescape(re.sub(r"<[^>]+>", " ", main)))


def table(site: Site, name: str) -> list[dict[str, str]]:
    path = site.site / "models" / MODEL / "data" / name
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_model_leads_to_all_of_them(site):
    source = page(site, "")
    for part in ("classes", "evolution", "features", "building-blocks", "training", "controls"):
        assert f'href="{part}/index.html"' in source, part
        page(site, part)


def test_learned_classes_are_counted_on_held_out_pictures(site):
    rows = table(site, "learned_classes.csv")
    parts = sorted({row["part"] for row in rows})
    right = [
        np.mean([row["class"] == row["taken_for"] for row in rows if row["part"] == part])
        for part in parts
    ]
    assert len(parts) == 5
    said = words(page(site, "classes"))
    mean = float(np.mean(right))
    low, high = (percent(end) for end in share_interval(mean, len(rows)))
    assert f"{percent(mean)} (95 % interval {low} to {high})" in said
    for row in rows:
        chances = {key[2:]: float(value) for key, value in row.items() if key.startswith("p_")}
        assert sum(chances.values()) == pytest.approx(1, abs=1e-4)
        assert max(chances, key=chances.__getitem__) == row["taken_for"]


def test_each_class_map_sums_to_its_logit(site):
    rows = table(site, "class_maps.csv")
    assert len(rows) == 30
    said = words(page(site, "classes"))
    for row in rows:
        total = float(row["mean_of_map"]) + float(row["bias"])
        assert total == pytest.approx(float(row["logit"]), abs=1e-4)
        assert f"= logit {number(float(row['logit']))}; off by" in said


def test_checkpoints_end_in_the_network_itself(site):
    rows = table(site, "checkpoints.csv")
    states = list(dict.fromkeys(row["state"] for row in rows))
    assert states == ["epoch 1", "five", "epoch 64"]
    accuracy = {row["state"]: float(row["accuracy"]) for row in rows}
    assert accuracy["epoch 1"] < accuracy["five"] < accuracy["epoch 64"]
    for row in rows:
        if row["state"] == "epoch 64":
            assert float(row["likeness"]) == pytest.approx(1, abs=1e-5)
    course = table(site, "training.csv")
    ends = [row for row in course if row["state"] == "epoch 64"]
    assert len(course) == 3 * len(ends)
    assert all(float(row["mean_likeness"]) == pytest.approx(1, abs=1e-5) for row in ends)
    said = words(page(site, "training"))
    assert (
        f"accuracy from {percent(accuracy['epoch 1'])} to {percent(accuracy['epoch 64'])}" in said
    )
    drawn = {path.stem for path in (site.site / "models" / MODEL / "checkpoints").iterdir()}
    assert drawn == {UNITS[0], "course"}


def test_the_share_of_visualisations_that_beat_the_pool_is_counted(site):
    rows = [row for row in table(site, "features.csv") if row["kind"] == "channel"]
    assert len(rows) == 3
    best = {
        (row["layer"], row["unit"], row["variant"]): float(row["response"])
        for row in table(site, "exemplars.csv")
        if row["place"] == "1"
    }
    said = words(page(site, "features"))
    for measure, variant, where in (
        ("mean", "channel", "{} of {} pictures ({}) excite their channel more"),
        ("peak", "neuron", "made to raise, it is {} of {} ({})"),
    ):
        better = 0
        for row in rows:
            pool = float(row[f"pool_{measure}"])
            assert pool == pytest.approx(best[row["layer"], row["unit"], variant])
            better += float(row[measure]) > pool
        assert where.format(better, len(rows), percent(better / len(rows))) in said
    for row in rows:
        shown = words(page(site, f"layers/{row['layer']}/units/{row['unit']}"))
        assert f"It reaches {number(float(row['peak']))}" in shown
        unit = next(
            each
            for each in table(site, "units.csv")
            if (each["layer"], each["unit"]) == (row["layer"], row["unit"])
        )
        assert float(unit["visualised_peak"]) == pytest.approx(float(row["peak"]))


def test_controls_say_what_the_exemplars_hold(site):
    groups = {row["picture"]: row["group"] for row in table(site, "pool.csv")}
    chosen: dict[str, list[str]] = {}
    for row in table(site, "exemplars.csv"):
        if row["variant"] == "neuron":
            chosen.setdefault(row["unit"], []).append(groups[row["picture"]])
    full = [each for each in chosen.values() if len(each) == 9]
    purity = np.mean([np.mean([a == b for a, b in combinations(each, 2)]) for each in full])
    (row,) = (each for each in table(site, "controls.csv") if each["what"] == "purity")
    assert float(row["trained"]) == pytest.approx(purity, abs=1e-5)
    said = words(page(site, "controls"))
    for column in ("trained", "random", "chance"):
        assert percent(float(row[column])) in said


@pytest.mark.parametrize("unit", [0, 7, 15])
def test_a_unit_page_states_its_effects_and_its_field(site, unit):
    name, count = UNITS
    rows = [row for row in table(site, "units.csv") if row["layer"] == name]
    assert len(rows) == count
    row, said = rows[unit], words(page(site, f"layers/{name}/units/{unit}"))
    if row["raises"]:
        assert f"{row['raises']} {number(float(row['raises_by']), 2)}" in said
    if row["effective_width"] != "0":
        field = f"{row['effective_width']} × {row['effective_height']} px with 95 %"
        assert field in said
        reach = int(row["effective_left"]) + int(row["effective_width"])
        assert 0 < reach <= 32
