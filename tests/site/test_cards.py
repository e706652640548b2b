"""Model cards: one tree, rendered as Markdown and as a page; and what people write into them survives."""

from __future__ import annotations

import contextlib
import csv
import html
import io
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from filled import any_pages
from huggingface_hub import ModelCard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image
from rich.console import Console
from runs import run_on
from small_site import CHECKOUT, Site, built_once, cutaway_here
from test_head_pages import TEXTS
from test_parts import lay_out
from tiny_transformers import save_tiny, tiny, tiny_masked, tiny_pair
from transformers import AutoTokenizer

from generator.addresses import Link
from generator.card import make_cards
from generator.card_schema import CardSpec, OwnSection, Pairs
from generator.cards.content import card_of, card_page
from generator.cards.markdown import Markdown, escaped
from generator.cards.merge import digest, merged
from generator.cards.metadata import hub_licence, metadata
from generator.cards.stated import linked, missing, own, paragraphs
from generator.cards.tree import (
    Card,
    Code,
    Facts,
    Items,
    Listing,
    Paragraph,
    Section,
    Strong,
    Table,
    filled,
)
from generator.cards.usage import how_to_use
from generator.cards.write import CardFolder
from generator.errors import UsageError
from generator.exhibit import Exhibit, ModelSpec
from generator.exhibit_yaml import load_exhibit, load_pairs
from generator.figures.designs import pictures
from generator.inputs.texts import CuratedText
from generator.progress import Reporter
from generator.techniques.answers import ANSWERS
from generator.techniques.evaluations import EVALUATION

MODEL = "digits"
HOSTILE = "</script><img src=x onerror=alert(1)> {{ 7 * 7 }} `a` *b* _c_ [d](e) | # $x$ &lt; ~~f~~ ![g](h)"


# The tree


def tree():
    inner = Section("b", "B", (Paragraph(("deep",)),))
    return Card(
        "T", "lead", (Section("a", "A", (Paragraph(("text",)),), (inner,)), Section("c", "C"))
    )


def test_sections_are_selected_replaced_added_and_left_out():
    card = tree()
    assert card.select("a/b").title == "B"
    new = Section("n", "N", (Paragraph(("new",)),))
    assert card.replaced("a/b", new).select("a/n") is new
    assert card.select("a/b").title == "B"  # the card itself stays as it is
    assert [each.key for each in card.added(new, "a").sections] == ["a", "n", "c"]
    assert [each.key for each in card.added(new).sections] == ["a", "c", "n"]
    assert card.without("a/b").select("a").sections == ()
    with pytest.raises(UsageError, match="no section 'a/x'"):
        card.select("a/x")


def test_an_own_section_takes_no_key_that_is_there():
    card = tree()
    assert card.keys() == {"a", "b", "c"}
    made = own(OwnSection(title="B!", text="mine"), card.keys())
    assert (made.key, made.title) == ("own-b", "B!")
    assert own(OwnSection(title="New", text="mine"), card.keys()).key == "new"


def test_empty_sections_are_no_sections():
    card = filled((*tree().sections, Section("d", "D", (), (Section("e", "E"),))))
    assert [each.key for each in card] == ["a"]


def test_stated_text_becomes_paragraphs_and_addresses_become_links():
    one, two = paragraphs("See https://example.org/a_b, or not.\nStill one.\n\nTwo.")
    assert one.parts[1] == Link("https://example.org/a_b", "https://example.org/a_b")
    assert one.parts[2] == ", or not.\nStill one." and two.parts == ("Two.",)
    assert linked("") == ()


# Markdown


def rendered(text: str) -> str:
    return MarkdownIt("gfm-like", {"linkify": False}).render(text)


