"""A small exhibit of three real models, built once for all tests through the command."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from filelock import FileLock
from safetensors.torch import load_file, save_file
from tiny_transformers import save_tiny

from generator.cli import main
from generator.inputs.source import parse_source
from generator.models.convert import gguf_to_folder
from generator.models.digest import file_sha256
from generator.models.fetch import fetch
from generator.paths import cache_root

CHECKOUT = Path(__file__).parent.parent
COMMAND = Path(sys.executable).with_name("cutaway")
# Layers of different kinds, in the order they are computed.
LAYERS = (
    "conv_stem",
    "blocks.1.0.conv_pw",
    "blocks.1.0.conv_dw",
    "blocks.1.0",
    "conv_head",
    "classifier",
)
PICTURES = ("cat", "corn")
POOL = (
    "bird/drake.jpg",
    "bird/toucan.jpg",
    "flower/iris.jpg",
    "fruit/kiwi.jpg",
    "insect/mantis.jpg",
    "mammal/zebra.jpg",
    "mammal/elephant.jpg",
    "vehicle/sedan.jpg",
    "vehicle/jet-fighter.jpg",
    "tool/pliers.jpg",
)
PROBE, ONE_GROUP = "birds-and-fish", "nationalities-and-judgement"
TEXTS = ("coreference", "code", "hostile")
DECODER_LAYERS = 8  # of SmolLM2's 30, where what holds in any decoder is tested
# Of the site's transformers, 6 and 30: more are more of the same pages.
SITE_LAYERS = {"minilm-l6": 3, "smollm2-135m": 4}
# Of what is made of a transformer, where its numbers do not matter.
FEW = {"ablate": 1, "runs": 1, "words": 2, "neurons": 1}
# It must stay text wherever it is shown: HTML, templates, Markdown, emoji, CJK, controls.
HOSTILE = (
    "</script><img src=x onerror=alert(1)> {{ 7 * 7 }} {% raw %}&lt; "
    "![a](b) \U0001f408 日本語\x07\u2028end"
)


@dataclass(frozen=True)
class Run:
    """What a command did."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass(frozen=True)
class Site:
    """A site that was built, and what the build said."""

    exhibit: Path
    site: Path
    work: Path
    stdout: str


def environment(**more: str) -> dict[str, str]:
    """The environment for a subprocess: English, unbuffered, no colours.

    One thread: two threads of torch get in each other's way on a machine that does other work too.
    """
    kept = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    plain = {"PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8", "COLUMNS": "100", "OMP_NUM_THREADS": "1"}
    return kept | plain | more


def cutaway(*words: str | Path, cwd: Path | None = None, **env: str) -> Run:
    """Run the command as a user does, with no terminal."""
    started = time.perf_counter()
    done = subprocess.run(
        [COMMAND, *words],
        cwd=cwd,
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,  # a guard against a build that hangs, on busy machines too
    )
    return Run(done.returncode, done.stdout, done.stderr, time.perf_counter() - started)


