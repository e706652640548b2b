"""The jump box in a real browser: by mouse, keyboard and finger, from a server and from a folder."""

from __future__ import annotations

import pytest
from accessibility import violations
from pages_under_test import ARTICLE, HEAD, KINDS, UNIT, Visitors
from playwright.sync_api import Locator, Page, expect

both_origins = pytest.mark.parametrize("origin", ["server", "file"])
CLASSIFIER = "models/efficientnet-lite0"
BLOCK = f"{CLASSIFIER}/layers/blocks.1.0"


def options(page: Page) -> Locator:
    return page.get_by_role("dialog").get_by_role("option")


def ask(page: Page, words: str) -> Locator:
    """Open the box with its key and type."""
    page.keyboard.press("j")
    box = page.get_by_role("combobox", name="Jump to")
    expect(box).to_be_focused()
    box.fill("")
    expect(page.locator(".c-jump__status")).to_contain_text("Try ")  # the index is there
    box.fill(words)
    return options(page)


ASKED = {
    "L3H6": "models/smollm2-135m/layers/3/heads/6/index.html",
    "smollm L3H4": "models/smollm2-135m/layers/3/heads/4/index.html",
    "minilm l2 h4": "models/minilm-l6/layers/2/heads/4/index.html",
    "layer 3 head 5 smolm": "models/smollm2-135m/layers/3/heads/5/index.html",
    "L3": "models/smollm2-135m/layers/3/index.html",
    "blocks.1.0 unit 17": f"{BLOCK}/units/17/index.html",
    "blocks.1.0 17": f"{BLOCK}/units/17/index.html",
    "blocs.1.0 unit 17": f"{BLOCK}/units/17/index.html",
    "blocks.1.0": f"{BLOCK}/index.html",
    "zebra": f"{BLOCK}/units/",
    "zbra": f"{BLOCK}/units/",
    "induction": "models/smollm2-135m/index.html#heads",
    "inducton": "models/smollm2-135m/index.html#heads",
    "cat": f"{CLASSIFIER}/classes/index.html#picture=cat",
    "deep dream": f"{CLASSIFIER}/features/index.html",
    "grad-cam": f"{CLASSIFIER}/classes/index.html",
    "figures": "figures/index.html",
}


@both_origins
def test_what_is_typed_leads_to_its_page(visit: Visitors, origin: str) -> None:
    visitor = visit(origin)
    page = visitor.open(HEAD)
    for words, address in ASKED.items():
        found = ask(page, words)
        expect(found.first).to_be_visible()
        targets = found.evaluate_all("all => all.map((one) => one.href)")
        first = [target.removeprefix(visitor.root) for target in targets[:6]]
        assert any(each.startswith(address) for each in first), (words, first)
        if not address.startswith("models/minilm") and "induc" not in words:
            where = first.index(next(each for each in first if each.startswith(address)))
            assert where <= 3, (words, first)
        page.keyboard.press("Escape")
    # A unit's number alone means the layer that is shown, and Enter goes there.
    visitor.open(f"{BLOCK}/index.html")
    expect(ask(page, "unit 9").first).to_contain_text("blocks.1.0 unit 9")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("blocks.1.0 unit 9")
    assert visitor.place == f"{BLOCK}/units/9/index.html"


def test_statistics_bring_the_heads_that_lead(visit: Visitors) -> None:
    found = ask(visit().open(UNIT), "induction smollm")
    expect(found.filter(has_text="statistic")).to_have_count(1)
    assert found.filter(has_text="rank 1 of 36").count() == 1
    assert found.filter(has_text="rank 3 of 36").count() == 1


