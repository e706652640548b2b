"""The attention components in a real browser, as a reader meets them: from a server and from a folder."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from accessibility import violations
from pages_under_test import Visitor
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from runs import finding, run_on
from small_site import CHECKOUT, HOSTILE

from generator.figures.figure import Drawing, Figure
from generator.figures.render import Drawn, render
from generator.inputs.texts import CuratedText, readable
from generator.models.text_model import LanguageModel
from generator.pages import page as site
from generator.pages.environment import Pages
from generator.pages.parts import part_page, parts
from generator.probes.attention import Attention, attention_weights, measure_attention
from generator.probes.queries import (
    Queries,
    Worked,
    measure_queries,
    telling_place,
    work_through,
)
from generator.run import Run
from generator.store import Store
from generator.techniques.attention import ATTENTION, TextAttention
from generator.techniques.attention_drawings import sheets
from generator.techniques.components import (
    attention_files,
    component,
    vector_files,
)
from generator.techniques.context import CONTEXT, WorkedHead, scripts
from generator.techniques.decoding import DECODING
from generator.techniques.measured_stack import heads_of
from generator.techniques.rollout import view as rollout_view

both_origins = pytest.mark.parametrize("origin", ["server", "file"])
expect.set_options(timeout=20_000)  # a busy machine is no fault of the components

SHELL = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width,initial-scale=1">
<link rel="stylesheet" href="{root}stylesheets/lean.css">
<link rel="stylesheet" href="{root}stylesheets/palette.css">
<link rel="stylesheet" href="{root}stylesheets/masthead.css">
<link rel="stylesheet" href="{root}stylesheets/cutaway.css">
<script>__md_scope=new URL("{root}",location)</script></head>
<body data-md-color-scheme="default"><script src="{root}javascripts/palette.js"></script>
<header class="c-top"><a class="c-brand" href="{root}index.html">Cutaway</a>
<button type="button" class="c-top__palette" hidden>Switch palette</button></header>
<main class="md-typeset c-lean">{body}</main>
<script src="{root}javascripts/cutaway.js"></script></body></html>"""

HARNESS = """{% extends "base.html" %}
{% import "partials/attention.html" as attention %}
{% block header %}<h1>{{ title }}</h1>{% endblock %}
{% block main %}
{{ attention.assets(to) }}
<section><div class="c-tabs" data-choice="text">
{% for view in components %}
{{ c.tab("text", view.text, view.text, loop.first) }}
<div class="c-tabs__panel">{{ attention.component(view, to) }}</div>
{% endfor %}
</div></section>
{% endblock %}"""

TEXTS = (
    CuratedText(
        "coreference",
        "Mira lent her brother the old bicycle, and when it broke he carried it all the way back to her.",
        "Coreference",
        "Heads in which it points back.",
    ),
    CuratedText("hostile", HOSTILE, "<i>Hostile</i> text", ""),
    CuratedText("scripts", "שלום עולם, the cat 猫が寝る 🐈‍⬛ slept. مرحبا", "Many scripts", ""),
)
DECODER, ENCODER = "models/smollm2-135m", "models/minilm-l6"
LAYER, HEAD = 3, 5


@dataclass(frozen=True)
class Made:
    """A folder of pages with components, and what they show."""

    root: Path
    attentions: dict[tuple[str, str], Attention]
    queries: dict[tuple[str, str], Queries]
    worked: dict[str, Worked]


class _NoPlace:
    trail = ()
    strips = ()
    previous = None
    following = None
    here = None


def long_attention() -> Attention:
    """A made-up causal head pair on 512 tokens: the previous token, and the token 100 before."""
    n = 512
    weights = np.zeros((2, 2, n, n), dtype=np.float32)
    for layer in range(2):
        for query in range(n):
            for head, far in enumerate((1, 100 + layer)):
                weights[layer, head, query, max(0, query - far)] += 0.75
                weights[layer, head, query, 0] += 0.25
    return Attention("long", tuple(f" w{i}" for i in range(n)), weights, True)


WICKED = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "<b>",
    "&lt;",
    "{layer}",
)


def wicked_attention() -> Attention:
    """Whole tokens of markup, which a tokenizer would mostly take apart."""
    n = len(WICKED)
    return Attention("wicked", WICKED, np.full((2, 2, n, n), 1 / n, dtype=np.float32), False)