def words_of(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", markup)).strip()


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=40))
@example(HOSTILE)
@example("1. no list")
@example("# no title")
@example("- no list")
@example("+ no list")
@example("> no quotation")
@example("=== no title")
@example("snake_case and _marks_ and __more__")
def test_text_stays_text_in_markdown(text):
    shown = Markdown({}).block(Paragraph((text,)))
    markup = rendered(shown)
    plain = " ".join(text.split())
    assert " ".join(words_of(markup).split()) == plain
    assert set(re.findall(r"<(\w+)", markup)) <= {"p"}


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20))
@example("a|b`c``d")
@example("`")
def test_code_stays_code_in_markdown_and_in_a_table(text):
    plain = " ".join(text.split())
    for shown in (
        Markdown({}).block(Paragraph((Code(text),))),
        Markdown({}).block(Table(("h",), (((Code(text),),),))),
    ):
        markup = rendered(shown)
        if plain:
            (inside,) = re.findall(r"<code>(.*?)</code>", markup, re.DOTALL)
            assert html.unescape(inside).strip() == plain


def test_blocks_are_what_they_are_in_markdown():
    page = Markdown({"models/m/data/a.csv": "data/a.csv"}, "https://example.org/s")
    link = Link("models/m/layers/1/index.html", "Layer | 1")
    blocks = (
        Table(("A", "B"), (((Strong("x|y"),), (link,)),), "Caption"),
        Items((("one",), (Link("models/m/data/a.csv", "a.csv"),))),
        Facts((("Name", (Code("v"),)),)),
        Listing("@misc{a,\n  b = {```}\n}", "bibtex"),
    )
    markup = rendered(page.section(Section("s", "Title *no*", blocks), 2))
    assert "<h2>Title *no*</h2>" in markup
    assert '<a href="https://example.org/s/models/m/layers/1/">Layer | 1</a>' in markup
    assert '<a href="data/a.csv">a.csv</a>' in markup
    assert "<strong>x|y</strong>" in markup and "<strong>Name:</strong> <code>v</code>" in markup
    assert "b = {```}\n}\n</code></pre>" in markup
    assert markup.count("<td") == 2
    assert Markdown({}).line((link,)) == escaped("Layer | 1")  # no site to lead into


# What people write survives


PARTS = (("title", "# T"), ("a", "## A\n\none"), ("b", "## B\n\ntwo"))
DATA = {"license": "mit", "tags": ["cutaway"], "pipeline_tag": "fill-mask"}


def fresh(parts=PARTS, data=DATA, old="", **more):
    return merged(old, data, parts, **more)


def test_writing_twice_changes_nothing():
    first = fresh().text
    assert fresh(old=first).text == first
    assert fresh(old=first.replace("\n", "\n")).kept == ()


def test_a_section_is_renewed_and_what_stands_around_it_stays_in_place():
    old = fresh().text.replace(
        "<!-- cutaway:begin b", "## Mine\n\nmy words\n\n<!-- cutaway:begin b"
    )
    new = fresh((*PARTS[:1], ("a", "## A\n\nother"), PARTS[2]), old=old)
    places = [new.text.index(each) for each in ("## A\n\nother", "## Mine\n\nmy words", "## B")]
    assert places == sorted(places) and "one" not in new.text and new.kept == ()


def test_a_section_that_was_edited_is_kept_and_named_unless_it_is_overwritten():
    old = fresh().text.replace("one", "my own words")
    new = fresh((*PARTS[:1], ("a", "## A\n\nother"), PARTS[2]), old=old)
    assert "my own words" in new.text and "other" not in new.text and new.kept == ("a",)
    again = fresh((*PARTS[:1], ("a", "## A\n\nother"), PARTS[2]), old=new.text)
    assert again == new  # it stays edited
    forced = fresh(old=old, overwrite=True)
    assert "my own words" not in forced.text and forced.kept == ()


def test_sections_come_and_go_in_their_place():
    old = fresh().text
    more = fresh((*PARTS[:2], ("n", "## N"), PARTS[2]), old=old).text
    assert more.index("## A") < more.index("## N") < more.index("## B")
    assert "## A" not in fresh((PARTS[0], PARTS[2]), old=more).text
    emptied = old.replace("## A\n\none\n", "")
    assert "## A" not in fresh(old=emptied).text  # emptied by hand: not wanted