def cutaway_here(*words: str | Path, cwd: Path | None = None, **env: str) -> Run:
    """The same command in this process, which has torch already: for what is not about the process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    started = time.perf_counter()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", ["cutaway", *map(str, words)]),
        mock.patch.dict(os.environ, environment(**env)),
        contextlib.chdir(cwd or Path.cwd()),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
    return Run(code, out.getvalue(), err.getvalue(), time.perf_counter() - started)


def make_exhibit(
    folder: Path,
    models: tuple[str, ...] = ("efficientnet-lite0", "minilm-l6", "smollm2-135m"),
    layers: tuple[str, ...] = LAYERS,
    pictures: tuple[str, ...] = PICTURES,
    texts: tuple[str, ...] = TEXTS,
) -> Path:
    """The exhibit that the repository ships, reduced, with its pictures in a folder of its own."""
    shipped = yaml.safe_load((CHECKOUT / "exhibit.yml").read_text(encoding="utf-8"))
    inputs = CHECKOUT / "site_src" / "inputs"
    (folder / "images").mkdir(parents=True)
    chosen: list[dict[str, Any]] = []
    for entry in yaml.safe_load((inputs / "images.yml").read_text(encoding="utf-8")):
        if Path(entry["file"]).stem in pictures:
            shutil.copyfile(inputs / entry["file"], folder / entry["file"])
            chosen.append(entry)
    known = yaml.safe_load((inputs / "texts.yml").read_text(encoding="utf-8"))
    more = (inputs / "held-out.txt").read_text(encoding="utf-8").splitlines()
    hostile = {"id": "hostile", "phenomenon": "<i>Hostile</i> text", "text": HOSTILE}
    shipped |= {
        "models": [model for model in shipped["models"] if model["id"] in models],
        "images": chosen,
        "texts": [text for text in (*known, hostile) if text["id"] in texts],
        "held_out": [{"id": f"more-{i}", "text": text} for i, text in enumerate(more[:7])],
    }
    for model in shipped["models"]:
        if model["id"] == "efficientnet-lite0":
            model["layers"] = list(layers)
            model["units"] = ["conv_stem", "blocks.1.0"]
            model["preprocessing"]["size"] = 128
            few = {"dream": "cat", "blocks": ["cat"], "features": 4, "classes": 1, "steps": 0.02}
            model["make"] = few
        if model["id"] == "smollm2-135m":
            model["make"] = {"ablate": 0, "runs": 1, "words": 4, "neurons": 1}
            small = {"source": "train:topk@2", "latents": 64, "k": 4}
            model["dictionaries"] = [model["dictionaries"][0] | small]
        if model["id"] in SITE_LAYERS:
            layers = SITE_LAYERS[model["id"]]
            model["source"] = first_layers(model["source"], folder / model["id"], layers)
        if model["id"] == "minilm-l6":
            model["make"] = {"ablate": 2, "runs": 2, "words": 4, "neurons": 1}
    for name in POOL:
        (folder / "pool" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(inputs / "pool" / name, folder / "pool" / name)
    shutil.copyfile(inputs / "pool.csv", folder / "pool.csv")
    _fewer_pairs(inputs / "pairs.yml", folder / "pairs.yml")
    shipped["pairs"] = "pairs.yml"
    _fewer_passages(inputs / "passages.csv", folder / "passages.csv")
    shipped["passages"] = "passages.csv"
    shipped["pool"] = "pool"
    shipped.pop("writing", None)
    shipped.pop("compare", None)  # of models that are left out here
    write_exhibit(folder, shipped)
    return folder


def first_layers(source: str, folder: Path, layers: int) -> str:
    """The first layers of a transformer as a network of its own: the source that names it."""
    root = fetch(parse_source(source, folder), cache_root()).root
    if gguf := next(root.rglob("*.gguf"), None):
        whole = gguf_to_folder(gguf, cache_root() / "converted" / file_sha256(gguf))
    else:
        whole = next(root.rglob("model.safetensors")).parent
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((whole / "config.json").read_text())
    config |= {"num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(whole / "model.safetensors").items()
    kept = {name: weight for name, weight in weights if _layer_of(name) < layers}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    return f"./{folder.name}"


def _layer_of(weight: str) -> int:
    found = re.search(r"\blayers?\.(\d+)\.", weight)
    return int(found[1]) if found else -1


def _fewer_passages(source: Path, target: Path) -> None:
    """The first shipped passages of each kind: one to choose things, one to test them."""
    with source.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    kind = header.index("kind")
    kinds = dict.fromkeys(row[kind] for row in rows)
    fewer = [row for one in kinds for row in [row for row in rows if row[kind] == one][:2]]
    with target.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *fewer])


def _fewer_pairs(source: Path, target: Path) -> None:
    """The shipped sentences, reduced: each one costs two passes, trained and with random weights."""
    pairs = yaml.safe_load(source.read_text(encoding="utf-8"))
    probes = [one for one in pairs["probes"] if one["id"] in {PROBE, ONE_GROUP}]
    for probe in probes:
        probe["groups"] = {name: group[:3] for name, group in probe["groups"].items()}
        probe |= {"control": probe["control"][:2], "choices": probe["choices"][:1]}
    target.write_text(
        yaml.safe_dump({"paraphrases": pairs["paraphrases"][:4], "probes": probes}, sort_keys=False)
    )


def write_exhibit(folder: Path, data: dict[str, Any]) -> None:
    """Write an exhibit; a model that says nothing of it is not exported, which takes seconds."""
    for model in data.get("models", ()):
        model.setdefault("live", "off")
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    (folder / "exhibit.yml").write_text(text, encoding="utf-8")


def read_exhibit(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "exhibit.yml").read_text(encoding="utf-8"))


def build_here(folder: Path, *words: str | Path) -> Site:
    """Build an exhibit's folder in this process alone; a failure is the test's failure."""
    _without_first_site(folder)
    run = cutaway_here("build", folder, "--jobs", "1", *words)
    assert run.code == 0, run.out + run.err
    assert run.err == ""
    return Site(folder, folder / "site", folder / "build", run.out)


def _without_first_site(folder: Path) -> None:
    """Lay out what looks like a finished site, so that a build, however slow, makes no first one."""
    if not (folder / "site").exists():
        (folder / "site").mkdir()
        for name in ("index.html", "manifest.json"):
            (folder / "site" / name).write_text("{}", encoding="utf-8")


def unmeasured(site: Site, folder: Path) -> Path:
    """A copy of an exhibit with its drawings, which are known by what they show, and without all else that
    was built."""
    shutil.copytree(site.exhibit, folder, ignore=shutil.ignore_patterns("site", "build"))
    shutil.copytree(site.work / "store" / "figures", folder / "build" / "store" / "figures")
    return folder


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder of this run that all its test processes see."""
    root = factory.getbasetemp()
    return root.parent if "PYTEST_XDIST_WORKER" in os.environ else root