def write(root: Path, address: str, text: str) -> None:
    path = root / address
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lay_out(
    root: Path, models: list[LanguageModel], texts: tuple[CuratedText, ...], store: Store
) -> Made:
    """Write the pages of some models, with the real templates and static files."""
    templates = root.parent / "templates"
    shutil.copytree(CHECKOUT / "templates", templates, dirs_exist_ok=True)
    (templates / "harness.html").write_text(HARNESS, encoding="utf-8")
    for name in ("javascripts", "stylesheets"):
        shutil.copytree(CHECKOUT / "site_src" / name, root / name, dirs_exist_ok=True)
    made = Made(root, {}, {}, {})
    for model in models:
        shown = [measure_attention(model, text, store) for text in texts]
        vectors = [measure_queries(model, text, store) for text in texts]
        for attention, queries in zip(shown, vectors, strict=True):
            made.attentions[model.id, attention.text] = attention
            made.queries[model.id, attention.text] = queries
            for address, text in (
                *attention_files(model.id, attention),
                *vector_files(model.id, queries),
            ):
                write(root, address, text)
        run = _run(model, texts, shown, vectors, store)
        drawings = [*_sheets(run, shown), *(one.drawing for one in rollout_figures(run))]
        drawn, _ = render(drawings, root.parent / "figures", 1, lambda: None)
        for address, one in drawn.items():
            (root / address).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(one.file, root / address)
        pages = Pages(templates, _Drawn(drawn))
        for part in parts(run):
            if part.key in ("attention", "context"):
                _put(root, pages.fill(part_page(run, part, pages)))
        for address, script in scripts(run):
            write(root, address, script)
        made.worked[model.id] = run[CONTEXT].steps
        heads = [component(model.id, a, LAYER, HEAD, neurons=True) for a in shown]
        _harness(root, pages, f"models/{model.id}/layers/{LAYER}/heads/{HEAD}/index.html", heads)
        layers = [component(model.id, a, LAYER, neurons=True) for a in shown]
        _harness(root, pages, f"models/{model.id}/layers/{LAYER}/index.html", layers)
    _long(root, Pages(templates, {}))
    return made


class _Drawn(dict[str, Drawn]):
    """Drawn pictures, and a size for all others."""

    def __missing__(self, path: str) -> Drawn:
        return Drawn(Path(path), 100, 80)


def _run(
    model: LanguageModel,
    texts: tuple[CuratedText, ...],
    attentions: list[Attention],
    queries: list[Queries],
    store: Store,
) -> Run:
    """Weights and vectors on all texts, and one head worked through on the first."""
    layer, head, query = telling_place(attentions[0]) or (0, 0, 0)
    worked = work_through(model, texts[0], layer, head, store)
    return finding(
        run_on(model, texts, store, ablate=0, runs=1, words=2),
        {
            ATTENTION: {"": TextAttention(tuple(attentions), tuple(queries))},
            CONTEXT: WorkedHead(texts[0], query, worked),
            DECODING: (),
        },
    )


def _long(root: Path, pages: Pages) -> None:
    wicked = wicked_attention()
    for address, text in attention_files("wicked", wicked):
        write(root, address, text)
    bare = component("wicked", wicked, 1, 1, without_first=True)
    _harness(root, pages, "models/wicked/bare/index.html", [bare])
    shown = [component("wicked", wicked, 1, 1), component("wicked", wicked)]
    for one in shown:
        _harness(root, pages, f"models/wicked/{one.kind}/index.html", [one])
    attention = long_attention()
    for address, text in attention_files("long", attention):
        write(root, address, text)
    _harness(
        root,
        pages,
        "models/long/layers/1/heads/1/index.html",
        [component("long", attention, 1, 1)],
    )
    _harness(root, pages, "models/long/layers/1/index.html", [component("long", attention, 1)])


def _harness(root: Path, pages: Pages, address: str, components: list) -> None:
    page = pages.page(
        "harness.html", address, "Components", "", components=components, place=_NoPlace()
    )
    _put(root, pages.fill(page))


def _put(root: Path, page: site.Page) -> None:
    up = "../" * page.address.count("/")
    write(root, page.address, SHELL.format(title=page.title, root=up, body=page.body))


def rollout_figures(run: Run) -> list[Figure]:
    """The rollout below the model view."""
    return [rollout_view(run, stack).figure for stack in heads_of(run.model)]


def _sheets(run: Run, shown: list[Attention]) -> list[Drawing]:
    """The drawn sheets of all layers."""
    return [sheets(run, heads_of(run.model)[0], one) for one in shown]


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    minilm_model: LanguageModel,
    smollm2_model: LanguageModel,
) -> Made:
    folder = tmp_path_factory.mktemp("components")
    made = lay_out(folder / "site", [minilm_model, smollm2_model], TEXTS, Store(folder / "store"))
    write(made.root, "index.html", "<!doctype html><title>Harness</title>")
    return made


@pytest.fixture(scope="module")
def root(made: Made) -> Path:
    return made.root


