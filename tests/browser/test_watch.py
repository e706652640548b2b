"""What is being written is shown as soon as it is saved: in a browser, from the shell of the built site."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import serving
from playwright.sync_api import Browser, Page, expect
from small_site import Site, build_here, read_exhibit, write_exhibit

from generator.preview import Preview
from generator.watch import watched

pytestmark = [pytest.mark.build, pytest.mark.browser]

FIRST = """---
title: First
description: An article that is being written.
---
The encoder has {{ stat("heads", "layer", model="encoder", of="count") }} heads. One word stands here.

{{ figure("attention_map", id="fig-map", model="encoder", layer=0, head=0, text="coreference") }}
"""
ADDRESS = "articles/first/index.html"


@pytest.fixture(scope="module")
def folder(seeded_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exhibit of two random networks, with an article, built."""
    folder = tmp_path_factory.mktemp("watched") / "exhibit"
    shutil.copytree(seeded_site.exhibit, folder)
    (folder / "writing" / "articles").mkdir(parents=True)
    (folder / "writing" / "articles" / "first.md").write_text(FIRST)
    write_exhibit(folder, read_exhibit(folder) | {"writing": "writing"})
    build_here(folder)
    return folder


@pytest.fixture(scope="module")
def preview(folder: Path) -> Iterator[Preview]:
    preview = Preview(folder, folder / "site", folder / "build", "cpu")
    with watched(preview):
        yield preview


@pytest.fixture
def page(preview: Preview, folder: Path, browser: Browser) -> Iterator[Page]:
    with serving(folder, preview) as address:
        context = browser.new_context(base_url=address)
        yield context.new_page()
        context.close()


def loaded(preview: Preview) -> list[str]:
    return [name for name, model in preview._models.items() if model.loaded]


def write(folder: Path, text: str, name: str = "first") -> None:
    (folder / "writing" / "articles" / f"{name}.md").write_text(text)


def test_a_word_appears_without_a_hand_and_a_mistake_with_file_and_line(page, folder, preview):
    page.goto(ADDRESS)
    expect(page.get_by_text("One word stands here.")).to_be_visible()
    # What is looked at may be edited next: what it names is made ready, and nothing else.
    for _ in range(300):
        if loaded(preview):
            break
        page.wait_for_timeout(100)
    assert loaded(preview) == ["encoder"]
    shell = page.locator(".c-top .c-mast__tools")
    expect(shell.locator("[hidden]")).to_have_count(0)  # its script has run
    built = page.locator(".c-top").inner_html()
    write(folder, FIRST.replace("One word", "Another word"))
    expect(page.get_by_text("Another word stands here.")).to_be_visible()
    assert loaded(preview) == ["encoder"]
    expect(shell.locator("[hidden]")).to_have_count(0)
    assert page.locator(".c-top").inner_html() == built  # the shell is the built one
    write(folder, FIRST.replace('model="encoder", of', 'model="encodr", of'))
    box = page.get_by_role("alert")
    expect(box).to_contain_text("first.md, line 5")
    expect(box).to_contain_text("encoder")  # the nearest name
    expect(page.get_by_text("Another word stands here.")).to_be_visible()  # the last good page
    write(folder, FIRST)
    expect(page.get_by_text("One word stands here.")).to_be_visible()
    expect(box).to_have_count(0)


def test_a_figure_s_parameter_draws_another_picture(page, folder):
    page.goto(ADDRESS)
    picture = page.locator("#fig-map img").first
    before = picture.evaluate("(image) => fetch(image.src).then((answer) => answer.text())")
    write(folder, FIRST.replace("head=0", "head=1"))
    expect(page.locator("#fig-map")).to_contain_text("L0H1")
    after = picture.evaluate("(image) => fetch(image.src).then((answer) => answer.text())")
    assert before != after and "<svg" in after
    write(folder, FIRST)


def test_a_new_article_and_a_new_text_are_there_and_nothing_else_is_made(page, folder, preview):
    write(folder, FIRST.replace("title: First", "title: Second"), "second")
    page.goto(ADDRESS)
    expect(page.get_by_role("link", name="Second").first).to_be_attached(timeout=60_000)
    page.goto("articles/second/index.html")
    expect(page.get_by_role("heading", name="Second")).to_be_visible()
    built = sorted(one for one in preview._made if one.startswith("models/"))
    assert built == []
    data = read_exhibit(folder)
    added = {"id": "added", "phenomenon": "A text that was added", "text": "The rain fell."}
    write_exhibit(folder, data | {"texts": [*data["texts"], added]})
    page.goto("models/encoder/index.html")
    expect(page.get_by_text("A text that was added").first).to_be_attached(timeout=60_000)
    pages = [one for one in preview._made if one.startswith("models/") and one.endswith(".html")]
    assert pages == ["models/encoder/index.html"]
    assert not list(folder.joinpath("site", "articles").glob("second*"))  # nothing was built