def built_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Path]) -> Site:
    """The site of the exhibit that `make` lays out, built by the first test process that asks."""
    root = shared_folder(factory)
    said = root / f"{name}.txt"
    with FileLock(root / f"{name}.lock"):
        if not said.exists():
            said.write_text(build_here(make(root / name)).stdout, encoding="utf-8")
    folder = root / name
    return Site(folder, folder / "site", folder / "build", said.read_text(encoding="utf-8"))


def with_writing(folder: Path) -> Path:
    """The reduced exhibit with the articles of the tests, and the guide."""
    make_exhibit(folder)
    data = read_exhibit(folder)
    for model in data["models"]:
        model["live"] = "off" if model["id"] == "smollm2-135m" else "on"
    write_exhibit(folder, data)
    shutil.copytree(CHECKOUT / "tests" / "writing", folder / "writing")
    shutil.copytree(CHECKOUT / "site_src" / "guide", folder / "writing" / "guide")
    write_exhibit(folder, read_exhibit(folder) | {"writing": "writing"})
    return folder


@pytest.fixture(scope="session")
def small_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Three real models on two pictures and three texts, and what was written of them, built once.

    Read only: a test that changes something takes a copy.
    """
    return built_once(tmp_path_factory, "small", with_writing)


@pytest.fixture(scope="session")
def small_exhibit(small_site: Site) -> Path:
    """The folder of the reduced exhibit."""
    return small_site.exhibit


@pytest.fixture(scope="session")
def tiny_exhibit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer on one picture and one encoder on one text, of which nothing is measured."""
    folder = tmp_path_factory.mktemp("tiny") / "exhibit"
    make_exhibit(
        folder,
        models=("efficientnet-lite0", "minilm-l6"),
        layers=("conv_stem",),
        pictures=("cat",),
        texts=("coreference",),
    )
    data = read_exhibit(folder)
    data["models"][0]["make"] = {"features": 1, "classes": 0, "steps": 0.01, "dream": ""}
    data["models"][0]["preprocessing"]["size"] = 64
    data["models"][1]["make"] = {"ablate": 1, "runs": 1, "words": 4, "neurons": 1}
    write_exhibit(folder, data)
    return folder


@pytest.fixture(scope="session")
def seeded_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two random networks of a few thousand weights: for builds that are broken off and begun again."""
    return built_once(tmp_path_factory, "seeded", _seeded_exhibit)


def _seeded_exhibit(folder: Path) -> Path:
    make_exhibit(folder, models=(), pictures=("cat",), texts=("coreference",))
    save_tiny("bert", folder / "encoder", num_hidden_layers=2, num_attention_heads=2)
    network = {
        "id": "cnn",
        "source": "timm:test_efficientnet",
        "weights": "random",
        "preprocessing": {"size": 64},
        "layers": ["blocks.0.0.conv"],
        "units": ["blocks.0.0.conv"],
        "make": FEW | {"features": 1, "classes": 0, "steps": 0.01, "dream": ""},
    }
    encoder = {"id": "encoder", "source": "./encoder", "make": FEW}
    write_exhibit(folder, read_exhibit(folder) | {"models": [network, encoder]})
    return folder


@pytest.fixture
def seeded(seeded_site: Site, tmp_path: Path) -> Path:
    """A copy of the built exhibit of two random networks, to change and to break."""
    folder = tmp_path / "exhibit"
    shutil.copytree(seeded_site.exhibit, folder)
    return folder


@pytest.fixture(scope="session")
def families_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Tiny random transformers of families that no code names, built as a user's folders are."""
    return built_once(tmp_path_factory, "families", _families_exhibit)


