"""Choices of an article in a browser: by mouse, keys and touch, in the address, on slides and paper."""

from __future__ import annotations

from pathlib import Path

import pytest
from accessibility import violations
from pages_under_test import Visitors
from playwright.sync_api import Locator, Page, expect

from generator.articles.bibliography import Bibliography
from generator.articles.catalogue import Catalogue
from generator.articles.pages import article_pages
from generator.articles.read import read_article
from generator.articles.source import read_source
from generator.exhibit import Exhibit
from generator.figures.render import render
from generator.pages.environment import Pages
from generator.paths import data_root
from generator.site import Tree, lay_out_statics, run_builder

CNN = 'model="efficientnet-lite0"'
TEXT = (
    "---\ntitle: Knobs\ndescription: D\nslides: true\n---\n\n## Turn\n\nSee {{ ref('fig-maps') }}.\n\n"
    '{% call(c) choose(id="maps", count=[1, 2, 3, 4, 5, 6], layer=["conv_stem", "classifier"]) %}\n'
    f'{{{{ figure("activation_maps", id="fig-maps", {CNN}, layer="conv_stem", image="cat", '
    "count=c.count) }}\n\n"
    "Said of {{ c.layer }} and {{ c.count }}.\n{% endcall %}\n\n## Read\n\n"
    + "Words and words.\n\n"
    * 60
    + '{% call(c) choose(word=["</b><i>a", "b", "ç d", "e&f", "g=h"]) %}The word is {{ c.word }}.'
    "{% endcall %}\n\nEnd.\n"
)
ARTICLE, SLIDES = "articles/knobs/index.html", "articles/knobs/slides/index.html"
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
both_palettes = pytest.mark.parametrize("palette", ["light", "dark"])