HEAD_PAGE = f"{DECODER}/layers/{LAYER}/heads/{HEAD}/index.html"
LAYER_PAGE = f"{ENCODER}/layers/{LAYER}/index.html"
MODEL_PAGE = f"{DECODER}/attention/index.html"
LONG_PAGE = "models/long/layers/1/heads/1/index.html"
CONTEXT_PAGE = f"{DECODER}/context/index.html"
KINDS = {"head": HEAD_PAGE, "layer": LAYER_PAGE, "model": MODEL_PAGE, "long": LONG_PAGE}


def opened(page: Page) -> Locator:
    """The component that is visible, once it is ready."""
    found = page.locator(".c-attention[data-ready]:visible")
    expect(found).to_have_count(1)
    return found


def summary(page: Page) -> Locator:
    return opened(page).locator(".c-attention__panel .c-attention__summary")


def token(page: Page, side: str, place: int) -> Locator:
    return opened(page).locator(f'[data-place="{side}{place}"]')


def fragment(visitor: Visitor) -> str:
    return unquote(visitor.page.url.partition("#")[2])


def labels(page: Page, side: str) -> list[str]:
    return opened(page).locator(f".c-lines__tokens--{side} .c-token__weight").all_inner_texts()


def decimals(values: np.ndarray) -> list[str]:
    return [f"{value:.4f}" for value in values]


@both_origins
def test_every_page_opens_quietly_from_a_server_and_from_a_folder(visit, origin):
    visitor = visit(origin)
    for address in KINDS.values():
        opened(visitor.open(address))
    assert visitor.problems == []
    loaded = [url for url in visitor.requests if "/attention/" in url and url.endswith(".js")]
    assert len(loaded) == 3  # a head's page carries its weights itself


# The head view.


def test_hovering_a_token_shows_the_exact_weights_of_its_row(visit, made):
    page = visit().open(HEAD_PAGE)
    weights = made.attentions["smollm2-135m", "coreference"].weights[LAYER, HEAD]
    for place in (0, 7, 22):
        token(page, "query", place).hover()
        shown = labels(page, "key")
        assert shown[: place + 1] == decimals(weights[place, : place + 1])
        assert set(shown[place + 1 :]) <= {""}  # the future
    token(page, "key", 5).hover()
    shown = labels(page, "query")
    assert shown[5:] == decimals(weights[5:, 5])
    assert set(shown[:5]) == {""}
    page.mouse.move(2, 2)
    assert set(labels(page, "query") + labels(page, "key")) == {""}


def test_the_summary_names_the_strongest_keys(visit, made):
    page = visit().open(f"{HEAD_PAGE}#token=12")
    attention = made.attentions["smollm2-135m", "coreference"]
    row = attention.weights[LAYER, HEAD, 12]
    best = np.argsort(-row, kind="stable")[:3]
    for key in best:
        expect(summary(page)).to_contain_text(f"({key}) {row[key]:.4f}")
    page.get_by_role("button", name="Leave the first token out").click()
    expect(summary(page)).not_to_contain_text("(0)")


def test_a_head_that_rests_on_the_first_token_opens_without_it(visit):
    visitor = visit()
    page = visitor.open("models/wicked/bare/index.html")
    button = opened(page).get_by_role("button", name="Leave the first token out")
    expect(button).to_have_attribute("aria-pressed", "true")
    token(page, "query", 3).hover()
    expect(summary(page)).not_to_contain_text("(0)")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    assert fragment(visitor) == "sink=1"
    token(page, "query", 3).hover()
    expect(summary(page)).to_contain_text("(0)")
    button.click()
    assert fragment(visitor) == ""


def test_a_click_keeps_a_token_and_back_lets_it_go(visit):
    visitor = visit("file")
    page = visitor.open(HEAD_PAGE)
    token(page, "query", 12).click()
    assert fragment(visitor) == "token=12"
    token(page, "key", 3).click()
    assert fragment(visitor) == "token=k3"
    expect(token(page, "key", 3)).to_have_attribute("aria-pressed", "true")
    page.go_back()
    expect(token(page, "query", 12)).to_have_attribute("aria-pressed", "true")
    expect(token(page, "key", 3)).to_have_attribute("aria-pressed", "false")
    page.go_back()
    expect(token(page, "query", 12)).to_have_attribute("aria-pressed", "false")
    page.go_forward()
    expect(token(page, "query", 12)).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(token(page, "query", 12)).to_have_attribute("aria-pressed", "true")
    token(page, "query", 12).click()
    assert fragment(visitor) == ""


