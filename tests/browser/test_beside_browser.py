"""Two models' pages beside each other: opened, scrolled and chosen together, from a server and from disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from accessibility import violations
from pages_under_test import Visitors
from playwright.sync_api import Frame, Page, expect
from small_site import Site

BESIDE = "compare/whole-pruned/beside/index.html"
HEAD, LACKED = "layers/1/heads/2/", "layers/0/heads/1/"
WIDE = {"width": 1440, "height": 900}
WAYS = pytest.mark.parametrize("way", ["server", "file"])


@pytest.fixture(scope="module")
def root(compared_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the comparison, in which one model lacks a page."""
    folder = tmp_path_factory.mktemp("beside") / "site"
    shutil.copytree(compared_site.site, folder)
    (folder / "models/pruned" / LACKED / "index.html").unlink()
    return folder


def frames(page: Page) -> list[Frame]:
    """The one before and the one after."""
    found = [page.frame(name=f"cutaway-beside-{name}") for name in ("before", "after")]
    assert all(found)
    return [one for one in found if one]


def wait_until(page: Page, what: Callable[[], bool]) -> None:
    """Look until it is so; a machine may be busy."""
    for _ in range(200):
        if what():
            return
        page.wait_for_timeout(50)
    raise AssertionError([one.url for one in page.frames])


def show(page: Page, path: str, both: bool = True) -> None:
    """Wait for the frames to show a page of their models."""
    ends = [f"models/{name}/{path}index.html" for name in ("whole", "pruned")]
    pairs = list(zip(range(2), ends, strict=True))[: 2 if both else 1]
    wait_until(
        page, lambda: all(frames(page)[n].url.split("#")[0].endswith(end) for n, end in pairs)
    )
    for number, _ in pairs:
        frames(page)[number].wait_for_load_state()


def over(page: Page, side: str) -> None:
    """Put the pointer over one of the frames."""
    box = page.locator(f"#{side} iframe").bounding_box()
    assert box
    page.mouse.move(box["x"] + 100, box["y"] + 200)
    page.mouse.move(box["x"] + 110, box["y"] + 210)


def line(frame: Frame) -> str:
    """The section that stands at the top of a frame, and how much of it is above, in tenths."""
    return str(
        frame.evaluate("""() => {
          const every = [...document.querySelectorAll("#c-content section[id]")];
          const at = every.filter((one) => one.getBoundingClientRect().top <= 90).at(-1);
          if (!at) return "";
          const { top, height } = at.getBoundingClientRect();
          return `${at.id} ${Math.round((90 - top) / height * 10)}`;
        }""")
    )


@WAYS
def test_both_frames_scroll_together_and_a_message_causes_no_other(
    visit: Visitors, way: str
) -> None:
    page = visit(way, viewport=WIDE).open(f"{BESIDE}#{HEAD}")
    show(page, HEAD)
    page.evaluate(
        "globalThis.heard = []; addEventListener('message', ({data}) => heard.push(data))"
    )
    one, other = frames(page)
    over(page, "before")
    page.mouse.wheel(0, 900)
    wait_until(page, lambda: other.evaluate("scrollY") > 300 and line(one) == line(other) != "")
    page.wait_for_timeout(400)
    told = page.evaluate("heard.length")
    page.wait_for_timeout(500)
    assert page.evaluate("heard.length") == told  # silence
    over(page, "after")
    before = one.evaluate("scrollY")
    page.mouse.wheel(0, -400)
    wait_until(page, lambda: one.evaluate("scrollY") < before - 100 and line(one) == line(other))


@WAYS
def test_what_is_chosen_in_one_is_chosen_in_the_other_and_stands_in_the_address(
    visit: Visitors, way: str
) -> None:
    visitor = visit(way, viewport=WIDE)
    page = visitor.open(BESIDE)
    show(page, "")
    alone = page.locator("#before h2 a").evaluate("link => link.href")
    assert str(alone).endswith("/models/whole/index.html")
    page.evaluate(f"location.hash = '{HEAD}'")
    show(page, HEAD)
    one, other = frames(page)
    over(page, "after")
    tabs = other.locator("[data-choice='text'] > .c-tabs__input:not(:checked) + .c-tabs__label")
    tabs.last.click()
    chosen = "[data-choice='text'] > .c-tabs__input:checked"
    value = other.locator(chosen).first.get_attribute("value") or ""
    wait_until(page, lambda: one.locator(chosen).first.get_attribute("value") == value)
    wait_until(page, lambda: page.url.endswith(f"#{HEAD}#text={value}"))
    again = visit(way, viewport=WIDE).open(f"{BESIDE}#{HEAD}#text={value}")
    show(again, HEAD)
    for frame in frames(again):
        expect(frame.locator(chosen).first).to_have_attribute("value", value)


