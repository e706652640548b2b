"""The index of the jump box: it names every page of the site, and only pages that are there."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from filled import quoted
from small_site import Site

STATED = "globalThis.cutawayJump="


@pytest.fixture(scope="module")
def index(small_site: Site) -> dict[str, Any]:
    text = (small_site.site / "javascripts" / "jump-index.js").read_text(encoding="utf-8")
    assert text.startswith(STATED)
    return json.loads(text.removeprefix(STATED).rstrip(";\n"))


def addresses(index: dict[str, Any]) -> list[str]:
    """Every address that the box can lead to, in the form that the script makes."""
    found = [row[3] for row in index["written"]]
    for model in index["models"]:
        below = [row[3] for row in model["rows"]]
        if isinstance(model["layers"], int):
            for layer in range(model["layers"]):
                below.append(f"layers/{layer}/")
                below += [f"layers/{layer}/heads/{head}/" for head in range(model["heads"])]
        else:
            for name, units in model["layers"]:
                below.append(f"layers/{name}/")
                below += [f"layers/{name}/units/{unit}/" for unit in range(units)]
        found += [f"models/{model['id']}/{path}" for path in below]
    return found


def test_the_box_leads_to_every_page_and_nowhere_else(small_site, index):
    site = small_site.site
    led = set()
    for address in addresses(index):
        path, _, anchor = address.partition("#")
        page = site / path / "index.html"
        assert page.is_file(), address
        led.add(page)
        # "picture=cat" chooses a tab, whose input is called picture-cat.
        name = anchor.replace("=", "-", 1)
        assert not anchor or f'id="{name}"' in quoted(page.read_text(encoding="utf-8")), address
    every = set(site.rglob("index.html")) - {site / "index.html"}
    assert every - led == set()


def test_named_units_exist_and_are_what_the_tables_say(small_site, index):
    model = next(one for one in index["models"] if one["id"] == "efficientnet-lite0")
    layers = [name for name, _ in model["layers"]]
    named = {group["note"]: group["items"] for group in model["named"]}
    assert len(named) == 4
    for items in named.values():
        for _, *pairs in items:
            for layer, unit in zip(pairs[::2], pairs[1::2], strict=True):
                assert 0 <= unit < model["layers"][layer][1]
    # The picture that excites a unit most is the first of its exemplars.
    data = small_site.site / "models" / "efficientnet-lite0" / "data"
    with (data / "exemplars.csv").open(encoding="utf-8", newline="") as stream:
        best = {(row["layer"], int(row["unit"])): row["picture"] for row in csv.DictReader(stream)
                if row["variant"] == "neuron" and row["place"] == "1"}  # fmt: skip
    with (data / "pool.csv").open(encoding="utf-8", newline="") as stream:
        labels = {row["picture"]: row["label"] for row in csv.DictReader(stream)}
    excited = named["the picture that excites this unit most"]
    assert excited
    for label, *pairs in excited:
        for layer, unit in zip(pairs[::2], pairs[1::2], strict=True):
            assert labels[best[layers[layer], unit]] == label


def test_statistics_lead_to_the_heads_that_the_table_ranks_first(small_site, index):
    model = next(one for one in index["models"] if one["id"] == "smollm2-135m")
    table = small_site.site / "models" / "smollm2-135m" / "data" / "heads.csv"
    header, *rows = [line.split(",") for line in table.read_text().splitlines()]
    column = header.index("induction")
    best = max(rows, key=lambda row: float(row[column]))
    heads = [row for row in model["rows"] if row[0] == "head" and row[2].startswith("Induction ")]
    assert heads[0][1] == f"L{best[0]}H{best[1]}"
    assert f"rank 1 of {len(rows)}" in heads[0][2]


def test_the_index_is_small(small_site):
    path: Path = small_site.site / "javascripts" / "jump-index.js"
    assert path.stat().st_size < 40_000
    # No page asks for it before the box is opened.
    for page in small_site.site.rglob("*.html"):
        assert "jump-index" not in page.read_text(encoding="utf-8"), page
