"""The maps of all states of training, run through in a real browser, as one file from disk."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from accessibility import violations
from filled import filled_page
from playwright.sync_api import Browser, Page, expect
from tiny_states import SHARES, lay_out, run_in

STATES = [f"at {share:g}" for share in SHARES]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run-through")
    widget = run_in(lay_out(folder), folder / "store").widget("training_maps")
    widget.save(folder / "maps.html")
    return (folder / "maps.html").as_uri()


def shown(page: Page) -> list[str]:
    """The alternatives that are seen, by their names."""
    every = page.locator(".c-choice").filter(visible=True).all()
    return [each.get_attribute("aria-label") or "" for each in every]


def test_keys_on_the_slider_run_through_the_states(browser: Browser, file: str) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(file)
    assert shown(page) == [f"State {STATES[0]}, On a text"]
    slider = page.get_by_role("slider", name="State")
    slider.press("ArrowRight")
    assert shown(page) == [f"State {STATES[1]}, On a text"]
    expect(slider).to_have_attribute("aria-valuetext", f"State {STATES[1]}")
    slider.press("End")
    assert shown(page) == [f"State {STATES[-1]}, On a text"]
    page.get_by_role("radio", name="random tokens that come twice").check()
    assert shown(page) == [f"State {STATES[-1]}, On random tokens that come twice"]
    picture = page.locator(".c-choice[data-shown] img")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    page.emulate_media(media="print")
    assert len(shown(page)) == 2 * len(SHARES)  # on paper all stand one below the other
    assert problems == []
    page.close()


@pytest.mark.slow
def test_maps_of_other_states_are_fetched_when_they_are_looked_at(tmp_path: Path) -> None:
    run = run_in(lay_out(tmp_path), tmp_path / "store")
    body = filled_page(run, f"models/{run.model.id}/training/index.html").body
    maps = re.findall(r'c-course">.*?(<img [^>]*>)', body, re.DOTALL)
    lazy = ['loading="lazy"' in one for one in maps]
    assert lazy == [False, *[True] * (2 * len(SHARES) - 1)]


def test_an_address_names_a_state(browser: Browser, file: str) -> None:
    page = browser.new_page()
    page.goto(f"{file}#run-tiny.state=at+0.6&run-tiny.on=random+tokens+that+come+twice")
    assert shown(page) == ["State at 0.6, On random tokens that come twice"]
    page.get_by_role("slider").press("ArrowLeft")
    page.get_by_role("slider").blur()
    assert "run-tiny.state=at+0" in page.url
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_room_and_axe_finds_nothing(browser: Browser, file: str, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page.goto(file)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert violations(page) == []
    page.close()


def test_without_scripts_every_state_is_there(browser: Browser, file: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file)
    assert len(shown(page)) == 2 * len(SHARES)
    context.close()