@pytest.mark.parametrize("address", [HEAD, UNIT, "index.html", "figures/index.html"])
def test_the_keyboard_is_enough(visit: Visitors, address: str) -> None:
    visitor = visit()
    page = visitor.open(address)
    link = page.locator(".cutaway a").first
    link.focus()
    assert not [url for url in visitor.requests if "jump-index" in url]
    found = ask(page, "layer")
    expect(found.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    chosen = found.nth(2)
    expect(chosen).to_have_attribute("aria-selected", "true")
    box = page.get_by_role("combobox", name="Jump to")
    assert box.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    page.keyboard.press("ArrowUp")
    expect(found.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.locator("dialog.c-jump")).to_be_hidden()
    expect(link).to_be_focused()  # where it was before
    ask(page, "nothing is called so")
    expect(page.locator(".c-jump__status")).to_contain_text("Nothing")
    expect(options(page)).to_have_count(1)  # the search
    page.keyboard.press("Escape")
    assert visitor.place == address


@pytest.mark.parametrize(
    ("origin", "address"), [("server", HEAD), ("file", HEAD), ("server", ARTICLE)]
)
def test_a_page_without_a_search_field_leads_to_the_search(
    visit: Visitors, address: str, origin: str
) -> None:
    visitor = visit(origin)
    page = visitor.open(address)
    expect(page.locator(".md-search")).to_have_count(0)
    found = ask(page, "SmolLM2 & <b>")
    expect(found.last).to_contain_text("“SmolLM2 & <b>”")
    page.get_by_role("combobox", name="Jump to").fill("SmolLM2-135M")
    found.last.click()
    expect(page.locator(".md-search__input")).to_have_value("SmolLM2-135M")
    expect(page.locator(".md-search-result__link[href*='smollm2-135m']").first).to_be_visible()


def test_the_key_can_be_switched_off_and_is_a_letter_where_one_types(visit: Visitors) -> None:
    visitor = visit()
    page = visitor.open("index.html")
    page.keyboard.press("/")  # Material's key
    expect(page.locator(".md-search__input")).to_be_focused()
    page.keyboard.type("j")
    expect(page.locator("dialog.c-jump")).to_have_count(0)
    page = visitor.open(UNIT)
    ask(page, "")
    page.get_by_label("the key J opens this box").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("j")
    expect(page.locator("dialog.c-jump")).to_be_hidden()
    page = visitor.open(KINDS["block"])  # it is remembered
    page.keyboard.press("j")
    expect(page.locator("dialog.c-jump")).to_have_count(0)
    page.get_by_role("button", name="Jump").click()
    page.get_by_label("the key J opens this box").check()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator("dialog.c-jump")).to_be_visible()


@pytest.mark.parametrize("address", [HEAD, UNIT])
def test_a_finger_can_jump(visit: Visitors, address: str) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    page = visit(**phone).open(address)
    button = page.get_by_role("button", name="Jump")
    size = button.bounding_box()
    assert size is not None
    assert min(size["height"], size["width"]) >= 24  # WCAG 2.5.8
    button.tap()
    page.get_by_role("combobox", name="Jump to").fill("L3H1")
    first = options(page).first
    expect(first).to_be_visible()
    box = first.bounding_box()
    assert box is not None
    assert box["height"] >= 24
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    first.tap()
    expect(page.locator("h1")).to_have_text("L3H1")


@pytest.mark.parametrize("palette", ["light", "dark"])
def test_axe_finds_nothing_in_the_open_box(visit: Visitors, palette: str) -> None:
    visitor = visit(color_scheme=palette)
    for address in (HEAD, UNIT):
        page = visitor.open(address)
        expect(ask(page, "layer").first).to_be_visible()
        assert violations(page) == []


@pytest.mark.parametrize("address", [HEAD, UNIT])
def test_without_a_script_there_is_no_button_that_does_nothing(
    visit: Visitors, address: str
) -> None:
    page = visit(java_script_enabled=False).open(address)
    expect(page.locator(".c-jump-open")).to_be_hidden()
    expect(page.locator(".cutaway a").first).to_be_visible()


def test_a_stranger_s_questions_are_answered_within_two_clicks(visit: Visitors) -> None:
    visitor = visit()
    # Which heads do induction?
    page = visitor.open("index.html")
    page.locator("#models").get_by_role("link", name="SmolLM2-135M").click()
    roles = page.locator("#roles")
    expect(roles.get_by_role("row").filter(has_text="induction").first).to_be_visible()
    # What does a unit answer to?
    page = visitor.open("index.html")
    expect(ask(page, "blocks.1.0 unit 17").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#exemplars .c-patches figure").first).to_be_visible()
    # What made the class of this picture?
    page = visitor.open("index.html")
    page.locator(".c-journey a").click()
    page.locator("#maps label[for=picture-corn]").click()
    shown = page.locator("#maps .c-tabs__panel:visible figure")
    expect(shown.first).to_contain_text("as the network sees it")
    assert shown.count() >= 2
