"""An article in a real browser: what opens beside the text, the contents, the copy button, paper, slides."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from accessibility import violations
from pages_under_test import ARTICLE, DECODER, GLOSSARY, HEAD, KINDS, SLIDES, UNIT, Visitors
from playwright.sync_api import expect
from small_site import Site

both_origins = pytest.mark.parametrize("origin", ["server", "file"])
both_palettes = pytest.mark.parametrize("palette", ["light", "dark"])
LOADED_FONTS = """document.fonts.ready.then((fonts) =>
  [...fonts].filter((font) => font.status === "loaded").map((font) => font.family))"""
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def test_what_is_long_to_read_waits_for_nothing_of_the_theme(visit: Visitors) -> None:
    visitor = visit()
    visitor.open(ARTICLE)
    asked = [url for url in visitor.requests if "/assets/" in url and "favicon" not in url]
    assert asked == []


# What opens beside the text.


def test_a_citation_opens_under_the_pointer_and_closes_with_escape(visit: Visitors) -> None:
    page = visit().open(ARTICLE)
    link, pop = page.locator(".c-cite").first, page.locator(".c-pop")
    expect(pop).to_be_hidden()
    link.hover()
    expect(pop).to_be_visible()
    entry = page.locator(link.get_attribute("href") or "").locator(".c-reference")
    assert entry.inner_text().strip() in pop.inner_text()
    assert link.get_attribute("aria-describedby") == pop.get_attribute("id")
    assert pop.get_attribute("role") == "tooltip"
    pop.hover()  # one can go to it and follow what it links to
    page.wait_for_timeout(400)
    expect(pop).to_be_visible()
    page.keyboard.press("Escape")
    expect(pop).to_be_hidden()
    assert link.get_attribute("aria-describedby") is None
    link.hover()
    expect(pop).to_be_visible()
    page.locator("h1").hover()
    expect(pop).to_be_hidden()


@pytest.mark.parametrize("kind", [".c-cite", ".footnote-ref", ".c-inside"])
def test_what_opens_can_be_reached_with_the_keyboard(visit: Visitors, kind: str) -> None:
    page = visit().open(ARTICLE)
    link, pop = page.locator(kind).first, page.locator(".c-pop")
    page.keyboard.press("Tab")  # from now on focus shows
    link.focus()
    expect(pop).to_be_visible()
    assert pop.inner_text().strip()
    outline = link.evaluate("node => getComputedStyle(node).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Escape")
    expect(pop).to_be_hidden()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(pop).to_be_visible()
    page.keyboard.press("Tab")
    expect(pop).to_be_hidden() if not page.locator(":focus").evaluate(
        "node => node.matches('.c-cite, .footnote-ref, .c-inside, .c-term')"
    ) else expect(pop).to_be_visible()


@pytest.mark.parametrize("kind", [".c-cite", ".footnote-ref", ".c-inside"])
def test_a_first_tap_opens_and_the_way_on_is_in_it(visit: Visitors, kind: str) -> None:
    page = visit(**PHONE).open(ARTICLE)
    link, pop = page.locator(kind).first, page.locator(".c-pop")
    link.scroll_into_view_if_needed()
    before = page.url
    link.tap()
    expect(pop).to_be_visible()
    assert page.url == before  # it has not gone there
    box = pop.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 360
    page.touchscreen.tap(354, box["y"] - 20)  # in the margin
    expect(pop).to_be_hidden()
    link.tap()
    pop.locator(".c-pop__go").tap()
    expect(page).not_to_have_url(before)


def test_a_link_into_a_model_shows_its_picture_and_its_note(visit: Visitors) -> None:
    page = visit().open(ARTICLE)
    link, pop = page.locator(".c-inside[data-picture]").first, page.locator(".c-pop")
    link.hover()
    expect(pop).to_be_visible()
    assert link.get_attribute("data-note") in pop.inner_text()
    picture = pop.locator("img")
    expect(picture).to_be_visible()
    page.wait_for_function("() => document.querySelector('.c-pop img').naturalWidth > 0")


@both_palettes
def test_axe_finds_nothing_while_something_is_open(visit: Visitors, palette: str) -> None:
    page = visit(color_scheme=palette).open(ARTICLE)
    page.locator(".c-cite").first.hover()
    expect(page.locator(".c-pop")).to_be_visible()
    page.locator(".c-exercise summary").first.click()
    assert violations(page) == []


# The page around the text.


def test_the_contents_mark_the_section_that_is_read(visit: Visitors) -> None:
    page = visit(viewport={"width": 1440, "height": 700}).open(ARTICLE)
    links = page.locator(".c-contents > div > ul > li > a")
    assert links.count() > 1
    last = links.last
    last.click()
    expect(last).to_have_attribute("aria-current", "true")
    expect(page.locator(".c-contents [aria-current]")).to_have_count(1)
    box = last.bounding_box()
    assert box and 0 < box["y"] < 700  # it stays beside the text
    page.evaluate("scrollTo(0, 0)")
    expect(last).not_to_have_attribute("aria-current", "true")


@pytest.mark.parametrize("width", [360, 768, 1024, 1220, 1440, 1920])
def test_no_width_scrolls_sideways_and_places_are_kept(visit: Visitors, width: int) -> None:
    page = visit(viewport={"width": width, "height": 800}).open(ARTICLE)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    aside = page.locator(".c-body > .c-aside").first.bounding_box()
    text = page.locator(".c-body > p").first.bounding_box()
    assert aside and text
    if width >= 1220:
        assert aside["x"] > text["x"] + text["width"]  # in the gutter
    else:
        assert abs(aside["x"] - text["x"]) < 60
    assert text["width"] < 760


def test_a_phone_shows_figures_at_a_size_that_can_be_read(visit: Visitors) -> None:
    page = visit(**PHONE).open(ARTICLE)
    boxes = page.locator(".c-body .c-figure .c-scroll")
    assert boxes.count() == 3
    for number in range(boxes.count()):
        box = boxes.nth(number)
        inner, outer = box.evaluate("node => [node.scrollWidth, node.clientWidth]")
        assert inner >= 480 > outer
        assert box.get_attribute("tabindex") == "0"


@both_origins
def test_the_entry_for_this_article_can_be_copied(visit: Visitors, origin: str) -> None:
    visitor = visit(origin)
    if origin == "server":
        visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visitor.open(ARTICLE)
    button, entry = page.locator(".c-copy"), page.locator("#c-bibtex")
    assert entry.inner_text().startswith("@")
    assert entry.inner_text().count("\n") > 2
    button.click()
    expect(button).to_have_text(re.compile("Copied|Selected"))
    if origin == "server":
        assert page.evaluate("navigator.clipboard.readText()") == entry.inner_text()


@both_origins
def test_equations_are_set_and_readable_by_machines(visit: Visitors, origin: str) -> None:
    visitor = visit(origin)
    page = visitor.open(ARTICLE)
    page.wait_for_timeout(300)
    assert not [url for url in visitor.requests if "katex" in url and url.endswith(".js")]
    page.locator(".c-equation").scroll_into_view_if_needed()  # fetched when one is near
    expect(page.locator(".c-equation .katex-display")).to_be_visible()
    assert page.locator(".c-equation math").count() == 1
    assert page.locator(".katex-error").count() == 0
    fonts = page.evaluate(LOADED_FONTS)
    assert {"KaTeX_Main", "KaTeX_Math"} <= {name.strip('"') for name in fonts}


@pytest.mark.parametrize("width", [1280, 400])
def test_a_drawing_keeps_its_place_before_it_is_there(visit: Visitors, width: int) -> None:
    """Or what stands below moves under the reader's eyes, and equations seem near that are not."""
    visitor = visit(viewport={"width": width, "height": 800})
    visitor.page.route("**/*.svg", lambda route: None)  # never answered
    page = visitor.open(ARTICLE)
    drawings = page.locator('.c-figure img[src$=".svg"]')
    assert drawings.count() > 0
    for drawing in drawings.all():
        shape = drawing.evaluate("one => [one.complete, one.width / one.height, one.width]")
        stated = [int(drawing.get_attribute(side) or 0) for side in ("width", "height")]
        assert not shape[0]
        assert shape[1] == pytest.approx(stated[0] / stated[1], rel=0.02)
        assert shape[2] > 200