def test_a_card_that_someone_wrote_by_hand_keeps_its_words_and_its_title():
    old = "---\nlicense: mit\n---\n# My model\n\nMy words.\n"
    new = fresh(old=old)
    assert new.text.count("# My model") == 1 and "# T\n" not in new.text
    assert new.text.index("My words.") < new.text.index("## A")
    assert fresh(old=new.text).text == new.text


def test_metadata_of_the_user_survives_key_by_key():
    stated = front(fresh().text)
    assert stated == DATA
    old = (
        fresh()
        .text.replace("license: mit", "license: apache-2.0\nbase_model: me/base")
        .replace("\n- cutaway\n", "\n- cutaway\n- mine\n")
        .replace("pipeline_tag: fill-mask\n", "")
    )
    new = fresh(data={**DATA, "tags": ["cutaway", "new"], "library_name": "timm"}, old=old)
    assert front(new.text) == {
        "license": "apache-2.0",
        "base_model": "me/base",
        "tags": ["cutaway", "new", "mine"],
        "library_name": "timm",
    }
    assert new.kept == ("metadata: license",)
    assert front(fresh(old=new.text, overwrite=True).text)["license"] == "mit"


def test_results_of_the_user_stay_in_the_model_index():
    def index(value, *more):
        ours = {"dataset": {"type": "cutaway-texts"}, "metrics": [{"value": value}]}
        return {**DATA, "model-index": [{"name": "T", "results": [ours, *more]}]}

    theirs = {"dataset": {"type": "glue"}, "metrics": [{"value": 7}]}
    old = fresh(data=index(1)).text
    _, body = old.split("\n---\n", 1)
    edited = yaml.safe_dump(index(1, theirs), sort_keys=False)
    new = fresh(data=index(2), old=f"---\n{edited}---\n{body}")
    results = front(new.text)["model-index"][0]["results"]
    assert [one["metrics"][0]["value"] for one in results] == [2, 7]


def test_metadata_that_cannot_be_read_is_refused():
    with pytest.raises(UsageError, match="not YAML"):
        fresh(old="---\na: [\n---\nwords")
    with pytest.raises(UsageError, match="no mapping"):
        fresh(old="---\n- a\n---\nwords")


def front(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_digests_are_of_the_value():
    assert digest(["a"]) == digest(["a"]) != digest(["b"])


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ("Apache-2.0", ("apache-2.0", None)),
        ("GPL-2.0-only", ("gpl-2.0", None)),
        ("My-Licence", ("other", "My-Licence")),
        ("not stated", (None, None)),
    ],
)
def test_licences_are_named_as_the_hub_names_them(stated, found):
    assert hub_licence(stated) == found


# The command and the page, on a real model


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    return built_once(tmp_path_factory, "digits", lay_out)


def card_in(folder: Path, exhibit: Path, *, overwrite: bool = False) -> CardFolder:
    """The card as the command writes it, without a process of its own."""
    shown, reporter = load_exhibit(exhibit), Reporter(Console(quiet=True))
    (made,) = make_cards(shown, MODEL, folder, exhibit / "build", reporter, overwrite=overwrite)
    return made


@pytest.fixture(scope="module")
def folder(site, tmp_path_factory):
    """The built exhibit with more stated of its model, and a card of it in `card`."""
    copy = tmp_path_factory.mktemp("cards") / "exhibit"
    shutil.copytree(site.exhibit, copy, ignore=shutil.ignore_patterns("site", "docs"))
    path = copy / "exhibit.yml"
    data = yaml.safe_load(path.read_text())
    data["models"][0]["card"] |= {
        "sections": [
            {"title": "Hostile", "text": HOSTILE, "after": "use"},
            {"title": "Licence", "text": "As you like it."},
        ],
        "without": ["environment"],
        "language": ["en"],
    }
    data["site_url"] = "https://example.org/cards/"
    path.write_text(yaml.safe_dump(data))
    run = cutaway_here("card", MODEL, "--exhibit", copy, "-o", copy / "card")
    assert (run.code, run.err) == (0, ""), run.out + run.err
    assert "figures." in run.out and "Kept" not in run.out
    return copy


