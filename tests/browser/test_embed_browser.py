"""A component of a page in a frame of another: the control that gives it, and the page with nothing else."""

from __future__ import annotations

import re
import shlex

import pytest
from accessibility import violations
from pages_under_test import ARTICLE, HEAD, KINDS, UNIT, Visitor
from playwright.sync_api import Page, expect

# Where components are shown, with the name of each, what is the component, and what must go.
SHOWN = {
    HEAD: ("maps", ".c-attention"),
    KINDS["decoder layer"]: ("heads", ".c-attention"),
    KINDS["all heads"]: ("heads", ".c-attention"),
    KINDS["atlas"]: ("atlas", ".c-atlas"),
    KINDS["building blocks"]: ("blocks", ".c-blocks"),
    KINDS["block"]: ("units", ".c-sheet"),
}


def offered(page: Page, name: str) -> tuple[str, str, str]:
    """The frame to copy, the address of the page alone, and the command, as a reader finds them."""
    control = page.locator(f".c-embed[data-name={name}]")
    for _ in range(3):  # a click misses where what is drawn above moves the control from under it
        if control.locator("details[open]").count() == 0:
            control.get_by_text("Embed", exact=True).click()
    code = control.get_by_label("Frame to copy")
    expect(code).to_have_value(re.compile("<iframe"))
    alone = control.get_by_role("link", name="Open it alone")
    return code.input_value(), alone.get_attribute("href"), control.locator("code").inner_text()


@pytest.mark.parametrize("address", SHOWN)
def test_a_page_gives_its_component_to_other_pages(visit, address: str) -> None:
    visitor: Visitor = visit("file")
    name, host = SHOWN[address]
    page = visitor.open(address)
    _, alone, _ = offered(page, name)
    page.goto(
        f"{alone.replace('#', '&palette=dark#', 1) if '#' in alone else alone + '&palette=dark'}"
    )
    expect(page.locator(f"{host}:visible")).to_have_count(1)
    expect(page.locator(".c-alone__source")).to_contain_text("Made with Cutaway.")
    for gone in ("h2", "header", ".md-footer, .c-footer", "nav", ".c-tabs__label", ".c-embed"):
        assert page.locator(gone).locator("visible=true").count() == 0, gone
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"


def test_axe_finds_nothing_in_a_page_with_nothing_else(visit) -> None:
    page = visit("server").open(f"{HEAD}?embed=maps")
    expect(page.locator(".c-alone__source")).to_be_visible()
    assert violations(page) == []


def test_the_frame_and_the_command_say_what_was_chosen(visit) -> None:
    page = visit("server").open(f"{HEAD}#text=code")
    page.locator(".c-attention:visible [data-view=map]").click()
    code, alone, command = offered(page, "maps")
    assert violations(page) == []
    assert f'src="{alone.replace("&", "&amp;")}"' in code and "?embed=maps#" in alone
    assert {"text=code", "view=map"} <= {*alone.partition("#")[2].split("&")}
    words = shlex.split(command)
    assert words[:3] == ["cutaway", "figure", "head_view"] and words[-2:] == [
        "-o",
        "head_view.html",
    ]
    assert words[3:-2] == [
        *("--model", "smollm2-135m", "--layer", "3", "--head", "4", "--text", "code"),
    ]
    page.evaluate("(code) => { document.open(); document.write(code); document.close(); }", code)
    inside = page.frame_locator("iframe")
    expect(inside.locator(".c-attention[data-ready]:visible")).to_have_count(1)
    expect(inside.locator("[data-view=map]:visible")).to_have_attribute("aria-pressed", "true")
    page.wait_for_function(
        "(was) => document.querySelector('iframe').getAttribute('height') !== was",
        arg=re.search(r'height="(\d+)"', code)[1],
    )


def test_a_component_of_an_article_alone(visit) -> None:
    page = visit("file").open(ARTICLE)
    name = page.locator(".c-embed").first.get_attribute("data-name")
    _, alone, command = offered(page, name)
    assert command.startswith("cutaway figure ") and " --model " in command
    page.goto(alone)
    expect(page.locator(".c-alone__source")).to_be_visible(timeout=30_000)
    assert page.locator("h2, .c-front").locator("visible=true").count() == 0


def test_without_a_script_the_control_is_a_link_and_the_page_whole(visit) -> None:
    page = visit("file", java_script_enabled=False).open(f"{HEAD}?embed=maps")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".c-embed a")).to_have_attribute("href", "?embed=maps")


def test_pages_without_components_load_nothing_for_them(visit) -> None:
    visitor: Visitor = visit("server")
    visitor.open(UNIT)
    assert not [url for url in visitor.requests if "embed" in url]
