"""The whole pipeline, run as a user runs it, and the site that comes of it."""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image
from small_site import (
    HOSTILE,
    LAYERS,
    PICTURES,
    SITE_LAYERS,
    TEXTS,
    Site,
    all_reused,
    build_here,
    differing,
    environment,
    files_of,
    read_exhibit,
    reused,
    unmeasured,
    write_exhibit,
)
from warm import running

from generator.formatting import number, percent, thousands
from generator.models.stacks import ONLY
from generator.probes.head_statistics import definitions_of
from generator.record import RECORD

HEADS = {"minilm-l6": 12, "smollm2-135m": 9}
BLOCKS = {model: (layers, HEADS[model]) for model, layers in SITE_LAYERS.items()}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
# What a tag ends whose own end is left to the reader.
_CELLS, _TERMS = ("td", "th"), ("dt", "dd")
ENDED_BY = {
    "li": ("li",),
    **dict.fromkeys(_CELLS, _CELLS),
    **dict.fromkeys(_TERMS, _TERMS),
    **dict.fromkeys(("tr", "tbody"), (*_CELLS, "tr", "thead")),
}
STATISTICS = (
    "entropy_nats",
    "mean_distance",
    "previous_token",
    "next_token",
    "duplicate_token",
    "induction",
    "sink_mass",
)
SHARES = (*STATISTICS[2:], "delimiter_mass", "positional")
# Heads of the decoder are not silenced here: that would cost more than all else.
EFFECTS = {"minilm-l6": ("copying", "ablation_delta_loss"), "smollm2-135m": ("copying",)}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    within: tuple[str, ...]
    text: str = ""


@dataclass
class Document(HTMLParser):
    """One page, taken apart."""

    address: str
    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        while self._open and self._open[-1].tag in ENDED_BY.get(tag, ()):
            self._open.pop()
        within = tuple(element.tag for element in self._open)
        element = Element(tag, {name: value or "" for name, value in attrs}, within)
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place].tag == tag:
                del self._open[place:]
                return

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    def ids(self) -> list[str]:
        return [e.attributes["id"] for e in self.elements if "id" in e.attributes]

    def neighbour(self, rel: str) -> str | None:
        """The address of the page before ("prev") or after ("next"), as readers are offered it."""
        found = [a for a in self.all("a") if a.attributes.get("rel") == rel]
        assert len(found) <= 1
        return resolve(self.address, found[0].attributes["href"])[0] if found else None

    def facts(self) -> dict[str, str]:
        names, values = ([one_line(e.text) for e in self.all(tag)] for tag in ("dt", "dd"))
        return dict(zip(names, values, strict=True))


def one_line(text: str) -> str:
    """A text without its line breaks; spaces that keep a line together stay what they are."""
    return re.sub(r"[ \n]+", " ", text).strip(" ")


def resolve(origin: str, link: str) -> tuple[str, str]:
    """The file and the fragment that a link on a page means."""
    parts = urlsplit(link)
    path = unquote(parts.path)
    if path.startswith("/"):  # only the page for what is not found may do this
        assert origin == "404.html", f"{origin}: {link}"
        path = path.lstrip("/")
    elif path:
        path = os.path.normpath(os.path.join(os.path.dirname(origin), path))  # noqa: PTH118, PTH120
    return path or origin, unquote(parts.fragment)


@pytest.fixture(scope="module")
def pages(small_site: Site) -> dict[str, Document]:
    found = {}
    for path in sorted(small_site.site.rglob("*.html")):
        document = Document(path.relative_to(small_site.site).as_posix())
        document.feed(path.read_text(encoding="utf-8"))
        document.close()
        found[document.address] = document
    return found


def model_address(model: str) -> str:
    return f"models/{model}/index.html"


def layer_addresses(model: str) -> list[str]:
    names = [str(i) for i in range(BLOCKS[model][0])] if model in BLOCKS else LAYERS
    return [f"models/{model}/layers/{name}/index.html" for name in names]


def head_addresses(model: str) -> list[str]:
    layers, heads = BLOCKS.get(model, (0, 0))
    return [
        f"models/{model}/layers/{layer}/heads/{head}/index.html"
        for layer in range(layers)
        for head in range(heads)
    ]


def unit_address(model: str, layer: str, unit: int) -> str:
    return f"models/{model}/layers/{layer}/units/{unit}/index.html"


