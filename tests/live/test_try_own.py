"""Try your own: which models have the page, what lies in its folder, and what leads there."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
import shutil
import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from runs import run_on
from small_site import (
    CHECKOUT,
    Site,
    build_here,
    cutaway_here,
    make_exhibit,
    read_exhibit,
    write_exhibit,
)
from tiny_transformers import save_tiny, tiny, tiny_pair

from generator import doctor
from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.inputs.texts import CuratedText
from generator.live import bundle
from generator.live.text import TextGraph, text_graph
from generator.store import Store
from generator.techniques.live import LIVE as LIVE_TECHNIQUE
from generator.techniques.live import likely_load

LIVE = ("efficientnet-lite0", "minilm-l6")
LARGEST = 16_000_000  # some hosts refuse larger files


def loaded(file: Path) -> Any:
    """What a script of data says."""
    said = re.fullmatch(
        r'\(globalThis\.cutawayData\?\?=\{\}\)\["(?P<name>[^"]+)"\]=(?P<data>.*);\n',
        file.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert said and said["name"] == file.stem
    return json.loads(said["data"])


def stated(site: Path, model: str) -> dict[str, Any]:
    manifest = json.loads((site / "manifest.json").read_text(encoding="utf-8"))
    return next(one for one in manifest["models"] if one["id"] == model)


@pytest.mark.build
@pytest.mark.parametrize("model", LIVE)
def test_the_files_are_those_that_the_manifest_states(small_site: Site, model):
    folder, told = (
        small_site.site / "models" / model / "try",
        stated(small_site.site, model)["live"],
    )
    descriptor = loaded(folder / "live.js")
    named = descriptor["files"]
    files = [
        *named["graph"],
        *named["weights"],
        *([named["tokenizer"]] if "tokenizer" in named else []),
    ]
    assert set(files) == told["files"].keys()
    total = 0
    for name in files:
        text = loaded(folder / f"{name}.js")
        content = base64.b64decode(text, validate=True)
        assert len(text) == told["files"][name]["bytes"] < LARGEST
        assert hashlib.sha256(content).hexdigest() == told["files"][name]["sha256"]
        assert zlib.crc32(content) == descriptor["crc32"][name]
        total += len(text)
    assert total == told["bytes"] == descriptor["bytes"]
    assert all(one["worst"] <= one["limit"] for one in told["measured"])
    page = (folder / "index.html").read_text(encoding="utf-8")
    (size,) = re.findall(r"data-live-open[^>]*>Load the [^(<]*\((\d+) MB\)", page)
    runtime = small_site.site / "javascripts" / "vendor"
    names = ("onnxruntime", "tokenizers") if "tokenizer" in named else ("onnxruntime",)
    more = sum(file.stat().st_size for one in names for file in (runtime / one).glob("*.js"))
    assert int(size) == round((total + more) / 1e6)


@pytest.mark.build
@pytest.mark.parametrize("model", LIVE)
def test_nothing_in_it_names_a_folder_of_this_machine(small_site: Site, model):
    folder = small_site.site / "models" / model / "try"
    here = [str(CHECKOUT), str(small_site.exhibit), str(Path.home()), "site-packages", "/usr/"]
    for file in folder.glob("*.js"):
        content = loaded(file)
        if file.stem in ("graph", "tokenizer"):
            text = gzip.decompress(base64.b64decode(content)).decode("utf-8", errors="replace")
        elif file.stem == "live":
            text = json.dumps(content)
        else:
            continue
        assert [one for one in here if one in text] == [], file.name


@pytest.mark.build
def test_what_leads_there(small_site: Site):
    models = small_site.site / "models"
    for page, link in (
        ("minilm-l6/index.html", 'href="try/index.html"'),
        ("minilm-l6/layers/2/index.html", 'href="../../try/index.html#layer=2"'),
        (
            "minilm-l6/layers/2/heads/3/index.html",
            'href="../../../../try/index.html#layer=2&head=3"',
        ),
        ("efficientnet-lite0/index.html", 'href="try/index.html"'),
        ("efficientnet-lite0/layers/conv_stem/index.html", '../../try/index.html#layer=conv_stem"'),
        (
            "efficientnet-lite0/layers/blocks.1.0/units/5/index.html",
            'href="../../../../try/index.html#layer=blocks.1.0&unit=5"',
        ),
    ):
        assert link in html.unescape((models / page).read_text(encoding="utf-8")), page
    jump = (small_site.site / "javascripts" / "jump-index.js").read_text(encoding="utf-8")
    assert jump.count('"try/"') == len(LIVE)


@pytest.mark.build
@pytest.mark.parametrize("model", LIVE)
def test_without_a_script_the_page_leads_to_the_curated_inputs(small_site: Site, model):
    page = (small_site.site / "models" / model / "try" / "index.html").read_text(encoding="utf-8")
    (said,) = re.findall(r"<noscript>(.*?)</noscript>", page, re.DOTALL)
    (address,) = re.findall(r'href="([^"#]+)', said)
    assert (small_site.site / "models" / model / "try" / address).resolve().is_file()
    # Nothing is open before a script has opened it.
    for part in ("data-live-form", "data-live-open"):
        assert re.search(rf"<[^>]*{part}[^>]* hidden", page)


@pytest.mark.build
def test_a_model_that_is_off_has_no_page_and_no_word_of_it(small_site: Site):
    folder = small_site.site / "models" / "smollm2-135m"
    assert not (folder / "try").exists()
    assert "live" not in stated(small_site.site, "smollm2-135m")
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "It cannot be tried" not in page and "try/" not in page


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of a tiny encoder, offered, on one text."""
    folder = tmp_path_factory.mktemp("offered") / "exhibit"
    make_exhibit(folder, models=(), pictures=("cat",), texts=("coreference",))
    save_tiny("bert", folder / "encoder", num_hidden_layers=2, num_attention_heads=2)
    few = {"ablate": 1, "runs": 1, "words": 2, "neurons": 1}
    model = {"id": "encoder", "source": "./encoder", "make": few, "live": "auto"}
    data = read_exhibit(folder) | {"models": [model]}
    for name in ("pool", "passages", "pairs", "held_out"):
        data.pop(name, None)
    write_exhibit(folder, data)
    return build_here(folder).exhibit


