"""A zip of the site, unpacked anywhere and opened from disk: it reads, searches, jumps and plays."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages_under_test import DECODER, HEAD, UNIT, Profiles, Visitors
from playwright.sync_api import Browser, expect
from small_site import Site

expect.set_options(timeout=20_000)  # a busy machine is no fault of the site


@pytest.fixture
def visit(browser: Browser, small_site: Site, tmp_path: Path) -> Iterator[Visitors]:
    """Visitors of a copy that went through a zip, in a folder with a name that a reader might choose."""
    packed, place = tmp_path / "site.zip", tmp_path / "Übung 3 (von Anna)"
    with zipfile.ZipFile(packed, "w") as archive:  # not deflated, which takes seconds
        for path in small_site.site.rglob("*"):
            archive.write(path, path.relative_to(small_site.site))
    shutil.unpack_archive(packed, place)
    roots = {"file": f"{place.as_uri()}/"}
    visitors = Visitors(Profiles(browser, roots.values()), roots)
    yield visitors
    # Anything that is missing, fails, or is asked of another place than this folder.
    assert visitors.close() == []


def test_a_zip_reads_searches_jumps_and_plays(visit: Visitors) -> None:
    visitor = visit("file")
    page = visitor.open("index.html")

    # It reads: from the gallery to an article, with its figures.
    page.get_by_role("link", name="Articles").first.click()
    page.get_by_role("link", name="A tour of").first.click()
    figure = page.locator("figure img:visible").first
    figure.scroll_into_view_if_needed()
    expect(figure).to_have_js_property("complete", True)
    assert figure.evaluate("picture => picture.naturalWidth") > 0

    # It searches articles, and layers.
    for words, part in (
        ("tour", "articles/tour/"),
        ("blocks.1.0.conv_pw", "layers/blocks.1.0.conv_pw/"),
    ):
        page = visitor.open("index.html")
        page.get_by_role("button", name="Jump or search").click()
        page.keyboard.type(words)
        page.locator(".c-jump__option", has_text="in the text of all pages").click()
        expect(page.locator(f".md-search-result__link[href*='{part}']").first).to_be_visible()

    # It jumps, from a page without search too.
    for start, words, heading in (
        (DECODER, "L3H4", "L3H4"),
        (UNIT, "tour", "A tour of"),
    ):
        page = visitor.open(start)
        page.keyboard.press("j")
        page.get_by_role("combobox", name="Jump to").fill(words)
        option = page.get_by_role("dialog").get_by_role("option").first
        expect(option).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text(heading)

    # It plays: the views of a head, whose numbers lie in scripts.
    page = visitor.open(HEAD)
    for view in ("Map", "Lines"):
        button = page.get_by_role("button", name=view, exact=True).first
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".c-attention:visible :is(canvas, svg):visible").first).to_be_visible()