ACROSS = """---
title: From one text to another
description: The heads of an encoder-decoder.
---
{{ head("t5", 1, 2, stack="cross") }} stands in {{ ref("fig-across") }}.

{{ figure("attention_map", id="fig-across", model="t5", stack="cross", layer=1, head=2, text="hostile") }}

{{ widget("head_view", model="t5", stack="cross", layer=1, head=2, text="given") }}
"""
FAMILIES_TEXT = "rain fell on w1 w2 the old town w1 w2"
BUILT = ("t5", "bart", "qwen2")


def _families_exhibit(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for family in BUILT:
        save_tiny(family, folder / family)
    texts = [
        {"id": "words", "phenomenon": "Own answer", "text": FAMILIES_TEXT},
        {"id": "hostile", "phenomenon": "<i>Hostile</i>", "text": HOSTILE, "target": HOSTILE},
        {"id": "given", "text": "w7 w8 w7 w9", "target": "w9 w8 w7"},
    ]
    stated = {"about": "Tiny and random.", "make": FEW | {"runs": 2}}
    models = [{"id": one, "source": f"./{one}"} | stated for one in BUILT]
    (folder / "writing" / "articles").mkdir(parents=True)
    (folder / "writing" / "articles" / "across.md").write_text(ACROSS, encoding="utf-8")
    data = {"title": "Families", "seed": 3, "models": models, "texts": texts}
    write_exhibit(folder, data | {"writing": "writing"})
    return folder


@pytest.fixture(scope="session")
def compared_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A tiny decoder beside itself with one head silenced, which has pages, and with rounded weights."""
    return built_once(tmp_path_factory, "compared", _compared_exhibit)


def _compared_exhibit(folder: Path) -> Path:
    folder.mkdir(parents=True)
    save_tiny("gpt2", folder / "gpt2")
    texts = [
        {"id": f"t{place}", "text": f"{FAMILIES_TEXT} w{place} w{place + 1} rain w{place}"}
        for place in range(4)
    ]
    one = {"source": "./gpt2", "make": FEW}
    models = [
        {"id": "whole", "title": "Whole"} | one,
        {"id": "pruned", "title": "Pruned", "altered": {"silent": ["L1H2"]}} | one,
        {"id": "rounded", "title": "<b>Rounded", "altered": {"bits": 2}, "pages": False} | one,
    ]
    about = "One head of <i>twelve</i> is silent."
    compare = [
        {"before": "whole", "after": "pruned", "about": about},
        ["whole", "rounded"],
        ["whole", "whole"],
    ]
    data = {"title": "Compared", "seed": 3, "models": models, "texts": texts, "compare": compare}
    (folder / "writing" / "articles").mkdir(parents=True)
    (folder / "writing" / "articles" / "changed.md").write_text(CHANGED, encoding="utf-8")
    write_exhibit(folder, data | {"writing": "writing"})
    return folder


CHANGED = """---
title: What changed
description: A figure and a number of two models side by side.
---
Layer 0 is alike at {{ stat("compared_layers", "cka", model="whole-pruned", layer=0) }}, as
{{ ref("fig-layers") }} shows.

{{ figure("compared_layers", id="fig-layers", model="whole-pruned") }}
"""


@pytest.fixture(scope="session")
def new_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A folder made by `cutaway new`, built as it is but for smaller pictures, and not to be tried."""
    return built_once(tmp_path_factory, "new", _new_exhibit)


def _new_exhibit(folder: Path) -> Path:
    made = cutaway_here("new", folder)
    assert (made.code, made.err) == (0, "")
    path = folder / "exhibit.yml"  # a quarter of the pixels costs a quarter of the time
    text = path.read_text(encoding="utf-8").replace("size: 224", "size: 112")
    path.write_text(text.replace("    make:\n", "    live: off\n    make:\n"))
    return folder


def reused(stdout: str) -> dict[str, tuple[int, int]]:
    """How many results and drawings of how many came from the store."""
    found = re.findall(r"(\d+) of (\d+) (results|drawings) from the store", stdout)
    assert {what for _, _, what in found} == {"results", "drawings"}
    return {what: (int(some), int(all_)) for some, all_, what in found}


def all_reused(stdout: str) -> bool:
    return all(some == all_ > 0 for some, all_ in reused(stdout).values())


def files_of(folder: Path) -> dict[str, bytes]:
    """The bytes of every file of a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def differing(one: Path, other: Path) -> list[str]:
    """Paths whose bytes differ, or that only one of two folders has."""
    mine, theirs = files_of(one), files_of(other)
    return sorted(name for name in mine | theirs if mine.get(name) != theirs.get(name))
