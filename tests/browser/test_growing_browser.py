"""A site is looked at while it is made: what is there, what is still being measured, and then the whole."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from browsing import serving
from playwright.sync_api import Browser, expect
from small_site import Run, cutaway_here

from generator.unfinished import growing, is_finished, wait_for_pages

pytestmark = [pytest.mark.build, pytest.mark.browser]

ADDRESS = "models/encoder/index.html"


def test_a_site_grows_before_the_reader_s_eyes(growing_exhibit: Path, browser: Browser) -> None:
    folder, done = growing_exhibit, list[Run]()

    def build() -> None:
        done.append(cutaway_here("build", folder, "--jobs", "1"))

    building = threading.Thread(target=build)
    building.start()
    while not (folder / "build" / "progress.txt").is_file() and building.is_alive():
        building.join(0.1)
    wait_for_pages(folder)  # as `cutaway serve` does
    site = folder / "site"
    with serving(site, growing(site)) as address:
        context = browser.new_context(base_url=address)
        page = context.new_page()
        try:
            page.goto(ADDRESS)
            says = page.locator("#slow")
            expect(says).to_contain_text("Still being measured: Slow counting")
            expect(page.get_by_text("This site is not finished").first).to_be_visible()
            expect(page.locator("#c-making")).to_contain_text("Probes: encoder: counting slowly")
            missing = context.new_page()  # which the finished site has
            missing.goto("models/encoder/card/index.html")
            expect(missing.locator("#c-making")).to_contain_text("still being made")
            (folder / "go").touch()
            expect(says).to_contain_text("All in all 1770.", timeout=120_000)
            expect(page.get_by_text("This site is not finished")).to_have_count(0)
            expect(page.locator("#c-making")).to_have_count(0)
            expect(missing.get_by_role("heading", name="Model card")).to_be_visible()
        finally:
            (folder / "go").touch()
            building.join()
            context.close()
    assert done[0].code == 0, done[0].out + done[0].err
    assert "The first pages are there" in done[0].out
    assert is_finished(site)