MODELS = ("efficientnet-lite0", *BLOCKS)
LAYER_PAGES = [address for model in MODELS for address in layer_addresses(model)]
UNITS = {"conv_stem": 32, "blocks.1.0": 24}
UNIT_PAGES = [
    unit_address("efficientnet-lite0", layer, unit)
    for layer, units in UNITS.items()
    for unit in range(units)
]
HEAD_PAGES = [address for model in MODELS for address in head_addresses(model)]
PART_PAGES = [
    f"models/efficientnet-lite0/{part}/index.html"
    for part in (
        "try", "classes", "evolution", "features", "building-blocks", "controls", "pictures", "card",
    )
]  # fmt: skip
TEXT_PAGES = [
    f"models/{model}/{part}/index.html"
    for model in BLOCKS
    for part in ("attention", "context", "atlas", "decoding", "words", "card")
    # An encoder has no next token, and of the decoder no words are weighed (make.ablate).
    if (model, part) not in {("minilm-l6", "decoding"), ("smollm2-135m", "words")}
]
TEXT_PAGES += ["models/smollm2-135m/dictionaries/index.html", "models/minilm-l6/try/index.html"]
# Of transformers: what neurons are searched in and found, a table a layer.
NEURON_TABLES = {"passages.csv", "named_neurons.csv", "neuron_effects.csv"}
TEXT_TABLES = {
    "minilm-l6": {
        "attributions.csv",
        "deletion.csv",
        "ablation.csv",
        "stability.csv",
        "recipes.csv",
    },
    "smollm2-135m": {
        "lens.csv",
        "logit_shares.csv",
        "recipes.csv",
        "dictionaries.csv",
        "latents_topk-10.csv",
        "latent_effects_topk-10.csv",
    },
}
VISION_TABLES = {
    "units.csv", "exemplars.csv", "wires.csv", "pool.csv", "class_maps.csv", "grad_cams.csv",
    "features.csv", "controls.csv", "class_channels.csv", "building_blocks.csv", "building_groups.csv",
    "integrated_gradients.csv", "named_units.csv", "named_layers.csv",
}  # fmt: skip


