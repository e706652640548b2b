"""The map of a network in a real browser: colours, what opens, by mouse, keyboard, and unscripted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from accessibility import violations
from networks import opened
from pages_under_test import Visitor
from playwright.sync_api import Locator, Page, expect
from runs import run_on
from tiny_blocks import Residual
from tiny_transformers import tiny

from generator.addresses import GALLERY, model_address
from generator.inputs.texts import CuratedText
from generator.pages.context import Place
from generator.pages.environment import Pages
from generator.pages.page import Page as Page_
from generator.pages.sections import FilledSection
from generator.run import Run
from generator.site import Tree, lay_out_statics, run_builder
from generator.techniques.architecture import view

CHECKOUT = Path(__file__).parents[2]
SEEN, READ = model_address("net"), model_address("qwen2")
both = pytest.mark.parametrize("palette", ["light", "dark"])


def page_of(run: Run) -> Page_:
    section = FilledSection("architecture", "architecture", "sections/architecture.html", view(run))
    return Pages(CHECKOUT / "templates", {}).page(
        "topic.html",
        model_address(run.model.id),
        "Map",
        "",
        model=run.model,
        place=Place((), ()),
        kind="map",
        heading="Map",
        lead="",
        sections=(section,),
        tables=(),
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with the maps of a network for pictures and of one for texts."""
    work = tmp_path_factory.mktemp("map")
    pixels = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    text = CuratedText("words", "rain fell on w1 w2 the old town w1 w2", "", "")
    runs = (
        run_on(opened(Residual(), side=32), store=work / "seen", pixels={"noise": pixels}),
        run_on(tiny("qwen2"), [text], work / "read", ablate=1, runs=2, words=2),
    )
    tree = Tree(work / "docs")
    pages = Pages(CHECKOUT / "templates", {})
    for run in runs:
        tree.page(pages.fill(page_of(run)))
    for address in (GALLERY, "figures/index.html", "glossary/index.html"):  # what the menu names
        tree.page(Page_(address, "A page", "", "", {}, searchable=False, body="<h1>A page</h1>"))
    lay_out_statics(tree, work / "theme", CHECKOUT)
    run_builder(CHECKOUT / "mkdocs.yml", work, work / "site", "")
    return work / "site"


def box(page: Page, name: str) -> Locator:
    return page.locator(f".c-plan__drawing a:has-text('{name}:') rect").first


def fill(page: Page, name: str) -> str:
    return str(box(page, name).evaluate("one => getComputedStyle(one).fill"))


@pytest.mark.parametrize("origin", ["server", "file"])
def test_the_reader_chooses_the_colours_and_opens_a_row(
    visit: Callable[..., Visitor], origin: str
) -> None:
    page = visit(origin).open(SEEN)
    before = fill(page, "stem"), fill(page, "blocks.0")
    assert before[0] != before[1]
    legend = page.locator(".c-plan__legend:visible")
    expect(legend).to_contain_text("Parameters")
    page.get_by_text("Exactly zero", exact=True).click()
    expect(legend).to_contain_text("exactly zero")
    assert fill(page, "stem") != before[0]
    assert page.url.endswith("#map=z")  # a choice that can be linked to
    row = page.get_by_role("button", name="What is in blocks.0–2 × 3")
    inner, after = box(page, "blocks.1.two"), box(page, "classes")
    expect(inner).not_to_be_visible()
    high = after.bounding_box()
    row.click()
    expect(inner).to_be_visible()
    expect(row).to_have_attribute("aria-expanded", "true")
    moved = after.bounding_box()
    assert high and moved and moved["y"] > high["y"] + 50
    page.keyboard.press("Enter")  # the row has the focus
    expect(inner).not_to_be_visible()
    assert after.bounding_box() == high


def test_heads_are_coloured_by_their_roles(visit: Callable[..., Visitor]) -> None:
    page = visit().open(f"{READ}#map=r")
    page.get_by_role("button", name="What is in Layers").press(" ")
    expect(page.locator(".c-plan__legend:visible")).to_contain_text("The role of a head")
    expect(box(page, "L1H2")).to_be_visible()
    assert page.locator(".c-plan__open:visible a").count() == 12


def test_without_a_script_boxes_are_links_in_colour(visit: Callable[..., Visitor]) -> None:
    page = visit(java_script_enabled=False).open(SEEN)
    boxes = page.locator(".c-plan__drawing a:visible")
    assert boxes.count() == 5  # stem, three blocks, classes
    assert boxes.nth(1).get_attribute("href") == "layers/blocks.0/index.html"
    assert page.locator(".c-plan__name[role]").count() == 0
    expect(page.locator(".c-plan__legend:visible")).to_contain_text("Parameters")
    expect(page.locator(".c-plan__hint")).not_to_be_visible()
    page.get_by_text("FLOPs", exact=True).click()
    expect(page.locator(".c-plan__legend:visible")).to_contain_text("multiply-add")


@both
def test_axe_finds_nothing_in_an_open_map(visit: Callable[..., Visitor], palette: str) -> None:
    page = visit(color_scheme=palette).open(READ)
    page.get_by_role("button", name="What is in Layers").click()
    assert violations(page) == []
    page.goto(page.url.replace(READ, SEEN))
    page.get_by_role("button", name="What is in blocks").click()
    assert violations(page) == []


@pytest.mark.parametrize("width", [360, 1280, 1920])
def test_the_map_scrolls_in_its_own_box(visit: Callable[..., Visitor], width: int) -> None:
    page = visit(viewport={"width": width, "height": 900}).open(SEEN)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    text = page.locator(".c-plan__name text").first
    assert text.evaluate("one => one.getBoundingClientRect().height") >= 10