def test_without_a_script_everything_is_there(visit: Visitors) -> None:
    page = visit(java_script_enabled=False).open(ARTICLE)
    for selector in (
        ".c-body > p",
        ".c-figure img",
        ".c-aside",
        ".c-references li",
        ".c-contents a",
    ):
        expect(page.locator(selector).first).to_be_visible()
    assert "\\frac" in page.locator(".c-equation").inner_text()
    expect(page.locator(".c-copy")).to_be_hidden()
    answer = page.locator(".c-answer").first
    answer.locator("summary").click()
    expect(answer.locator(".c-answer__text")).to_be_visible()
    page.locator(".c-cite").first.click()
    assert page.url.endswith(page.locator(".c-cite").first.get_attribute("href") or "-")


@both_palettes
def test_on_paper_it_is_black_on_white_with_every_answer(visit: Visitors, palette: str) -> None:
    page = visit(color_scheme=palette).open(ARTICLE)
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    page.emulate_media(media="print", color_scheme=palette)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    for selector in (".md-header", ".c-contents", ".c-copy", ".c-footer"):
        expect(page.locator(selector).first).to_be_hidden()
    expect(page.locator(".c-answer__text").first).to_be_visible()
    ground, ink = (
        page.locator("body").evaluate(f"node => getComputedStyle(node).{name}")
        for name in ("backgroundColor", "color")
    )
    assert ground == "rgb(255, 255, 255)"
    assert max(int(part) for part in re.findall(r"\d+", ink)[:3]) < 60
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator(".c-answer__text").first).to_be_hidden()