@pytest.fixture(scope="module")
def text(folder):
    return (folder / "card" / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_hub_loads_the_card_and_its_metadata(folder, text):
    card = ModelCard.load(folder / "card" / "README.md")
    data = card.data
    assert (data.license, data.pipeline_tag, data.language) == (
        "apache-2.0",
        "image-classification",
        ["en"],
    )
    assert "cutaway" in data.tags and data.model_name == "Digits"
    rows = {
        (row["dataset"], row["metric"]): row
        for row in table(folder / "card", "evaluation.csv")
        if row["measured"] == "model"
    }
    # A linear probe on features is no result of the model.
    assert rows.pop(("cutaway-pool-groups", "accuracy"))
    assert len(data.eval_results) == len(rows) == 2
    for result in data.eval_results:
        row = rows[result.dataset_type, result.metric_type]
        assert result.metric_value == pytest.approx(float(row["value"]), rel=1e-5)
        assert result.dataset_revision == row["dataset_digest"]
        assert result.source_url == "https://example.org/cards/models/digits/card/"
    again = ModelCard(str(card))
    assert again.data.to_dict() == data.to_dict()


def table(folder, name):
    with (folder / "data" / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_file_that_the_card_names_lies_beside_it(folder, text):
    named = re.findall(r"\]\(((?:figures|data)/[^)]+)\)", text)
    assert {name.split("/")[0] for name in named} == {"figures", "data"}
    for name in named:
        path = folder / "card" / name
        assert path.is_file(), name
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.mode == "RGB"
        if path.suffix == ".svg":
            assert '<rect width="100%" height="100%" fill="#ffffff"/>' in path.read_text()
    assert "https://example.org/cards/models/digits/layers/conv4/" in text


def test_every_number_of_evaluation_and_probes_stands_in_a_table(folder, text):
    tables = [table(folder / "card", name) for name in ("evaluation.csv", "probes.csv")]
    said = numbers_said([part(text, "evaluation"), part(text, "probes")])
    assert len(said) > 30
    assert not [each for each in said if not stands_in(each, values_of(tables))]


def numbers_said(parts: list[str]) -> list[str]:
    """The numbers in the cells of a card's tables, behind each row's name."""
    rows = [line for each in parts for line in each.splitlines() if re.match(r"\| [^-]", line)]
    cells = [cell for row in rows for cell in row.split("|")[2:-1]]
    cells = [re.sub(r"top-\d|all [\d,]+ tokens", "", cell.lower()) for cell in cells]
    number = r"(?<![\w.·])[-−]?\d[\d,]*(?:\.\d+)?(?:·10[⁻⁰¹²³⁴-⁹]+)?"
    return [found for cell in cells for found in re.findall(number, cell)]


def values_of(tables: list[list[dict[str, str]]]) -> list[float]:
    ends = ("interval_low", "interval_high")
    keys = ("value", "standard_error", "spread", "count", "random_weights", *ends)
    rows = [row for each in tables for row in each]
    return [float(row[key]) for row in rows for key in keys if row.get(key)]


def stands_in(said: str, values: list[float]) -> bool:
    """Whether a number, as it is or as a percentage, is one of the values rounded as it is."""
    plain = said.replace(",", "").replace("−", "-")
    mantissa, _, power = plain.partition("·10")
    scale = 10.0 ** int(power.translate(LOWERED)) if power else 1.0
    close = 0.5000001 * 10 ** -len(mantissa.partition(".")[2]) * scale
    value = float(mantissa) * scale
    return value == 0 or any(min(abs(value - v), abs(value - 100 * v)) <= close for v in values)


LOWERED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def part(text: str, name: str) -> str:
    found = re.search(
        rf"<!-- cutaway:begin {name} \w+ -->\n(.*?)<!-- cutaway:end -->", text, re.DOTALL
    )
    assert found is not None, name
    return found[1]


def test_own_sections_stand_where_they_were_put_and_stay_text(text):
    keys = re.findall(r"cutaway:begin (\S+)", text)
    assert keys[keys.index("use") + 1] == "hostile" and "environment" not in keys
    assert "As you like it." in text and "The weights are under" not in text
    markup = rendered(part(text, "hostile"))
    assert words_of(markup) == f"Hostile\n{HOSTILE}"
    assert set(re.findall(r"<(\w+)", markup)) == {"h2", "p"}


def test_a_card_is_written_anew_around_what_was_written_into_it(folder, text, tmp_path):
    shutil.copytree(folder / "card", tmp_path / "card")
    readme = tmp_path / "card" / "README.md"
    mine = text.replace("## What it is", "## What it really is").replace(
        "<!-- cutaway:begin probes", "My own words.\n\n<!-- cutaway:begin probes"
    )
    readme.write_text(
        mine.replace("license: apache-2.0", "license: mit\nmine: yes"), encoding="utf-8"
    )
    run = cutaway_here("card", MODEL, "--exhibit", folder, "-o", tmp_path / "card")
    assert run.code == 0, run.err
    assert "Kept as edited by hand: metadata: license, about. --overwrite replaces them." in run.out
    new = readme.read_text(encoding="utf-8")
    assert "## What it really is" in new and "My own words." in new
    assert front(new)["license"] == "mit" and front(new)["mine"] is True
    assert card_in(tmp_path / "card", folder, overwrite=True).kept == ()
    assert readme.read_text() == text.replace(
        "license: apache-2.0", "license: apache-2.0\nmine: true"
    ).replace("<!-- cutaway:begin probes", "My own words.\n\n<!-- cutaway:begin probes")


def test_the_page_is_the_same_card(site, tmp_path):
    page = (site.site / "models" / MODEL / "card" / "index.html").read_text(encoding="utf-8")
    text = card_in(tmp_path / "card", site.exhibit).readme.read_text(encoding="utf-8")
    titles = re.findall(r"^##+ (.+)$", text, re.MULTILINE)
    shown = re.findall(r"<h[234]>(.*?)</h[234]>", page)
    assert [html.unescape(title) for title in shown] == titles
    assert len(titles) > 12
    for name in ("evaluation", "probes", "inside"):
        for words in re.findall(r"^\| ([^|]+) \|", part(text, name), re.MULTILINE):
            if "---" not in words and "![" not in words and not words.startswith(("conv", "h")):
                assert html.escape(words.replace("\\", ""), quote=False) in page, words
    assert 'href="../layers/conv4/index.html"' in page and 'href="../data/probes.csv"' in page


def test_a_model_that_is_not_there_is_named(site):
    run = cutaway_here("card", "digit", "--exhibit", site.exhibit)
    assert run.code == 2 and "Did you mean 'digits'?" in run.err


def test_a_section_that_does_not_exist_cannot_be_left_out(site, tmp_path):
    data = yaml.safe_load((site.exhibit / "exhibit.yml").read_text())
    data["models"][0]["card"] = {"withou": ["x"]}
    (tmp_path / "exhibit.yml").write_text(yaml.safe_dump(data))
    with pytest.raises(UsageError, match="Did you mean 'without'"):
        load_exhibit(tmp_path)


def test_what_is_stated_is_checked():
    with pytest.raises(ValueError, match="url"):
        CardSpec(references=[{"title": "x", "url": "javascript:alert(1)"}])
    assert CardSpec(sections=[{"title": "T", "text": "x"}]).sections == (
        OwnSection(title="T", text="x"),
    )


# Transformers of every kind, tiny and random


PAIRS = Pairs(
    paraphrases=[
        {"id": "a", "text": "w1 w2 w3", "same": "w4 w5", "other": "w1 w2 w9"},
        {"id": "b", "text": "w7 w8", "same": "w7 w8 w6", "other": "w20"},
    ],
    probes=[
        {
            "id": "two",
            "title": "Two <b>groups</b>",
            "frames": ["w0 {subject} w5 {choice} w6"],
            "choices": [["w7", "w8"]],
            "groups": {"one": ["w20", "w21", "w25"], "other": ["w22", "w23"]},
            "control": ["w30", "w31"],
            "sentences": {"subject": "w2 {subject}", "choice": "{choice} w3"},
        },
        {
            "id": "known",
            "title": "One group",
            "frames": ["w0 {subject} {choice}"],
            "choices": [["w7", "w8"], ["w1", "w2"]],
            "groups": {"all": ["w20", "w21", "w25"]},
            "control": ["w30", "w31"],
        },
    ],
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "task", "evaluated", "probed"),
    [
        ("llama", "text-generation", ["loss", "perplexity"], ["two", "known"]),
        ("roberta", "fill-mask", ["loss", "perplexity"], ["two", "known"]),
        ("bert", "feature-extraction", ["accuracy", "roc_auc", "cosine_similarity"], ["two"]),
    ],
)
def test_the_card_of_a_transformer(family, task, evaluated, probed, tmp_path):
    model = tiny_masked() if family == "roberta" else tiny(family)
    run = run_on(model, TEXTS, tmp_path, seed=3, pairs=PAIRS, ablate=1, runs=1, words=2)
    exhibit = Exhibit(title="T", seed=3, models=(ModelSpec(id=family, source="./x"),))
    card = card_of(exhibit, run)
    assert [each.key for each in card.select("probes").sections][: len(probed)] == probed
    stated = metadata(exhibit, run)
    assert (stated["pipeline_tag"], stated["metrics"]) == (task, evaluated)
    assert "license" not in stated  # none is stated
    tables = {table.name: table.csv for table in EVALUATION.tables(run)}
    rows = [list(csv.DictReader(io.StringIO(text))) for text in tables.values()]
    writer = Markdown({figure.path: "chart.svg" for figure in card.figures()})
    said = numbers_said([writer.section(card.select(key), 2) for key in ("evaluation", "probes")])
    assert len(said) > 15
    assert not [each for each in said if not stands_in(each, values_of(rows))]
    pages = any_pages()
    page = pages.fill(card_page(exhibit, run, pages))
    assert "Two &lt;b&gt;groups&lt;/b&gt;" in page.body and "<b>groups" not in page.body
    drawn = {figure.drawing.kind: figure.drawing for figure in card.figures()}
    assert set(drawn) == {"text_signal", "head_grid", "leans"}
    for drawing in drawn.values():
        (picture,) = pictures(drawing)
        assert b"</svg>" in picture.data


@pytest.mark.slow
def test_an_encoder_decoder_has_a_card_with_its_loss_on_the_targets_that_texts_name(tmp_path):
    model = tiny_pair("t5")
    texts = [
        CuratedText("rain", "rain fell on the town", "Rain", "", "w9 w8 w7"),
        CuratedText("short", "the old town", "Short", "", "w1 w2"),
        CuratedText("free", "rain on rain", "Free", ""),
    ]
    run = run_on(model, texts, tmp_path, seed=3, ablate=1)
    exhibit = Exhibit(title="T", models=(ModelSpec(id="t5", source="./x"),))
    (one,) = run[EVALUATION]
    losses = [float(loss_of(model, pair)) for pair in run[ANSWERS].values() if not pair.generated]
    assert (one.count, one.value) == (2, pytest.approx(np.mean(losses), rel=1e-5))
    assert one.error == pytest.approx(np.std(losses, ddof=1) / np.sqrt(2), rel=1e-4)
    twin = run.control.run.model
    random = [float(loss_of(twin, pair)) for pair in run[ANSWERS].values() if not pair.generated]
    assert one.controls[0].value == pytest.approx(np.mean(random), rel=1e-5)
    card = card_of(exhibit, run)
    assert [each.key for each in card.select("inside").sections] == [
        "signal", "heads-encoder", "roles-encoder", "heads-decoder", "roles-decoder", "heads-cross",
        "roles-cross",
    ]  # fmt: skip
    assert "probes" not in [each.key for each in card.sections]
    said = Markdown({f.path: "c.svg" for f in card.figures()}).section(card.select("about"), 2)
    assert "a layer of the encoder" in said and "a layer across" in said
    assert metadata(exhibit, run)["pipeline_tag"] == "text2text-generation"
    assert [table.name for table in EVALUATION.tables(run)] == ["evaluation.csv"]


def loss_of(model, pair):
    """Mean of -ln p over the target, from the library's own pass."""
    read, written = (torch.tensor([list(one.ids)]) for one in (pair.read, pair.written))
    logits = model.module(
        input_ids=torch.tensor([list(pair.source.ids)]), decoder_input_ids=read
    ).logits
    return torch.nn.functional.cross_entropy(logits[0], written[0])


@pytest.mark.slow
def test_without_sentences_nothing_is_probed(tmp_path):
    run = run_on(tiny("llama"), TEXTS, tmp_path, seed=3, ablate=0, runs=1, words=2)
    exhibit = Exhibit(models=(ModelSpec(id="llama", source="./x"),))
    card = card_of(exhibit, run)
    assert "probes" not in [each.key for each in card.sections]
    assert [table.name for table in EVALUATION.tables(run)] == ["evaluation.csv"]


@pytest.mark.slow
def test_a_source_without_an_exhibit_has_a_card_too(tmp_path):
    run = cutaway_here("card", "train:digits@1", "--images", "sklearn:digits", cwd=tmp_path)
    assert (run.code, run.err) == (0, ""), run.err
    text = (tmp_path / "digits-card" / "README.md").read_text(encoding="utf-8")
    keys = re.findall(r"cutaway:begin (\S+)", text)
    assert "use" not in keys and "licence" not in keys  # nothing is stated
    assert {"about", "evaluation", "inside", "probes", "provenance"} <= set(keys)
    lines = re.search(r"```python\n(import cutaway.*?)```", text, re.DOTALL)[1]
    assert ran(lines, tmp_path).startswith("input,kind,place,answer,")
    data = ModelCard.load(tmp_path / "digits-card" / "README.md").data
    assert data.license is None and len(data.eval_results) == 1
    assert "](https://" not in text and "](data/probes.csv)" in text


def test_the_examples_of_the_guide_are_read():
    guide = (CHECKOUT / "site_src" / "guide" / "model-cards.md").read_text(encoding="utf-8")
    stated, asked = (
        yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    )
    assert Exhibit(**stated).models[0].card.sections[0].after == "training"
    assert Pairs(**asked).probes[0].control == ("town", "winter")


def test_a_mistake_in_the_sentences_is_answered_with_its_line(tmp_path):
    shipped = (CHECKOUT / "site_src" / "inputs" / "pairs.yml").read_text(encoding="utf-8")
    path = tmp_path / "pairs.yml"
    path.write_text(shipped.replace("    frames:", "    frame:", 1), encoding="utf-8")
    line = 1 + path.read_text(encoding="utf-8").splitlines().index("    frame:")
    with pytest.raises(UsageError, match=rf"line {line}: unknown key .*Did you mean 'frames'"):
        load_pairs(path)
    path.write_text("paraphrase: []\n")
    with pytest.raises(UsageError, match="Did you mean 'paraphrases'"):
        load_pairs(path)


@pytest.mark.slow
def test_of_random_weights_no_bias_is_stated(tmp_path):
    model = tiny("llama")
    drawn = replace(model.provenance, origin="random weights, seed 1, as it initialises them")
    model = replace(model, provenance=drawn)
    run = run_on(model, TEXTS, tmp_path, seed=3, pairs=PAIRS, ablate=0, runs=1, words=2)
    exhibit = Exhibit(models=(ModelSpec(id="llama", source="./x"),))
    probes = card_of(exhibit, run).select("probes")
    assert "the weights are random" in Markdown({}).section(probes, 2)
    assert not probes.sections


def test_what_nobody_stated_is_listed():
    def said(card: CardSpec, licence: bool, language: bool) -> str:
        return Markdown({}).section(missing(card, licence, language, False), 2)

    bare = said(CardSpec(), False, True)
    assert "licence, language, intended use, training data, how to use it, base model" in bare
    assert "language" not in said(CardSpec(), True, False)
    every = CardSpec(
        intended_use="a", training_data="b", base_model="c", contact="d", language=("en",),
        sections=(OwnSection(title="How to use", text="so"),),
    )  # fmt: skip
    assert not missing(every, True, True, False).blocks


def ran(lines: str, folder: Path) -> str:
    """What some lines of Python print in a folder."""
    said = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(said):
        exec(compile(lines, "card", "exec"), {})
    return said.getvalue()


@pytest.mark.parametrize("family", ["llama", "bert", "roberta", "bart"])
def test_the_lines_that_say_how_a_model_is_used_run(family, tmp_path):
    save_tiny(family, tmp_path / "folder")
    if family == "roberta":
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "folder")
        tokenizer.mask_token = "w5"
        tokenizer.save_pretrained(tmp_path / "folder")
    model = {"roberta": tiny_masked, "bart": partial(tiny_pair, "bart")}.get(
        family, partial(tiny, family)
    )()
    run = run_on(model, TEXTS, tmp_path / "store")
    exhibit = Exhibit(models=(ModelSpec(id=model.id, source="./folder"),))
    (listing,) = how_to_use(run, exhibit).blocks
    assert ran(listing.text, tmp_path).strip()
    on_hub = exhibit.model_copy(
        update={"models": (ModelSpec(id=model.id, source="hf:org/name@main"),)}
    )
    (listing,) = how_to_use(run, on_hub).blocks
    assert 'from_pretrained("org/name", revision="main")' in listing.text