def read_table(site: Path, model: str, name: str) -> list[dict[str, str]]:
    with (site / "models" / model / "data" / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def token_unit_addresses(site: Path) -> Iterator[str]:
    """The pages of the neurons and latents that were looked at, as their tables say."""
    for model in BLOCKS:
        for row in read_table(site, model, "neuron_effects.csv"):
            yield unit_address(model, row["layer"], int(row["neuron"]))
    for row in read_table(site, "smollm2-135m", "latent_effects_topk-10.csv"):
        yield f"models/smollm2-135m/dictionaries/topk-10/{row['latent']}/index.html"


# What is there


def test_every_address_of_the_contract_is_there_and_no_other_page(pages, small_site):
    inner = {*map(model_address, MODELS), *LAYER_PAGES, *HEAD_PAGES, *UNIT_PAGES, *PART_PAGES}
    units = list(token_unit_addresses(small_site.site))
    assert len(units) == sum(layers for layers, _ in BLOCKS.values()) + 4
    inner |= {*TEXT_PAGES, *units}
    written = set(written_addresses(small_site.exhibit / "writing"))
    assert len(written) > 8
    around = {"index.html", "404.html", "figures/index.html", "glossary/index.html"}
    assert set(pages) == {*around, *inner, *written}
    assert len(HEAD_PAGES) == 72
    data = {"layers.csv", "predictions.csv", "evaluation.csv", "probes.csv"}
    for model in MODELS:
        more = {"heads.csv", "heads_by_text.csv", "links.csv", "statistics.csv", "roles.csv"}
        more |= {"three_words.csv", "context.csv", "context_keys.csv"}
        more |= {"alike.csv", "written.csv", "pairs.csv", *TEXT_TABLES.get(model, ())}
        more |= {f"neurons_{layer}.csv" for layer in range(BLOCKS.get(model, (0, 0))[0])}
        more |= NEURON_TABLES
        more = more if model in BLOCKS else VISION_TABLES
        folder = small_site.site / "models" / model / "data"
        assert {path.name for path in folder.iterdir()} == data | more
    assert (
        f"{len(pages) - 1} pages" in small_site.stdout
    )  # the builder adds the one for what is not found


def written_addresses(folder: Path) -> Iterator[str]:
    """The pages of articles and the guide, and of their sections. A draft has none."""
    for path in folder.glob("*/*.md"):
        if "\ndraft: true" not in path.read_text(encoding="utf-8"):
            yield f"{path.parent.name}/{path.stem}/index.html"
            yield f"{path.parent.name}/index.html"
            if "\nslides: true" in path.read_text(encoding="utf-8"):
                yield f"{path.parent.name}/{path.stem}/slides/index.html"


def test_every_link_and_every_file_that_a_page_names_is_there(pages, small_site):
    files = set(files_of(small_site.site))
    missing = []
    for document in pages.values():
        for element, link in links_of(document):
            path, fragment = resolve(document.address, link)
            if path not in files:
                missing.append(f"{document.address}: <{element.tag}> {link}")
            elif fragment and not has_anchor(pages[path], fragment):
                missing.append(f"{document.address}: {link} names no place")
    assert not missing[:20]


def links_of(document: Document) -> Iterator[tuple[Element, str]]:
    for element in document.elements:
        for name in ("href", "src", "data", "poster"):
            link = element.attributes.get(name)
            if link is not None and not is_elsewhere(link):
                yield element, link
        for candidate in element.attributes.get("srcset", "").split(","):
            if candidate.strip():
                yield element, candidate.split()[0]


def is_elsewhere(link: str) -> bool:
    return urlsplit(link).scheme in {"http", "https", "data", "mailto"}


def has_anchor(document: Document, fragment: str) -> bool:
    state = re.fullmatch(r"layer=[\w.]+(&(unit|head)=\d+)?", fragment)
    if document.address.endswith("/try/index.html") and state:
        return True  # a script shows it, once it has an input
    ids = set(document.ids())
    values = {one.attributes.get("data-value") for one in document.elements}
    for part in fragment.split("&"):
        # "text=code" chooses a tab, whose input is called text-code, and "id.name=value" is a choice.
        name, _, value = part.partition("=")
        chosen = name.partition(".")[0] in ids and value in values
        if part.replace("=", "-", 1) not in ids and not chosen:
            return False
    return True


def test_ids_are_given_once_and_labels_name_what_is_there(pages):
    for document in pages.values():
        ids = Counter(document.ids())
        assert not [name for name, count in ids.items() if count > 1], document.address
        for label in document.all("label"):
            named = label.attributes.get("for")
            if named is None:  # then it stands around what it names
                named_within = (*document.all("input"), *document.all("select"))
                assert any("label" in one.within for one in named_within), document.address
                continue
            # Material's palette switch names its inputs by number.
            assert named in ids or named.startswith("__"), f"{document.address}: {named}"


def test_pictures_say_what_they_show_and_how_large_they_are(pages, small_site):
    checked = 0
    for document in pages.values():
        for image in document.all("img"):
            where = f"{document.address}: {image.attributes}"
            alt = image.attributes["alt"]
            # Beside a thumbnail its text stands, in a tab's label or in the link.
            lists = {"figures/index.html", "glossary/index.html"}
            beside = "label" in image.within or document.address in lists
            assert alt.strip() or beside, where
            path, _ = resolve(document.address, image.attributes["src"])
            width, height = size_of(small_site.site / path)
            if "width" not in image.attributes:  # the style sheet says it of all patches of units
                assert "/units/" in document.address and width == height, where
                checked += 1
                continue
            stated = (int(image.attributes["width"]), int(image.attributes["height"]))
            assert min(stated) > 0, where
            assert abs(stated[0] * height / width - stated[1]) <= 1, (
                f"{where} is {width} x {height}"
            )
            checked += 1
    assert checked > 1000


@cache
def size_of(path: Path) -> tuple[float, float]:
    if path.suffix == ".svg":
        _, _, width, height = ET.parse(path).getroot().attrib["viewBox"].split()
        return float(width), float(height)
    with Image.open(path) as image:
        image.load()
        return image.size


def test_every_page_has_the_head_that_readers_and_engines_need(pages):
    for document in pages.values():
        where = document.address
        described = [
            m.attributes["content"]
            for m in document.all("meta")
            if m.attributes.get("name") == "description"
        ]
        assert len(described) == 1, where
        assert len(described[0]) > 30, where
        assert [t.text.strip() != "" for t in document.all("title") if "svg" not in t.within] == [
            True
        ], where
        assert [html.attributes.get("lang") for html in document.all("html")] == ["en"], where
        assert len(document.all("h1")) == 1, where
        assert len(document.all("main")) == 1, where
    layers_and_heads = [pages[address] for address in (*LAYER_PAGES, *HEAD_PAGES)]
    titles = Counter(page.all("title")[0].text for page in layers_and_heads)
    assert titles.most_common(1)[0][1] == 1


@pytest.mark.parametrize("model", MODELS)
def test_previous_and_next_make_one_chain(pages, model):
    chain = [model_address(model), *layer_addresses(model)]
    for links in (chain, head_addresses(model)):
        for before, after in pairwise(links):
            assert pages[before].neighbour("next") == after
            assert pages[after].neighbour("prev") == before
        if links:
            assert pages[links[-1]].neighbour("next") is None
    for address in head_addresses(model)[:1]:
        assert pages[address].neighbour("prev") is None


def test_units_make_one_chain_and_show_what_the_tables_hold(pages, small_site):
    rows = read_table(small_site.site, "efficientnet-lite0", "exemplars.csv")
    for layer, units in UNITS.items():
        chain = [unit_address("efficientnet-lite0", layer, unit) for unit in range(units)]
        for before, after in pairwise(chain):
            assert pages[before].neighbour("next") == after
            assert pages[after].neighbour("prev") == before
        for unit in (0, units - 1):
            others = ("The first in full", "Its patch", "By guided", "Feature visualisation")
            captions = pages[chain[unit]].all("figcaption")
            shown = [each for each in captions if not each.text.strip().startswith(others)]
            # What enters the activation stands behind the response where pictures tie at its limit.
            stated = [
                (number(float(row["response"])), row["response_pre"], int(row["tied"]))
                for row in rows
                if (row["layer"], row["unit"]) == (layer, str(unit))
            ]
            for caption, (response, pre, tied) in zip(shown, stated, strict=True):
                alone, _, entering = caption.text.strip().partition(" (")
                assert alone.split()[-1] == response
                if entering:
                    assert tied > 1 and entering == f"{number(float(pre))})"


def test_every_pool_picture_is_published_with_its_author_and_licence(pages, small_site):
    model = "efficientnet-lite0"
    rows = {row["picture"]: row for row in read_table(small_site.site, model, "pool.csv")}
    shown = {path.stem for path in (small_site.site / "models" / model / "pool").iterdir()}
    assert set(rows) == shown
    for row in rows.values():
        assert row["licence"] not in {"", "not stated"}
        assert row["origin"] not in {"", "not stated"}
    listed = f"models/{model}/pictures/index.html"
    anchors = set(pages[listed].ids())
    # A unit that nothing excites shows no pictures.
    shows = [address for address in UNIT_PAGES if pages[address].all("figcaption")]
    assert len(shows) > 10
    for address in shows:
        links = [resolve(address, a.attributes["href"]) for a in pages[address].all("a")]
        named = {fragment for target, fragment in links if target == listed}
        assert len(named) > 1 and named - {""} <= anchors, "authors, and the list of all"
    manifest = json.loads((small_site.site / "manifest.json").read_text(encoding="utf-8"))
    pinned = next(each["pool"] for each in manifest["models"] if each["id"] == model)
    assert pinned == {name: row["sha256"] for name, row in rows.items()}


def test_the_gallery_leads_to_every_model(pages):
    targets = {resolve("index.html", a.attributes["href"])[0] for a in pages["index.html"].all("a")}
    assert {model_address(model) for model in MODELS} <= targets
    for model in MODELS:
        inside = {
            resolve(model_address(model), a.attributes["href"])[0]
            for a in pages[model_address(model)].all("a")
        }
        assert {*layer_addresses(model), *head_addresses(model)} <= inside


def test_the_front_page_shows_a_picture_s_way_and_says_where_to_start(pages):
    front = pages["index.html"]
    (journey,) = (img for img in front.all("img") if img.attributes["src"] == "journey.webp")
    assert "Grad-CAM" in journey.attributes["alt"]
    assert {"To read", "To make your own"} <= {heading.text for heading in front.all("h3")}


def test_pages_stay_light(small_site):
    sizes = {a: (small_site.site / a).stat().st_size for a in (*HEAD_PAGES, *LAYER_PAGES)}
    assert max(sizes[address] for address in HEAD_PAGES) <= 60_000
    assert max(sizes[address] for address in LAYER_PAGES) <= 150_000
    assert max((small_site.site / address).stat().st_size for address in UNIT_PAGES) <= 15_000
    # Loaded by every page, so it must not grow with the heads: most of it is the guide.
    assert (small_site.site / "search" / "search_index.json").stat().st_size < 300_000


FETCHED = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")


def test_nothing_is_asked_of_another_host(pages, small_site):
    outside = []
    for document in pages.values():
        for element in document.elements:
            for name in ("src", "srcset", "data", "poster", "action"):
                value = element.attributes.get(name, "")
                if re.match(r"(https?:)?//", value):
                    outside.append(f"{document.address}: {value}")
            if element.tag == "link" and element.attributes.get("rel") != "canonical":
                assert not is_elsewhere(element.attributes["href"]), document.address
            # What describes an article to machines names licences and vocabularies, and fetches nothing.
            if element.tag == "script" and element.attributes.get("type") != "application/ld+json":
                assert "http" not in element.text.replace("http://www.w3.org", "")
            outside += FETCHED.findall(element.attributes.get("style", ""))
            outside += FETCHED.findall(element.text) if element.tag == "style" else []
    assert not outside


def test_no_style_picture_or_script_asks_another_host(small_site):
    outside = []
    for path, data in files_of(small_site.site).items():
        if path.endswith((".css", ".svg")):
            outside += FETCHED.findall(data.decode())
        elif path.startswith("javascripts/vendor/"):
            # Libraries and licences name addresses; none may be asked for.
            assert not re.search(rb"""(?:fetch|import|src ?=) ?\(?["']https?://""", data), path
        elif path.startswith("javascripts/"):
            assert not re.search(rb"https?://(?!www\.w3\.org/)", data), path
    assert not outside


NOT_ASKED_FOR = re.compile(r"^assets/.*(\.map$|/lunr/)")


def test_nothing_is_published_that_no_page_asks_for(small_site):
    assert not [name for name in files_of(small_site.site) if NOT_ASKED_FOR.search(name)]


def test_styles_name_files_that_are_there(small_site):
    files = files_of(small_site.site)
    for path, data in files.items():
        if path.endswith(".css"):
            for link in re.findall(r"""url\(\s*["']?([^"')]+)""", data.decode()):
                if not link.startswith(("data:", "#")):
                    assert resolve(path, link)[0] in files, f"{path}: {link}"


# Numbers


@pytest.mark.parametrize("model", BLOCKS)
def test_heads_csv_says_what_the_head_pages_say(pages, small_site, model):
    layers, heads = BLOCKS[model]
    rows = read_table(small_site.site, model, "heads.csv")
    columns = list(rows[0])
    assert columns[:3] == ["layer", "head", "kv_group"]
    assert [column for column in columns if column in STATISTICS] == list(STATISTICS)
    control = {
        row["statistic"]: row for row in read_table(small_site.site, model, "statistics.csv")
    }
    words = definitions_of(ONLY, "representation" if model == "minilm-l6" else "loss")
    known = [one for one in words.values() if one.column in columns]
    assert {one.column for one in known} == {
        "relative_entropy",
        *STATISTICS,
        *SHARES,
        *EFFECTS[model],
    }
    places = [(int(row["layer"]), int(row["head"])) for row in rows]
    assert places == [(layer, head) for layer in range(layers) for head in range(heads)]
    groups = {"minilm-l6": 12, "smollm2-135m": 3}[model]
    assert {int(row["kv_group"]) for row in rows} == set(range(groups))
    for row, address in zip(rows, head_addresses(model), strict=True):
        stated = standings(pages[address])
        assert {one.name for one in known} <= set(stated)
        for definition in known:
            column, where = definition.column, f"{address} {definition.column}"
            mean, spread = float(row[column]), float(row[f"{column}_sd"] or "nan")
            cells, controls = stated[definition.name], control[column]
            several = int(controls["probes"]) > 1
            assert cells[0] == number(mean) + (f" ± {number(spread, 2)}" if several else ""), where
            assert cells[1] == number(float(controls["uniform_attention"] or "nan")), where
            twin = (controls[f"random_twin_{which}"] for which in ("mean", "highest"))
            assert cells[2] == " ".join(number(float(value)) for value in twin), where
            assert cells[4].split(" ")[0] in {row[f"{column}_rank"], "–"}, where
            percentile = f"{float(row[f'{column}_percentile']):.0f} %"
            assert cells[4].endswith(percentile) or cells[4] == "–", where
        assert shown_role(pages[address]) == row["role"], address


def shown_role(document: Document) -> str:
    """The role that a head's page states."""
    badges = [
        e.text for e in document.all("span") if "c-role__name" in e.attributes.get("class", "")
    ]
    assert len(badges) == 1
    return badges[0].strip()


def standings(document: Document) -> dict[str, list[str]]:
    """The rows of the table of statistics: the cells behind each name."""
    rows: dict[str, list[str]] = {}
    name = ""
    for element in document.elements:
        text = one_line(element.text)
        if element.tag == "th" and element.attributes.get("scope") == "row":
            name = text
            rows[name] = []
        elif element.tag == "td" and name:
            rows[name].append(text)
    return rows


def test_the_statistics_of_heads_are_within_their_bounds(small_site):
    for model in BLOCKS:
        for row in read_table(small_site.site, model, "heads.csv"):
            for column in SHARES:
                assert -1e-6 <= float(row[column]) <= 1 + 1e-6
            if model == "smollm2-135m":  # it cannot see the next token
                assert float(row["next_token"]) == 0


def test_the_channels_and_the_groups_of_a_layer_sum_to_what_the_tables_say(small_site):
    site, model = small_site.site, "efficientnet-lite0"
    channels = read_table(site, model, "class_channels.csv")
    maps = {(r["picture"], r["class"]): r for r in read_table(site, model, "class_maps.csv")}
    totals = [row for row in channels if row["channel"] in ("raising", "lowering")]
    for key in {(row["picture"], row["class"]) for row in totals}:
        both = [float(r["product"]) for r in totals if (r["picture"], r["class"]) == key]
        assert math.isclose(sum(both), float(maps[key]["mean_of_map"]), abs_tol=1e-4)
    for row in channels:
        if row["mean"]:
            product = float(row["mean"]) * float(row["weight"])
            assert math.isclose(product, float(row["product"]), abs_tol=1e-5)
    groups = read_table(site, model, "building_groups.csv")
    for row in read_table(site, model, "building_blocks.csv"):
        parts = [g for g in groups if (g["picture"], g["class"]) == (row["picture"], row["class"])]
        for name in ("linear", "path"):
            assert math.isclose(sum(float(g[name]) for g in parts), float(row[name]), abs_tol=1e-3)


@pytest.mark.parametrize("model", BLOCKS)
def test_the_worked_example_stands_in_tables(small_site, model):
    weights: dict[str, float] = {}
    for row in read_table(small_site.site, model, "context_keys.csv"):
        weights[row["position"]] = weights.get(row["position"], 0) + float(row["weight"])
    tokens = read_table(small_site.site, model, "context.csv")
    assert set(weights) == {row["position"] for row in tokens} and len(tokens) > 2
    assert all(math.isclose(total, 1, abs_tol=1e-5) for total in weights.values())
    words = read_table(small_site.site, model, "three_words.csv")
    for word in ("Turn", "left", "here"):
        rows = [row for row in words if row["word"] == word]
        moved = sum(float(row["weight"]) * float(row["x"]) for row in rows)
        assert len(rows) == 3 and math.isclose(moved, float(rows[0]["new_x"]), abs_tol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_layers_csv_says_what_the_layer_pages_say(pages, small_site, model):
    rows = read_table(small_site.site, model, "layers.csv")
    assert list(rows[0])[:5] == ["layer", "kind", "shape", "parameters", "sparsity"]
    assert len(rows) == (BLOCKS[model][0] if model in BLOCKS else 66)
    by_name = {row["layer"]: row for row in rows}
    for address in layer_addresses(model):
        row = by_name[address.split("/")[3]]
        facts = pages[address].facts()
        norm = int(row.get("norm_parameters") or 0)
        also = f", {thousands(norm)} of them its normalisation’s" if norm else ""
        assert facts["Parameters"] == thousands(int(row["parameters"])) + also
        zero = "MLP near zero" if model in BLOCKS else "Exactly zero"
        column = "near_zero" if model in BLOCKS else "sparsity"
        assert facts[zero] == percent(float(row[column] or "nan")), address
    if model not in BLOCKS:
        assert {by_name[name]["kind"] for name in LAYERS} >= {
            "convolution",
            "depthwise convolution",
            "pointwise convolution",
            "block",
        }


def test_the_manifest_says_what_the_site_was_made_from(small_site, small_exhibit):
    text = (small_site.site / "manifest.json").read_text(encoding="utf-8")
    stated = json.loads(text)
    assert stated["schema"] == 1
    assert stated["exhibit"]["seed"] == 20
    assert {"torch", "transformers", "timm", "numpy"} <= set(stated["environment"]["libraries"])
    assert stated["environment"]["python"] == sys.version.split()[0]
    assert [model["id"] for model in stated["models"]] == list(MODELS)
    for model, entry in zip(stated["models"], read_exhibit(small_exhibit)["models"], strict=True):
        assert model["source"] == entry["source"].removeprefix("./")
        pinned = entry["source"].partition("sha256=")[2]
        assert not pinned or list(model["files"].values()) == [pinned]
        assert re.fullmatch("[0-9a-f]{64}", model["weights_sha256"])
    for picture in stated["models"][0]["inputs"]:
        data = (small_exhibit / "images" / f"{picture['id']}.jpg").read_bytes()
        assert picture["sha256"] == hashlib.sha256(data).hexdigest()
    assert [text["id"] for text in stated["models"][1]["inputs"]] == list(TEXTS)
    assert stated["models"][1]["inputs"][2]["text"] == HOSTILE
    for private in (str(small_exhibit), str(Path.home()), time.strftime("%Y-%m-%d")):
        assert private not in text


def test_no_file_of_the_site_says_where_or_when_it_was_made(small_site, small_exhibit):
    for path, data in files_of(small_site.site).items():
        assert os.fsencode(small_exhibit) not in data, path
        assert os.fsencode(small_exhibit.name) + b"/" not in data, path


# Text from strangers


def test_a_hostile_text_stays_text(pages):
    # No text adds a script to any page of a kind.
    layers = [set(layer_addresses(model)) for model in BLOCKS]
    for kind in (set(UNIT_PAGES), set(HEAD_PAGES), *layers):
        assert len({len(pages[address].all("script")) for address in kind}) == 1
    quoted = 0
    for document in pages.values():
        for element in document.elements:
            handlers = [name for name in element.attributes if name.startswith("on")]
            assert not handlers, f"{document.address}: {element.attributes}"
            assert element.attributes.get("src") != "x", document.address
            if element.attributes.get("type") == "application/json":
                assert "<" not in element.text, document.address  # tokens are data
            elif element.tag in {"script", "style"}:
                assert "alert" not in element.text, document.address
        visible = document.all("body")[0].text
        assert "<img src=x onerror=alert(1)>" in visible or document.address not in HEAD_PAGES
        quoted += visible.count("</script><img src=x onerror=alert(1)> {{ 7 * 7 }} {% raw %}&lt; ")
    # Each head page quotes it, and each layer and model page of a transformer.
    assert quoted >= len(HEAD_PAGES) + sum(SITE_LAYERS.values()) + 2


def test_emoji_and_cjk_come_through(pages):
    for address in (*HEAD_PAGES, model_address("minilm-l6")):
        text = pages[address].all("body")[0].text
        assert "\U0001f408 日本語" in text
        assert "\x07" not in text


def test_a_hostile_label_is_escaped_wherever_it_stands(pages):
    for address in HEAD_PAGES:
        labels = [label.text for label in pages[address].all("label")]
        assert "<i>Hostile</i> text" in labels
        assert not pages[address].all("i")


# The same again


def test_another_folder_gives_the_same_bytes_with_an_empty_store_and_with_a_full_one(
    families_site, tmp_path
):
    # What is drawn anew is the same, too: tests/command/test_engine.py, on several processes.
    folder = unmeasured(families_site, tmp_path / "elsewhere")
    site = build_here(folder)
    assert differing(site.site, families_site.site) == []
    assert not all_reused(site.stdout)
    again = build_here(folder)
    assert differing(again.site, families_site.site) == []
    assert all_reused(again.stdout)


@pytest.mark.build
@pytest.mark.parametrize(
    ("among", "alone"),
    [("seeded_site", "cnn"), ("seeded_site", "encoder"), ("families_site", "qwen2")],
)
def test_a_model_alone_is_measured_and_drawn_as_among_others(request, tmp_path, among, alone):
    known: Site = request.getfixturevalue(among)
    folder = unmeasured(known, tmp_path / "elsewhere")
    data = read_exhibit(folder)
    data.pop("writing", None)
    data["models"] = [model for model in data["models"] if model["id"] == alone]
    write_exhibit(folder, data)
    site = build_here(folder)
    found, all_ = stored(site.work / "store"), stored(known.work / "store")
    assert len(found) > 50
    assert [name for name in found if found[name] != all_.get(name)] == []
    mine, other = (each.work / "docs" / "models" / alone for each in (site, known))
    assert differing(mine, other) == []


def test_words_cost_no_measurement_and_a_new_picture_does(seeded, seeded_site):
    data = read_exhibit(seeded)
    data["title"], data["description"] = "Another title", "Another description."
    data["models"][0]["about"] = "Another sentence."
    data["images"][0] |= {"alt": "Another alternative.", "origin": "Elsewhere."}
    data["texts"][0]["look_for"] = "Something else."
    write_exhibit(seeded, data)
    site = build_here(seeded)
    assert all_reused(site.stdout)
    changed = differing(site.site, seeded_site.site)
    assert {"index.html", "models/cnn/index.html", "manifest.json"} <= set(changed)
    assert not [name for name in changed if name.endswith((".csv", ".webp", ".svg"))]
    assert "Another alternative." in (site.site / "models/cnn/index.html").read_text()

    picture = seeded / data["images"][0]["file"]
    with Image.open(picture) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(picture, quality=95)
    stdout = build_here(seeded).stdout
    some, all_ = reused(stdout)["results"]
    assert 0 < some < all_  # the texts are as they were
    assert reused(stdout)["drawings"][0] > 0


def test_what_left_the_exhibit_leaves_the_site(seeded):
    data = read_exhibit(seeded)
    del data["models"][0]
    write_exhibit(seeded, data)
    site = build_here(seeded).site
    assert not (site / "models" / "cnn").exists()
    assert not (seeded / "build" / "docs" / "models" / "cnn").exists()


# Accidents


def damages(store: Path) -> None:
    """Every kind of harm, spread over every kind of file."""
    files = sorted(path for path in store.rglob("*") if path.is_file())
    assert len(files) > 30
    for place, path in enumerate(files):
        data = path.read_bytes()
        harms = (b"", data[: len(data) // 2], b"\0" * len(data), flipped(data), None)
        half_of_pictures = path.suffix == ".webp" and place % 2
        harmed = flipped(data) if half_of_pictures else harms[place % 5]
        if harmed is None:
            path.unlink()
        else:
            path.write_bytes(harmed)


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


def stored(store: Path) -> dict[str, object]:
    """What a store holds. Between the arrays of an archive lies padding, where harm is none."""
    found: dict[str, object] = dict(files_of(store))
    for path in store.rglob("*.npz"):
        with np.load(path) as arrays:
            name = path.relative_to(store).as_posix()
            found[name] = {key: (arrays[key].dtype, arrays[key].tobytes()) for key in arrays.files}
    return found


def test_a_damaged_store_costs_time_only(seeded, seeded_site):
    damages(seeded / "build" / "store")
    again = build_here(seeded)
    assert differing(again.site, seeded_site.site) == []
    assert not all_reused(again.stdout)
    assert stored(seeded / "build" / "store") == stored(seeded_site.work / "store")


def test_half_written_files_of_killed_runs_go(seeded, seeded_site):
    left = seeded / "build" / "store" / "classify" / ".partial-x"
    young = left.with_name(".partial-y")
    docs = seeded / "build" / "docs" / "models" / ".partial-z"
    for path in (left, young, docs):
        path.write_bytes(b"half")
    os.utime(left, (0, 0))
    (seeded / ".site-new" / "models").mkdir(parents=True)
    site = build_here(seeded)
    assert differing(site.site, seeded_site.site) == []
    assert all_reused(site.stdout)
    assert young.exists()  # another run may be writing it
    assert not left.exists()
    assert not docs.exists()
    assert not (seeded / ".site-new").exists()


@contextlib.contextmanager
def watching(site: Path) -> Iterator[list[float]]:
    """Looks again and again whether the site is there; yields the times at which it was not."""
    missing: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            if not ((site / "index.html").is_file() and (site / "manifest.json").is_file()):
                missing.append(time.time())
            time.sleep(0.0005)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield missing
    finally:
        over.set()
        thread.join()


@pytest.mark.skipif(os.name == "nt", reason="kills a process group")
def test_killed_at_any_moment_it_ends_with_the_same_site(seeded, seeded_site, tmp_path):
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    shutil.rmtree(seeded / "build")
    # The old site is whole, and another one.
    (seeded / "site" / "old.txt").write_text("old")
    (seeded / "site" / "index.html").write_text("old")
    old, new = files_of(seeded / "site"), files_of(seeded_site.site)
    with watching(seeded / "site") as missing:
        stage = moments.choice(["Probes", "Figures", "Pages"])
        kill_after(moments.uniform(0, 2), tmp_path, seeded, f"{stage} ...")
        assert files_of(seeded / "site") in (old, new), f"seed {seed}"
        site = build_here(seeded)
    assert not missing, f"seed {seed}: the site was not there"
    assert differing(site.site, seeded_site.site) == [], f"seed {seed}"
    assert {path.name for path in seeded.iterdir()} == {
        "build",
        "encoder",
        "exhibit.yml",
        "images",
        "pool",
        "pool.csv",
        "pairs.yml",
        "passages.csv",
        "site",
    }
    docs = [path.name for path in (seeded / "build" / "docs").rglob("*")]
    assert not [name for name in docs if name.startswith(".")]


@pytest.mark.skipif(os.name == "nt", reason="kills a process group")
def test_killed_while_the_site_is_put_in_place_it_ends_with_the_same_site(
    seeded, seeded_site, tmp_path
):
    kill_after(0.1, tmp_path, seeded, "Site ...")
    assert files_of(seeded / "site") == files_of(seeded_site.site)
    assert differing(build_here(seeded).site, seeded_site.site) == []
    assert not list(seeded.glob(".site*"))


def kill_after(seconds: float, folder: Path, exhibit: Path, stage: str) -> None:
    """Start a build and kill it with all its workers, `seconds` after it names the stage."""
    with running(folder, "build", exhibit) as command:
        command.wait_for(stage)
        time.sleep(seconds)


# Other builders


def test_the_builder_alone_makes_the_same_site(new_site, tmp_path):
    subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "-q",
            "-f",
            "mkdocs.yml",
            "-d",
            tmp_path / "site",
        ],
        cwd=new_site.exhibit,
        env=environment(),
        check=True,
        capture_output=True,
    )
    mine, theirs = files_of(new_site.site), files_of(tmp_path / "site")
    # Source maps and stemmers that no page asks for are left out by the command alone.
    theirs = {name: data for name, data in theirs.items() if not NOT_ASKED_FOR.search(name)}
    # A gzip file states when it was made.
    for files in (mine, theirs):
        files["sitemap.xml.gz"] = gzip.decompress(files["sitemap.xml.gz"])
    del mine[RECORD]  # which `cutaway build` writes of what the builder made
    assert sorted(mine) == sorted(theirs)
    assert [name for name in mine if mine[name] != theirs[name]] == []


def test_pictures_of_the_site_are_those_of_the_exhibit(small_site):
    folder = small_site.site / "models" / "efficientnet-lite0" / "pictures"
    assert {path.stem for path in folder.glob("*.webp")} == set(PICTURES)