# What machines read.


def test_the_head_says_what_the_article_is(visit: Visitors, small_site: Site) -> None:
    page = visit().open(ARTICLE)
    stated = json.loads(page.locator('script[type="application/ld+json"]').text_content() or "")
    title = page.locator("h1").inner_text()
    assert stated["headline"] == title
    assert stated["@context"] == "https://schema.org"
    assert "ScholarlyArticle" in stated["@type"]
    content = "nodes => nodes.map(node => node.content)"
    assert page.locator('meta[name="citation_title"]').evaluate_all(content) == [title]
    authors = page.locator('meta[name="citation_author"]').evaluate_all(content)
    assert authors == [author["name"] for author in stated["author"]]
    assert authors
    assert page.locator('meta[property="og:title"]').evaluate_all(content) == [title]
    (image,) = page.locator('meta[property="og:image"]').evaluate_all(content)
    file = small_site.site / Path(ARTICLE).parent / "preview.jpg"
    assert image.endswith("preview.jpg")
    assert file.is_file()


# The slide view.


@both_origins
def test_slides_go_on_by_key_and_hold_the_whole_article(visit: Visitors, origin: str) -> None:
    page = visit(origin).open(SLIDES)
    expect(page.locator(".reveal.ready")).to_be_visible()
    article = visit(origin).open(ARTICLE)
    count = "selector => document.querySelectorAll(selector).length"
    for selector in ("figure", ".c-equation", ".c-exercise"):
        kept = page.evaluate(count, f".slides {selector}")
        assert kept == article.evaluate(count, f".c-body {selector}"), selector
    assert page.evaluate(count, "aside.notes") > 0
    total = page.evaluate("Reveal.getTotalSlides()")
    for number in range(1, total):
        page.keyboard.press("ArrowRight")  # no slide is skipped
        assert page.evaluate("Reveal.getSlidePastCount()") == number
        slide = page.locator(".slides section.present:not(.stack)").last
        bottom = slide.evaluate("node => node.scrollHeight")
        assert bottom <= 720, slide.inner_text()[:80]