@pytest.fixture
def encoder(offered: Path, tmp_path: Path) -> Path:
    return shutil.copytree(offered, tmp_path / "exhibit")


@pytest.mark.build
def test_a_second_build_exports_nothing_and_a_refusal_is_told(encoder, monkeypatch):
    site = encoder / "site"
    folder = site / "models" / "encoder"
    assert (folder / "try" / "index.html").is_file()
    assert (site / "javascripts" / "vendor" / "onnxruntime").is_dir()

    def fail(*_: Any) -> None:
        raise AssertionError("exported anew")

    monkeypatch.setattr(bundle, "text_graph", fail)
    build_here(encoder)
    assert (folder / "try" / "index.html").is_file()

    monkeypatch.undo()
    monkeypatch.setattr("generator.techniques.live.MOST", 1000)
    build_here(encoder)
    assert not (folder / "try").exists()
    assert not (site / "javascripts" / "vendor" / "onnxruntime").exists()
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "It cannot be tried on a sentence of your own: a browser would have to load" in page
    assert "refused" in stated(site, "encoder")["live"]


@pytest.mark.build
def test_without_what_exports_there_is_no_page_and_the_doctor_says_why(encoder, monkeypatch):
    monkeypatch.setattr(bundle, "NEEDS", ("onnx", "no_such_runtime"))
    site = build_here(encoder)
    assert not (site.site / "models" / "encoder" / "try").exists()
    page = (site.site / "models" / "encoder" / "index.html").read_text(encoding="utf-8")
    assert "cannot be tried" not in page
    found = {one.name: one for one in doctor.examine()}["live"]
    assert not found.works and not found.needed
    assert "no_such_runtime missing: pip install 'cutaway[live]'" in found.detail


def test_the_doctor_names_what_exports():
    found = {one.name: one for one in doctor.examine()}["live"]
    assert found.works and all(name in found.detail for name in bundle.NEEDS)


def test_an_older_exporter_is_refused_by_its_version(monkeypatch):
    monkeypatch.setattr(bundle, "version", lambda _: "2.6.0+cpu")
    assert (
        bundle.missing()
        == "the exporter of torch 2.13 or newer is needed, and this is torch 2.6.0+cpu"
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [("on", "on"), ("off", "off"), ("yes", "on"), ("true", "on"), ("auto", "auto"), ('"on"', "on")],
)
def test_on_and_off_are_what_they_say_in_yaml(written, meant):
    entry = yaml.safe_load(f"{{id: one, source: ./x, live: {written}}}")
    assert ModelSpec(**entry).live == meant


def test_another_word_is_refused_with_the_line(tmp_path):
    (tmp_path / "exhibit.yml").write_text(
        "models:\n  - id: one\n    source: ./x\n    live: maybe\n"
    )
    run = cutaway_here("build", tmp_path)
    assert run.code == 2 and "live" in run.err and "exhibit.yml, line 4" in run.err


@pytest.mark.slow
def test_an_export_is_not_begun_where_there_is_no_time_for_it(tmp_path, monkeypatch):
    model = tiny("bert")
    texts = [CuratedText("one", "rain fell on the old town", "", "")]
    run = replace(run_on(model, texts, Store(tmp_path)), live="on")
    begun: list[Any] = []

    def export(*given: Any) -> None:
        begun.append(given)
        raise CutawayError("begun")

    monkeypatch.setattr(bundle, "text_graph", export)
    assert not run.store.tried(lambda: run[LIVE_TECHNIQUE], 1)
    assert begun == []
    assert run[LIVE_TECHNIQUE].reason == "begun"


@cache
def graph_of_bert() -> TextGraph:
    return text_graph(tiny("bert"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("live", "most", "is_offered"),
    [("auto", 2**20, True), ("auto", 10**4, False), ("on", 10**4, True)],
)
def test_auto_offers_what_is_small_and_on_what_is_large_too(
    live, most, is_offered, tmp_path, monkeypatch
):
    texts = [CuratedText("one", "rain fell on the old town", "", "")]
    monkeypatch.setattr("generator.techniques.live.MOST", most)
    monkeypatch.setattr(bundle, "text_graph", lambda _: graph_of_bert())
    run = replace(run_on(tiny("bert"), texts, Store(tmp_path)), live=live)
    assert (run[LIVE_TECHNIQUE].reason == "") is is_offered
    assert (likely_load(run) > 0) is is_offered


def test_an_encoder_decoder_is_refused_in_words(tmp_path):
    texts = [CuratedText("one", "rain fell on the old town", "", "")]
    run = replace(run_on(tiny_pair("t5"), texts, Store(tmp_path)), live="on")
    assert "reads one text and writes another" in run[LIVE_TECHNIQUE].reason