def test_the_keyboard_moves_through_tokens(visit, made):
    visitor = visit()
    page = visitor.open(HEAD_PAGE)
    weights = made.attentions["smollm2-135m", "coreference"].weights[LAYER, HEAD]
    token(page, "query", 0).focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    expect(token(page, "query", 2)).to_be_focused()
    assert labels(page, "key")[:3] == decimals(weights[2, :3])
    page.keyboard.press("End")
    expect(token(page, "query", 22)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(token(page, "key", 22)).to_be_focused()
    page.keyboard.press("Home")
    expect(token(page, "key", 0)).to_be_focused()
    assert labels(page, "query") == decimals(weights[:, 0])
    assert fragment(visitor) == ""
    page.keyboard.press("Enter")
    assert fragment(visitor) == "token=k0"
    page.keyboard.press("Escape")
    assert fragment(visitor) == ""
    # One stop of the tab key, not one for each token.
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.c-lines')") is None


def test_another_text_forgets_the_token_and_keeps_the_view(visit):
    visitor = visit()
    page = visitor.open(f"{HEAD_PAGE}#text=coreference&token=12&view=map")
    opened(page)
    page.locator("label[for=text-scripts]").click()
    opened(page)
    assert sorted(fragment(visitor).split("&")) == ["text=scripts", "view=map"]
    expect(opened(page).get_by_role("button", name="Map")).to_have_attribute("aria-pressed", "true")


def test_heads_of_a_layer_are_switched_on_and_off(visit, made):
    visitor = visit()
    page = visitor.open(LAYER_PAGE)
    weights = made.attentions["minilm-l6", "coreference"].weights[LAYER]
    chips = opened(page).locator("[data-chip]")
    expect(chips).to_have_count(12)
    token(page, "query", 12).hover()
    best = weights[:, 12].max(0)
    assert [label.split()[0] for label in labels(page, "key")] == decimals(best)
    chips.nth(5).click()
    assert fragment(visitor) == "heads=0.1.2.3.4.6.7.8.9.10.11"
    expect(chips.nth(5)).to_have_attribute("aria-pressed", "false")
    expect(opened(page).get_by_role("button", name="Map")).to_be_disabled()
    opened(page).get_by_role("button", name="none").click()
    expect(summary(page)).to_have_text("No head is chosen.")
    chips.nth(7).click()
    assert fragment(visitor) == "heads=7"
    token(page, "query", 12).hover()
    assert labels(page, "key") == decimals(weights[7, 12])
    expect(opened(page).get_by_role("button", name="Map")).to_be_enabled()
    chips.nth(2).dblclick()
    assert fragment(visitor) == "heads=2"
    page.go_back()
    page.go_back()
    page.go_back()
    expect(chips.nth(7)).to_have_attribute("aria-pressed", "true")
    chips.nth(3).focus()
    page.keyboard.press("ArrowRight")
    expect(chips.nth(4)).to_be_focused()
    page.keyboard.press("Enter")
    expect(chips.nth(4)).to_have_attribute("aria-pressed", "true")


def painted(page: Page, selector: str) -> np.ndarray:
    """The pixels of a canvas as the reader sees them."""
    with Image.open(BytesIO(opened(page).locator(selector).first.screenshot())) as shot:
        return np.asarray(shot.convert("RGB")).astype(int)


def test_lines_are_drawn_and_those_of_the_first_token_can_be_left_out(visit):
    page = visit().open(f"{HEAD_PAGE}#token=22")
    opened(page)
    before = painted(page, ".c-lines__middle")
    page.get_by_role("button", name="Leave the first token out").click()
    after = painted(page, ".c-lines__middle")
    ink = [(shot.max((0, 1)) - shot).sum() for shot in (before, after)]  # darker than the ground
    assert ink[0] > 1.2 * ink[1] > 0


# The map.


def cell(page: Page, query: int, key: int, count: int) -> dict[str, float]:
    """The middle of a cell of a labelled map."""
    width = opened(page).locator(".c-map__canvas").evaluate("node => node.clientWidth")
    size = (width - 98) / count
    return {"x": 96 + (key + 0.5) * size, "y": 96 + (query + 0.5) * size}


def test_a_cell_of_the_map_tells_its_exact_weight(visit, made):
    visitor = visit()
    page = visitor.open(f"{HEAD_PAGE}#view=map")
    attention = made.attentions["smollm2-135m", "coreference"]
    weights = attention.weights[LAYER, HEAD]
    canvas = opened(page).locator(".c-map__canvas")
    for query, key in ((12, 11), (22, 0), (5, 5)):
        canvas.hover(position=cell(page, query, key, 23))
        expect(summary(page)).to_contain_text(f"({query}) →")
        expect(summary(page)).to_contain_text(f"({key}): {weights[query, key]:.4f}.")
    canvas.hover(position=cell(page, 3, 9, 23))
    expect(summary(page)).to_contain_text("lies in the future")
    canvas.click(position=cell(page, 12, 11, 23))
    assert fragment(visitor) == "view=map&token=12"
    canvas.focus()
    page.keyboard.press("ArrowRight")
    expect(summary(page)).to_contain_text("→")
    for key in ("ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    expect(summary(page)).to_contain_text(re.compile(r"\(1[23]\) → .*\(\d+\): "))


def test_the_colour_of_a_cell_follows_its_weight(visit, made):
    page = visit().open(f"{HEAD_PAGE}#view=map")
    weights = made.attentions["smollm2-135m", "coreference"].weights[LAYER, HEAD]
    opened(page)
    shot = painted(page, ".c-map__canvas")
    rows, columns = np.tril_indices(23)
    size = (shot.shape[1] - 98) / 23
    middle = [(96 + (place + 0.5) * size).astype(int) for place in (rows, columns)]
    dark = 255 * 3 - shot[middle[0], middle[1]].sum(-1)
    values = weights[rows, columns]
    far = np.abs(values[:, None] - values[None, :]) > 0.02
    assert ((dark[:, None] >= dark[None, :]) | (values[:, None] < values[None, :]))[far].all()


# The neuron view.


def test_the_neuron_view_multiplies_the_model_s_own_vectors(visit, made):
    visitor = visit("file")
    page = visitor.open(f"{HEAD_PAGE}#view=neurons&token=12")
    found = made.queries["smollm2-135m", "coreference"]
    weights = made.attentions["smollm2-135m", "coreference"].weights[LAYER, HEAD]
    query, keys = found.query[LAYER, HEAD, 12], found.key[LAYER, HEAD * 3 // 9]
    rows = opened(page).locator(".c-neurons tbody tr:not(.c-neurons__query)")
    expect(rows).to_have_count(13)
    for place in (0, 5, 12):
        cells = rows.nth(place).locator("td.c-number").all_inner_texts()
        total, score, weight = (float(text.replace("−", "-")) for text in cells)
        assert total == pytest.approx(float(query @ keys[place]), abs=0.06)
        assert score == pytest.approx(float(query @ keys[place]) / 8, abs=0.01)
        assert cells[2] == f"{weights[12, place]:.4f}"
        assert weight <= 1
    opened(page).get_by_role("combobox").select_option("20")
    expect(rows).to_have_count(21)
    assert fragment(visitor) == "view=neurons&token=20"
    page.go_back()
    expect(rows).to_have_count(13)


def test_elements_of_the_vectors_are_read_one_by_one(visit, made):
    visitor = visit()
    page = visitor.open(f"{HEAD_PAGE}#view=neurons&token=12")
    found = made.queries["smollm2-135m", "coreference"]
    query, key = found.query[LAYER, HEAD, 12], found.key[LAYER, HEAD * 3 // 9]
    weights = made.attentions["smollm2-135m", "coreference"].weights[LAYER, HEAD]
    best = key[int(weights[12].argmax())]
    opened(page).locator(".c-neurons__scroll").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert fragment(visitor) == "view=neurons&token=12&element=3"
    text = summary(page).inner_text().replace("−", "-")
    one, two, product = map(float, re.search(r"most: (\S+) × (\S+) = (\S+) of", text).groups())
    assert one == pytest.approx(float(query[3]), abs=2e-3)
    assert two == pytest.approx(float(best[3]), abs=2e-3)
    assert product == pytest.approx(float(query[3] * best[3]), abs=5e-3)


# The model view.


def tile(page: Page, layer: int, head: int) -> dict[str, float]:
    width = opened(page).locator(".c-grid__canvas").evaluate("node => node.clientWidth")
    step = (width - 30) / 9
    return {"x": 30 + (head + 0.5) * step, "y": 20 + (layer + 0.5) * step}


def test_a_head_is_chosen_among_all(visit, made):
    visitor = visit()
    page = visitor.open(MODEL_PAGE)
    weights = made.attentions["smollm2-135m", "coreference"].weights
    panel = opened(page).locator(".c-attention__panel")
    expect(panel).to_be_hidden()
    grid = opened(page).locator(".c-grid__canvas")
    grid.hover(position=tile(page, 6, 6))
    past = np.tril(weights[6, 6])[:, 1:].max()
    words = opened(page).locator(".c-attention__grid .c-attention__summary")
    expect(words).to_contain_text("L6H6: strongest link past the first token")
    expect(words).to_contain_text(f"{past:.4f}")
    grid.click(position=tile(page, 6, 6))
    assert fragment(visitor) == "layer=6&head=6"
    link = panel.locator("strong a")
    expect(link).to_have_text("L6H6")
    assert link.get_attribute("href").endswith(
        f"{DECODER}/layers/6/heads/6/index.html#text=coreference"
    )
    token(page, "query", 9).hover()
    assert labels(page, "key")[:10] == decimals(weights[6, 6, 9, :10])
    grid.click(position=tile(page, 2, 1))
    expect(link).to_have_text("L2H1")
    page.go_back()
    expect(link).to_have_text("L6H6")
    page.go_back()
    expect(panel).to_be_hidden()


def test_the_keyboard_walks_over_all_heads(visit):
    visitor = visit()
    page = visitor.open(f"{MODEL_PAGE}#layer=4&head=3")
    grid = opened(page).locator(".c-grid__canvas")
    grid.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    words = opened(page).locator(".c-attention__grid .c-attention__summary")
    expect(words).to_contain_text("L5H5: ")
    page.keyboard.press("Enter")
    assert fragment(visitor) == "layer=5&head=5"
    expect(opened(page).locator("strong a")).to_be_focused()
    page.keyboard.press("Escape")
    expect(grid).to_be_focused()
    expect(opened(page).locator(".c-attention__panel")).to_be_hidden()


def test_a_deep_link_opens_a_moment(visit, made):
    page = visit("file").open(f"{MODEL_PAGE}#text=scripts&layer=6&head=2&token=9&view=lines")
    weights = made.attentions["smollm2-135m", "scripts"].weights[6, 2]
    expect(token(page, "query", 9)).to_have_attribute("aria-pressed", "true")
    assert labels(page, "key")[:10] == decimals(weights[9, :10])
    page.evaluate("location.hash = '#text=scripts&layer=7&head=2&token=k1'")
    expect(token(page, "key", 1)).to_have_attribute("aria-pressed", "true")
    weights = made.attentions["smollm2-135m", "scripts"].weights[7, 2]
    assert labels(page, "query")[1:] == decimals(weights[1:, 1])


@pytest.mark.parametrize(
    "wrong", ["token=99999&layer=77&head=1", "view=<b>&token=-1&heads=x.y", "layer=3", "%"]
)
def test_an_address_that_asks_for_nothing_there_is_harmless(visit, wrong):
    visitor = visit()
    for address in (HEAD_PAGE, LAYER_PAGE, MODEL_PAGE):
        opened(visitor.open(f"{address}#{wrong}"))
    assert visitor.problems == []


def test_sixty_four_tokens_of_all_heads_open_in_a_second(visit, made, smollm2_model):
    ids = smollm2_model.encode(
        CuratedText("x", "The ships that passed the rocks. " * 20, "", "")
    ).ids[:64]
    weights = np.tile(attention_weights(smollm2_model, ids), (4, 1, 1, 1))[:30]  # of all layers
    attention = Attention("coreference", tuple(f" w{i}" for i in range(64)), weights, True)
    root = made.root / "models/wide"
    shutil.copytree(made.root / DECODER / "attention", root / "attention", dirs_exist_ok=True)
    shutil.copy(made.root / DECODER / "rollout-coreference.svg", root)
    for address, text in attention_files("wide", attention):
        write(made.root, address, text)
    page_size = sum(
        path.stat().st_size
        for path in (
            root / "attention/index.html",
            root / "attention/attention-coreference.js",
            *(made.root / "javascripts").glob("*.js"),
            *(made.root / "stylesheets").glob("*.css"),
        )
    )
    assert page_size < 3_000_000
    times = []
    for _ in range(3):
        visitor = visit("file")
        page = visitor.open("models/wide/attention/index.html")
        opened(page)
        times.append(page.evaluate("performance.now()") / 1000)
    print(f"\nmodel view: {page_size / 1e6:.2f} MB, opened in {min(times):.2f} s")
    assert min(times) < 1.5  # a second on an idle machine


# Odd and long texts.


def test_tokens_stay_text(visit, made):
    visitor = visit()
    page = visitor.open(f"{HEAD_PAGE}#text=hostile")
    tokens = [readable(t) for t in made.attentions["smollm2-135m", "hostile"].tokens]
    shown = opened(page).locator(".c-lines__tokens--key bdi").all_text_contents()
    assert shown == tokens
    for view in ("Map", "Neurons"):
        opened(page).get_by_role("button", name=view).click()
        expect(opened(page).get_by_role("button", name=view)).to_have_attribute(
            "aria-pressed", "true"
        )
    options = opened(page).locator("option").all_text_contents()
    assert options == [f"{i}: {text}" for i, text in enumerate(tokens)]
    assert page.locator("img").count() == 0
    assert visitor.problems == []


def test_tokens_that_are_markup_stay_text(visit):
    visitor = visit()
    page = visitor.open("models/wicked/head/index.html#token=0")
    assert opened(page).locator(".c-lines__tokens--key bdi").all_text_contents() == [
        readable(token) for token in WICKED
    ]
    expect(summary(page)).to_contain_text("<img␣src=x␣onerror=alert(1)>")
    opened(page).get_by_role("button", name="Map").click()
    opened(page).locator(".c-map__canvas").hover(position={"x": 100, "y": 100})
    expect(summary(page)).to_contain_text("onerror")
    page = visitor.open("models/wicked/model/index.html")
    opened(page).locator(".c-grid__canvas").hover(position={"x": 50, "y": 40})
    expect(opened(page).locator(".c-attention__grid .c-attention__summary")).to_contain_text(
        "strongest link"
    )
    assert page.locator("img, b").count() == 0
    assert visitor.problems == []


def test_tokens_of_other_scripts_keep_their_places(visit, made):
    page = visit().open(f"{HEAD_PAGE.replace(DECODER, ENCODER)}#text=scripts&token=1")
    tokens = [readable(t) for t in made.attentions["minilm-l6", "scripts"].tokens]
    assert opened(page).locator(".c-lines__tokens--query bdi").all_text_contents() == tokens
    expect(summary(page)).to_contain_text(f"“\u2068{tokens[1]}\u2069” (1) looks at")
    isolated = opened(page).locator("bdi").first.evaluate("n => getComputedStyle(n).unicodeBidi")
    assert isolated == "isolate"


def test_five_hundred_tokens_are_an_overview_with_exact_detail(visit, made):
    visitor = visit()
    page = visitor.open(LONG_PAGE)
    canvas = opened(page).locator(".c-map__canvas")
    assert canvas.evaluate("node => node.clientWidth") == 512
    canvas.hover(position={"x": 199.5, "y": 300.5})
    expect(summary(page)).to_contain_text("(300) → “\u2068␣w199\u2069” (199): 0.7500.")
    canvas.hover(position={"x": 198.5, "y": 300.5})
    expect(summary(page)).to_contain_text("(198): 0.0000.")
    canvas.click(position={"x": 199.5, "y": 300.5})
    assert fragment(visitor) == "token=300"
    opened(page).get_by_role("button", name="Lines").click()
    tokens = opened(page).locator(".c-lines__tokens--query .c-token")
    expect(tokens).to_have_count(64)
    expect(opened(page).locator(".c-lines__outside")).to_contain_text("1.0000 of its weight")
    page.get_by_role("button", name="← earlier").click()
    expect(tokens.first).to_have_attribute("data-place", "query236")
    loaded = {url.rsplit("/", 1)[1] for url in visitor.requests if "/attention/" in url}
    assert loaded == {"attention-long--1.1.js"}  # no other head's weights


def test_heads_of_a_long_text_are_fetched_when_they_are_chosen(visit):
    visitor = visit()
    page = visitor.open("models/long/layers/1/index.html")

    def loaded() -> list[str]:
        urls = (url.rsplit("/", 1)[1] for url in visitor.requests)
        return [url for url in urls if url.startswith("attention-long")]

    chips = opened(page).locator("button[data-chip]")
    assert chips.all_inner_texts() == ["L1H0", "L1H1"]
    expect(chips.first).to_have_attribute("aria-pressed", "true")
    assert loaded() == ["attention-long--1.0.js"]
    chips.nth(1).click()
    assert fragment(visitor) == "heads=0.1"
    expect(opened(page).locator(".c-lines__tokens--query .c-token")).to_have_count(64)
    assert loaded() == ["attention-long--1.0.js", "attention-long--1.1.js"]
    token(page, "query", 10).hover()
    expect(summary(page)).to_contain_text("L1H0: “\u2068␣w9\u2069” (9) 0.7500; L1H1:")
    chips.first.click()
    chips.nth(1).click()
    expect(summary(page)).to_have_text("No head is chosen.")
    opened(page).get_by_role("button", name="all", exact=True).click()
    assert fragment(visitor) == "heads=0.1"


def test_a_narrow_map_of_a_long_text_shows_the_largest_of_each_block(visit):
    page = visit(viewport={"width": 360, "height": 740}).open(f"{LONG_PAGE}#token=300")
    expect(opened(page).locator(".c-map__note")).to_contain_text("2 × 2")
    shot = painted(page, ".c-map__canvas")
    assert (shot[150, 96:103].sum(-1) < 300).any()  # the stripe 100 tokens back is there


# Everyone can read it.


@pytest.mark.parametrize("palette", ["light", "dark"])
def test_axe_finds_nothing(visit, palette):
    found = {}
    for name, address in (
        ("neurons", f"{HEAD_PAGE}#view=neurons&token=12"),
        ("layer", f"{LAYER_PAGE}#token=3"),
        ("model", f"{MODEL_PAGE}#layer=3&head=2&token=4&view=map"),
        ("context", CONTEXT_PAGE),
    ):
        page = visit(color_scheme=palette).open(address)
        if name != "context":
            opened(page)
        found[name] = violations(page)
    assert {name: report for name, report in found.items() if report} == {}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_sticks_out_of_a_narrow_screen(visit, kind):
    page = visit(viewport={"width": 360, "height": 740}).open(KINDS[kind])
    opened(page)
    for view in ("Lines", "Map", "Neurons"):
        button = opened(page).get_by_role("button", name=view)
        if button.count() and button.is_visible() and button.is_enabled():
            button.click()
            expect(button).to_have_attribute("aria-pressed", "true")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, view


def test_a_finger_can_do_it(visit, made):
    visitor = visit(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = visitor.open(HEAD_PAGE)
    weights = made.attentions["smollm2-135m", "coreference"].weights[LAYER, HEAD]
    token(page, "query", 7).tap()
    assert fragment(visitor) == "token=7"
    assert labels(page, "key")[:8] == decimals(weights[7, :8])
    visitor.open(MODEL_PAGE)
    opened(page).locator(".c-grid__canvas").tap(position=tile(page, 2, 5))
    expect(opened(page).locator("strong a")).to_have_text("L2H5")


@pytest.mark.parametrize("view", ["lines", "map", "neurons"])
def test_the_palette_turns_the_drawings_over(visit, view):
    page = visit(color_scheme="light").open(f"{HEAD_PAGE}#view={view}&token=12")
    canvas = {"lines": ".c-lines__middle", "map": ".c-map__canvas", "neurons": ".c-neurons"}[view]
    opened(page)
    light = painted(page, canvas)
    page.locator(".c-top__palette").click()
    page.wait_for_timeout(100)
    dark = painted(page, canvas)
    assert light.mean() > 190
    assert dark.mean() < 100


def test_without_a_script_the_drawn_sheets_stand_there(visit):
    page = visit(java_script_enabled=False).open(MODEL_PAGE)
    pictures = page.locator(".c-tabs__panel:visible noscript img")
    expect(pictures).to_have_count(8)  # layers
    expect(pictures.first).to_be_visible()
    expect(page.locator(".c-attention").first).to_be_hidden()
    expect(
        visit(java_script_enabled=False).open(HEAD_PAGE).locator(".c-attention").first
    ).to_be_hidden()


def test_data_that_is_missing_is_said_to_be(browser, made):
    context = browser.new_context()
    page = context.new_page()
    page.route("**/attention-coreference.js", lambda route: route.abort())
    page.goto(f"{made.root.as_uri()}/{LAYER_PAGE}")
    expect(page.locator(".c-attention__summary:visible")).to_have_text(
        "The weights of this text could not be loaded."
    )
    context.close()


# Context, worked through.


def test_one_token_is_followed_through_a_head(visit, made):
    visitor = visit()
    page = visitor.open(CONTEXT_PAGE)
    worked = made.worked["smollm2-135m"]
    panel = page.locator(".c-tabs--tokens > .c-tabs__panel:visible")
    expect(panel).to_have_count(1)
    page.locator("label[for=token-5]").click()
    assert fragment(visitor) == "token=5"
    rows = panel.locator(".c-meets tbody tr")
    expect(rows).to_have_count(6)
    assert rows.locator("td:nth-child(5)").all_inner_texts() == decimals(worked.weights[5, :6])
    stripe = panel.locator("[data-vector='written.5'] canvas")
    box = stripe.bounding_box()
    assert box is not None
    stripe.hover(position={"x": box["width"] * 100.5 / 576, "y": 5})
    text = panel.locator("[data-vector='written.5']").inner_text().replace("−", "-")
    found = re.fullmatch(r"z W\[(\d+)\] = (\S+)", text.strip())
    assert float(found[2]) == pytest.approx(float(worked.written[5, int(found[1])]), rel=5e-3)
    page.reload()
    expect(rows).to_have_count(6)
    page.locator("label[for=token-8]").click()
    expect(rows).to_have_count(9)
    page.go_back()
    expect(rows).to_have_count(6)


def test_the_guided_page_can_be_read_without_a_script(visit, made):
    page = visit(java_script_enabled=False).open(CONTEXT_PAGE)
    worked = made.worked["smollm2-135m"]
    page.locator("label[for=token-3]").click()
    panel = page.locator(".c-tabs--tokens > .c-tabs__panel:visible")
    numbers = ", ".join(f"{value:.2f}" for value in worked.query[3, :4]).replace("-", "−")
    expect(panel.locator("[data-vector='query.3']")).to_contain_text(f"({numbers}, …)")
    expect(page.locator(".c-plane:visible")).to_be_visible()
    page.locator("label[for=word-here]").click()
    expect(page.locator(".c-total:visible")).to_contain_text("here′")


def test_the_guided_page_fits_a_narrow_screen_and_turns_over(visit):
    page = visit(viewport={"width": 360, "height": 740}, color_scheme="dark").open(CONTEXT_PAGE)
    expect(page.locator("[data-vector] canvas").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
