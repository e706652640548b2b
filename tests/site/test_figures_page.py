"""The gallery of figures: what it shows stands where it says, and it can be filtered."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from filled import quoted
from pages_under_test import Visitors
from PIL import Image
from playwright.sync_api import expect
from small_site import Site

from generator.articles.kinds import KINDS
from generator.pages.figures import MOST, groups_of
from generator.techniques import TECHNIQUES

GALLERY = "figures/index.html"


class Gallery(HTMLParser):
    """The figures of the gallery: technique, model, target and thumbnail."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.figures: list[dict[str, str]] = []
        self._technique = self._model = self._target = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "section":
            self._technique = named["id"]
        elif tag == "li":
            self._model = named.get("data-model", "")
        elif tag == "a":
            self._target = named.get("href", "")
        elif tag == "img" and self._model:
            place = {"technique": self._technique, "model": self._model, "target": self._target}
            self.figures.append({**named, **place})


@pytest.fixture(scope="module")
def figures(small_site: Site) -> list[dict[str, str]]:
    return Gallery((small_site.site / GALLERY).read_text(encoding="utf-8")).figures


def test_each_figure_stands_on_the_page_and_in_the_section_that_it_leads_to(small_site, figures):
    folder = small_site.site / "figures"
    for figure in figures:
        path, _, section = figure["target"].partition("#")
        page = quoted((folder / path).resolve().read_text(encoding="utf-8"))
        shown = page.partition(f'id="{section}"')[2] if section else page
        # A thumbnail is called after its picture; a chart is the picture itself.
        name = Path(figure["src"]).stem.removeprefix(f"{figure['model']}-")
        stood = {path.rsplit(".", 1)[0] for path in re.findall(r'<img src="([^"]+)"', shown)}
        assert any(each.replace("../", "").replace("/", "-").endswith(name.rsplit("-", 1)[-1])
                   for each in stood), figure  # fmt: skip


def test_every_technique_that_this_site_uses_is_there(figures):
    shown = {figure["technique"] for figure in figures}
    vision = {
        "class-maps", "grad-cam", "integrated-gradients", "filters", "activation-maps", "evolution",
        "deconvolution", "features", "feature-classes", "feature-sets", "deep-dream",
        "building-blocks", "controls",
    }  # fmt: skip
    language = {"attention", "readings", "rollout", "atlas", "decoding", "words"}
    assert shown == vision | language | {"signal", "recognition", "pictures"}
    for technique in shown:
        for model in ("efficientnet-lite0", "minilm-l6", "smollm2-135m"):
            seen = [
                f for f in figures if f["class"] != "c-on-dark"
            ]  # a figure of two palettes once
            count = sum((f["technique"], f["model"]) == (technique, model) for f in seen)
            assert count <= MOST + 1, (technique, model)  # and one of an article


def test_every_kind_of_figure_of_articles_is_in_one_group():
    groups = groups_of(TECHNIQUES)
    assert (
        len({group.key for group in groups}) == len({group.name for group in groups}) == len(groups)
    )
    counts = {kind: sum(kind in group.kinds for group in groups) for kind in KINDS}
    assert counts == dict.fromkeys(KINDS, 1) | {"three_words": 0}  # made of no model


def test_figures_of_articles_lead_to_their_place(small_site, figures):
    told = [one for one in figures if "/articles/" in one["target"]]
    targets = {one["target"].partition("articles/")[2]: one for one in told}
    assert set(targets) == {f"tour/index.html#{name}" for name in ("fig-cam", "fig-2", "fig-map")}
    cam = targets["tour/index.html#fig-cam"]
    assert (cam["technique"], cam["model"]) == ("class-maps", "efficientnet-lite0")
    page = (small_site.site / GALLERY).read_text(encoding="utf-8")
    assert "In “A tour of &lt;em&gt;three&lt;/em&gt; networks”" in page
    assert "../guide/" not in "".join(one["target"] for one in figures)


def test_thumbnails_are_small_lazy_and_sized(small_site, figures):
    for figure in figures:
        assert figure["loading"] == "lazy"
        assert int(figure["width"]) > 0
        assert int(figure["height"]) > 0
        path = (small_site.site / "figures" / figure["src"]).resolve()
        if path.suffix == ".webp":
            assert path.stat().st_size < 40_000, path
            with Image.open(path) as image:
                assert image.size == (2 * 176, 2 * 128)
    assert (small_site.site / GALLERY).stat().st_size < 150_000


@pytest.mark.parametrize("origin", ["server", "file"])
def test_the_gallery_is_filtered_and_the_choice_is_an_address(visit: Visitors, origin: str) -> None:
    visitor = visit(origin)
    page = visitor.open(GALLERY)
    items = page.locator(".c-shown li:visible")
    every = items.count()
    page.get_by_label("Model").select_option("smollm2-135m")
    of_model = items.count()
    assert 0 < of_model < every
    assert set(items.evaluate_all("all => all.map((i) => i.dataset.model)")) == {"smollm2-135m"}
    assert page.locator(".c-shown h2:visible").count() < page.locator(".c-shown h2").count()
    page.get_by_label("Technique").select_option("attention")
    assert 0 < items.count() < of_model
    assert visitor.place == f"{GALLERY}#technique=attention&model=smollm2-135m"
    expect(page.get_by_role("status")).to_have_text(f"{items.count()} figures")
    page.reload()
    assert page.get_by_label("Technique").input_value() == "attention"
    page.get_by_label("Technique").select_option("deep-dream")
    expect(page.get_by_role("status")).to_have_text("0 figures")
    page.get_by_label("Technique").select_option("")
    page.get_by_label("Shown in").select_option("articles")
    expect(page.get_by_role("status")).to_have_text("1 figure")
    assert visitor.place == f"{GALLERY}#model=smollm2-135m&place=articles"
    page.get_by_label("Model").select_option("")
    expect(page.get_by_role("status")).to_have_text("3 figures")
    visitor.open("index.html")
    page = visitor.open(f"{GALLERY}#technique=nonsense")
    assert page.locator(".c-shown li:visible").count() == every
    page.locator(".c-shown li a").first.click()
    expect(page.locator("h1")).not_to_have_text("Figures")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_photograph_with_words_is_shown_for_its_ground(visit: Visitors, scheme: str) -> None:
    page = visit(color_scheme=scheme).open(f"{GALLERY}#technique=class-maps&place=articles")
    shown = page.locator("#class-maps li:visible img:visible")
    expect(shown).to_have_count(1)
    expect(shown).to_have_attribute("class", re.compile(f"c-on-{scheme}"))


def test_the_gallery_is_whole_without_a_script(visit: Visitors) -> None:
    page = visit(java_script_enabled=False).open(GALLERY)
    expect(page.locator(".c-filter")).to_be_hidden()
    assert page.locator(".c-shown li:visible").count() == page.locator(".c-shown li").count() > 40