@both_palettes
def test_axe_finds_nothing_on_a_slide(visit: Visitors, palette: str) -> None:
    page = visit(color_scheme=palette).open(SLIDES)
    expect(page.locator(".reveal.ready")).to_be_visible()
    page.keyboard.press("Space")
    page.keyboard.press("Space")
    assert violations(page) == []


def test_slides_without_a_script_stand_one_below_the_other(visit: Visitors) -> None:
    page = visit(java_script_enabled=False).open(SLIDES)
    heads = page.locator(".c-slide h2")
    assert heads.count() > 2
    tops = [heads.nth(n).bounding_box()["y"] for n in range(heads.count())]  # type: ignore[index]
    assert tops == sorted(set(tops))


def test_printed_as_the_guide_says_each_slide_is_a_page(visit: Visitors) -> None:
    page = visit().open(f"{SLIDES}?print-pdf")
    expect(page.locator(".reveal.ready")).to_be_visible()
    total = page.evaluate("Reveal.getTotalSlides()")
    expect(page.locator(".pdf-page")).to_have_count(total)
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == total > 5


def test_on_a_phone_held_upright_slides_can_be_read(visit: Visitors) -> None:
    page = visit(**PHONE).open(SLIDES)
    expect(page.locator(".c-slide__turn")).to_be_visible()
    expect(page.locator(".c-slide__keys")).to_be_hidden()
    sizes = page.locator(".c-slide :is(p, li, figcaption)").evaluate_all(
        "all => all.filter((n) => n.offsetParent).map((n) => parseFloat(getComputedStyle(n).fontSize))"
    )
    assert min(sizes) >= 13
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert violations(page) == []


# Terms.


@pytest.mark.parametrize(
    ("origin", "address"),
    [("server", HEAD), ("file", UNIT), ("server", DECODER), ("server", ARTICLE), ("file", ARTICLE)],
)
def test_a_term_says_what_it_means_and_leads_to_the_glossary(
    visit: Visitors, origin: str, address: str
) -> None:
    page = visit(origin).open(address)
    term, pop = page.locator(".c-term").first, page.locator(".c-pop")
    term.hover()
    expect(pop).to_be_visible()
    name = (term.get_attribute("href") or "").partition("#")[2]
    said = pop.inner_text()
    page.keyboard.press("Escape")
    expect(pop).to_be_hidden()
    term.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(pop).to_be_visible()
    page.keyboard.press("Enter")
    entry = page.locator(f"section#{name}")
    assert entry.locator("h2").inner_text() in said
    assert entry.locator("p").first.inner_text()[:40] in said


def test_a_term_opens_at_a_first_tap(visit: Visitors) -> None:
    page = visit(**PHONE).open(HEAD)
    term = page.locator(".c-term").first
    term.tap()
    pop = page.locator(".c-pop")
    expect(pop).to_be_visible()
    pop.get_by_text("In the glossary").tap()
    expect(page.locator("h1")).to_have_text("Glossary")


@pytest.mark.parametrize(("address", "least"), [(GLOSSARY, 6), (KINDS["classes"], 2)])
def test_equations_of_other_pages_can_be_set(visit: Visitors, address: str, least: int) -> None:
    page = visit().open(address)
    page.mouse.wheel(0, 400)
    expect(page.locator(".arithmatex:not([data-set])")).to_have_count(0)
    assert page.locator(".katex").count() >= least
    assert page.locator(".katex-error").count() == 0


def test_on_paper_terms_are_plain_text(visit: Visitors) -> None:
    page = visit().open(HEAD)
    page.emulate_media(media="print")
    term = page.locator(".c-term").first
    style = "node => { const s = getComputedStyle(node); return [s.textDecorationLine, s.color]; }"
    around = term.evaluate("node => getComputedStyle(node.parentElement).color")
    assert term.evaluate(style) == ["none", around]