@WAYS
def test_a_link_in_one_frame_is_followed_in_the_other(visit: Visitors, way: str) -> None:
    page = visit(way, viewport=WIDE).open(f"{BESIDE}#layers/1/")
    show(page, "layers/1/")
    frames(page)[0].locator("a[href*='heads/2/index.html']").first.click()
    show(page, HEAD)
    wait_until(page, lambda: page.url.endswith(f"#{HEAD}"))
    alone = page.locator("#after h2 a")
    assert str(alone.evaluate("link => link.href")).endswith(f"models/pruned/{HEAD}index.html")
    back = page.locator(".c-trail a").last
    assert str(back.get_attribute("href")) == "../index.html"


@WAYS
def test_a_page_that_one_model_lacks_is_said_to_be_missing(visit: Visitors, way: str) -> None:
    visitor = visit(way, viewport=WIDE)
    page = visitor.open(f"{BESIDE}#{LACKED}")
    show(page, LACKED, both=False)
    missing = page.locator("#after .c-beside__missing")
    expect(missing).to_have_text(f"Pruned has no page “{LACKED}”.")
    expect(page.locator("#before .c-beside__missing")).to_be_empty()
    frames(page)[0].evaluate("location.href = '../2/index.html'")
    show(page, "layers/0/heads/2/")
    expect(missing).to_be_empty()
    visitor.problems.clear()  # a browser complains of what it did not find


@pytest.mark.parametrize(
    "path", ["../pruned/", "..%2fpruned/", "%2e%2e/pruned/", "//example.org/", "a\\b/", "x?y/"]
)
def test_nothing_but_pages_below_the_models_is_opened(visit: Visitors, path: str) -> None:
    page = visit("server", viewport=WIDE).open(f"{BESIDE}#{path}")
    page.wait_for_timeout(300)
    for frame, name in zip(frames(page), ("whole", "pruned"), strict=True):
        assert f"/models/{name}/" in frame.url, frame.url


def test_messages_of_others_and_of_the_wrong_kind_are_not_heard(visit: Visitors) -> None:
    page = visit("server", viewport=WIDE).open(f"{BESIDE}#{HEAD}")
    show(page, HEAD)
    page.evaluate("postMessage({cutaway: 'beside', page: 'javascript:alert(1)'}, '*')")
    one, other = frames(page)
    over(page, "before")
    for what in (
        "{cutaway: 'beside', page: 'https://example.org/'}",
        "{cutaway: 'beside', page: new URL('../../../../../pruned/index.html', location).href}",
        "{cutaway: 'beside', scroll: {anchor: 1, share: 'x', whole: 2}}",
        "{cutaway: 'beside', state: {}}",
        "null",
    ):
        one.evaluate(f"parent.postMessage({what}, '*')")
    # A page hears its parent alone.
    one.evaluate("postMessage({cutaway: 'beside', state: 'text=nothing'}, '*')")
    page.wait_for_timeout(400)
    show(page, HEAD)
    assert page.url.endswith(f"#{HEAD}")
    assert "nothing" not in one.url and other.evaluate("scrollY") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_them_below_each_other_and_axe_finds_nothing(
    visit: Visitors, scheme: str
) -> None:
    phone = {"width": 360, "height": 740}
    page = visit("server", viewport=phone, color_scheme=scheme).open(f"{BESIDE}#{HEAD}")
    show(page, HEAD)
    boxes = [page.locator(f"#{name} iframe").bounding_box() for name in ("before", "after")]
    assert boxes[0] and boxes[1] and boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert violations(page) == []


@WAYS
def test_frames_have_the_palette_of_the_page_around(visit: Visitors, way: str) -> None:
    page = visit(way, viewport=WIDE).open(f"{BESIDE}#{HEAD}")
    show(page, HEAD)
    page.locator(".c-top__palette").first.click()
    scheme = page.evaluate("document.body.dataset.mdColorScheme")
    assert scheme == "slate"
    for frame in frames(page):
        expect(frame.locator("body")).to_have_attribute("data-md-color-scheme", scheme)
    frames(page)[0].evaluate("location.href = '../1/index.html'")
    show(page, "layers/1/heads/1/")
    for frame in frames(page):
        expect(frame.locator("body")).to_have_attribute("data-md-color-scheme", scheme)


def test_keys_reach_titles_and_frames(visit: Visitors) -> None:
    page = visit("server", viewport=WIDE).open(f"{BESIDE}#{HEAD}")
    show(page, HEAD)
    page.locator("#before h2 a").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "cutaway-beside-before"
    for _ in range(3):
        page.keyboard.press("PageDown")
    one, other = frames(page)
    wait_until(page, lambda: other.evaluate("scrollY") > 100 and line(one) == line(other))


def test_without_scripts_titles_lead_to_each_model(visit: Visitors) -> None:
    page = visit("server", java_script_enabled=False).open(BESIDE)
    assert page.locator("#after h2 a").get_attribute("href") == "../../../models/pruned/index.html"
    expect(page.get_by_text("need JavaScript")).to_be_visible()