@pytest.fixture(scope="module")
def root(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of one article, by the real builder."""
    folder = tmp_path_factory.mktemp("knobs")
    path = folder / "knobs.md"
    path.write_text(TEXT, encoding="utf-8")
    article = read_article(read_source(path, "articles"), catalogue, Bibliography())
    exhibit = Exhibit.model_construct(title="E", base=folder, site_url="")
    pictures, _ = render(article.drawings, catalogue.store.root / "figures", 1, lambda: None)
    pages, tree = Pages(data_root() / "templates", pictures), Tree(folder / "build" / "docs")
    for page in article_pages([article], exhibit, pages):
        tree.page(pages.fill(page))
    tree.put("index.md", b"---\ntitle: E\n---\n\nHome\n")
    tree.pictures(pictures)
    lay_out_statics(tree, folder / "build" / "theme", data_root())
    config = folder / "mkdocs.yml"
    config.write_text(f"INHERIT: {data_root() / 'mkdocs.yml'}\nnav: [{{Gallery: index.md}}]\n")
    run_builder(config, folder / "build", folder / "site", "")
    return folder / "site"


def shown(page: Page, name: str = "maps") -> list[str]:
    """The places of the combinations that are seen."""
    choices = page.locator(f"#{name} > .c-choice")
    return [one.get_attribute("data-places") or "" for one in choices.all() if one.is_visible()]


def slider(page: Page) -> Locator:
    return page.locator("#maps input[type=range]")


@pytest.mark.parametrize("origin", ["server", "file"])
def test_a_slider_buttons_and_a_menu_swap_what_is_shown_and_the_address_keeps_it(
    visit: Visitors, origin: str
) -> None:
    page = visit(origin).open(ARTICLE)
    assert shown(page) == ["0 0"]
    assert page.url.endswith(ARTICLE)  # nothing was chosen yet
    assert slider(page).get_attribute("aria-valuetext") == "Count 1"
    slider(page).focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert shown(page) == ["2 0"]
    assert slider(page).get_attribute("aria-valuetext") == "Count 3"
    expect(page.locator("#maps output")).to_have_text("3")
    page.locator("#maps label", has_text="classifier").click()
    assert shown(page) == ["2 1"]
    expect(page.locator("#maps .c-choice:visible p", has_text="Said")).to_have_text(
        "Said of classifier and 3."
    )
    assert page.url.endswith("#maps.count=3&maps.layer=classifier")
    page.locator("#choose-2 select").select_option(label="</b><i>a")
    page.locator("#choose-2 select").select_option(label="ç d")
    assert shown(page, "choose-2") == ["2"]
    assert "maps.layer=classifier" in page.url

    other = visit(origin).open(
        page.url.split("/site/")[-1] if origin == "file" else page.url.split("/", 3)[3]
    )
    assert (shown(other), shown(other, "choose-2")) == (["2 1"], ["2"])
    assert slider(other).get_attribute("aria-valuetext") == "Count 3"
    other.reload()
    assert shown(other) == ["2 1"]


def test_an_address_leads_to_the_choice_and_what_it_does_not_know_changes_nothing(
    visit: Visitors,
) -> None:
    page = visit(viewport={"width": 1440, "height": 900}).open(ARTICLE + "#choose-2.word=e%26f")
    expect(page.locator("#choose-2 select")).to_be_in_viewport()
    assert shown(page, "choose-2") == ["3"]
    for odd in (
        "#maps.count=99&maps.layer=none",
        "#maps.count",
        "#%",
        "#%E0%A4%A",
        "#=&=",
        "#__proto__.count=1",
    ):
        page.goto("about:blank")
        page = visit().open(ARTICLE + odd)
        assert shown(page) == ["0 0"]
    page.evaluate("location.hash = 'maps.count=6'")  # a link within the page
    expect(page.locator("#maps > [data-places='5 0']")).to_be_visible()
    assert shown(page) == ["5 0"]


def test_a_link_to_a_hidden_figure_shows_it_and_one_to_the_figure_changes_nothing(
    visit: Visitors,
) -> None:
    page = visit(viewport={"width": 1440, "height": 900}).open(ARTICLE + "#fig-maps.8")
    assert shown(page) == ["3 1"]
    expect(page.locator("[id='fig-maps.8']")).to_be_in_viewport()
    page.locator(".c-ref").first.click()
    assert shown(page) == ["3 1"]
    expect(slider(page)).to_be_in_viewport()
    slider(page).focus()
    page.keyboard.press("ArrowLeft")
    assert page.url.endswith(
        "#maps.count=3&maps.layer=classifier"
    )  # the place has left the address


def test_only_what_is_shown_is_fetched_before_somebody_chooses(visit: Visitors) -> None:
    visitor = visit()
    page = visitor.open(ARTICLE)
    page.wait_for_load_state("networkidle")
    maps = {url for url in visitor.requests if "fig-maps" in url}
    assert len(maps) == 1
    slider(page).hover()
    page.wait_for_load_state("networkidle")
    maps = {url for url in visitor.requests if "fig-maps" in url}
    assert len(maps) == 12  # in the palette that is seen
    assert not [url for url in maps if "-dark" in url]


def test_without_a_script_all_of_it_is_there(visit: Visitors) -> None:
    page = visit(java_script_enabled=False).open(ARTICLE)
    assert len(shown(page)) == 12
    assert len(shown(page, "choose-2")) == 5
    assert not page.locator(".c-choose__bar").first.is_visible()
    names = page.locator("#maps .c-choice__values")
    assert [names.nth(n).is_visible() for n in (0, 11)] == [True, True]
    assert " ".join(names.nth(11).inner_text().split()) == "Count 6 Layer classifier"
    slides = visit(java_script_enabled=False).open(SLIDES)
    assert len(shown(slides)) == 12


def test_on_paper_all_of_it_is_there_under_its_values(visit: Visitors) -> None:
    page = visit().open(ARTICLE)
    page.emulate_media(media="print")
    assert len(shown(page)) == 12
    assert not page.locator(".c-choose__bar").first.is_visible()
    assert page.locator("#maps .c-choice__values").last.is_visible()
    page.emulate_media(media="screen")
    assert shown(page) == ["0 0"]


def test_nothing_moves_when_the_script_comes(visit: Visitors) -> None:
    visitor = visit()
    visitor.context.route("**/choose.js", lambda route: route.abort())
    heights = []
    for page in (visitor.open(ARTICLE), visit().open(ARTICLE)):
        page.wait_for_load_state("load")
        assert shown(page) == ["0 0"]
        heights.append(page.evaluate("document.documentElement.scrollHeight"))
    assert heights[0] == heights[1]
    visitor.problems.clear()  # the script that was held back


@both_palettes
def test_axe_finds_nothing_and_a_finger_can_choose_on_a_phone(
    visit: Visitors, palette: str
) -> None:
    page = visit(color_scheme=palette, **PHONE).open(ARTICLE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("#maps label", has_text="classifier").tap()
    assert shown(page) == ["0 1"]
    box = slider(page).bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + box["width"] - 6, box["y"] + box["height"] / 2)
    assert shown(page) == ["5 1"]
    for control in page.locator(".c-choose__bar :is(input, select, label > span)").all():
        size = control.bounding_box()
        assert size and size["height"] >= 24
    assert violations(page) == []
    assert violations(visit(color_scheme=palette).open(ARTICLE)) == []


def test_on_a_slide_the_keys_turn_the_knob_that_has_them(visit: Visitors) -> None:
    page = visit(viewport={"width": 1280, "height": 720}).open(SLIDES)
    page.wait_for_function("Reveal.isReady()")
    page.evaluate("""() => {
      const { h, v } = Reveal.getIndices(document.querySelector('#maps').closest('.c-slide'));
      Reveal.slide(h, v);
    }""")
    slide = here(page)
    slider(page).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert (shown(page), here(page)) == (["2 0"], slide)
    page.locator("#maps label", has_text="classifier").click()
    page.keyboard.press("ArrowLeft")
    assert (shown(page), here(page)) == (["2 0"], slide)
    assert page.evaluate("document.querySelector('#maps').closest('.c-slide').scrollHeight") <= 720
    assert violations(page) == []
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    assert here(page) != slide  # the next one


def here(page: Page) -> str:
    """Which slide is shown."""
    return page.evaluate("JSON.stringify(Reveal.getIndices())")