def test_lines_of_use_by_library_and_none_for_a_module_in_memory(tmp_path):
    run = run_on(tiny("llama"), TEXTS, tmp_path)
    for source, said in [
        ("timm:resnet18.a1_in1k", 'timm.create_model("resnet18.a1_in1k", pretrained=True)'),
        ("train:digits@3", 'cutaway.open("train:digits@3")'),
    ]:
        exhibit = Exhibit(models=(ModelSpec(id=run.model.id, source=source),))
        (listing,) = how_to_use(run, exhibit).blocks
        assert said in listing.text and compile(listing.text, "card", "exec")
    live = replace(run.model.provenance, source="torch.nn.Module Net")
    run = replace(run, model=replace(run.model, provenance=live))
    assert how_to_use(run, exhibit).empty


def test_stated_results_stand_in_the_card_and_in_the_metadata(tmp_path):
    run = run_on(tiny("llama"), TEXTS, tmp_path, ablate=0, runs=1, words=2)
    results = [
        {"task": "text-generation", "dataset": "Our Texts", "metric": "perplexity", "value": 12.5},
        {
            "task": "text-generation", "dataset": "WikiText", "dataset_id": "wikitext", "split": "test",
            "metric": "accuracy", "name": "Next token", "value": 0.25,
            "source": {"title": "Us", "url": "https://example.org/us"},
        },
    ]  # fmt: skip
    spec = ModelSpec(id="llama", source="./x", card={"results": results})
    exhibit = Exhibit(models=(spec,))
    (stated,) = metadata(exhibit, run)["model-index"]
    first, second, *measured = stated["results"]
    assert first["dataset"] == {"name": "Our Texts", "type": "our-texts"}
    assert first["metrics"][0]["value"] == 12.5 and "source" not in first
    assert (second["dataset"]["split"], second["metrics"][0]["name"]) == ("test", "Next token")
    assert second["source"]["url"] == "https://example.org/us"
    assert measured  # those of Cutaway stay
    said = Markdown({}).section(card_of(exhibit, run).select("results"), 2)
    assert "WikiText, test" in said and "[Us](https://example.org/us)" in said and "12.5" in said
    with pytest.raises(ValueError, match="finite"):
        CardSpec(results=[{**results[0], "value": float("nan")}])


def test_a_probe_on_features_is_not_the_accuracy_of_the_model(text):
    data = yaml.safe_load(text.split("---")[1])
    names = [
        metric["name"]
        for result in data["model-index"][0]["results"]
        for metric in result["metrics"]
    ]
    assert "Top-1 accuracy" in names
    assert not [name for name in names if "regression" in name or "probe" in name]
    assert "Linear probe on features" in text
