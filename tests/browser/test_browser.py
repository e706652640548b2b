"""The built site in a real browser, as a reader meets it: from a server and from a folder."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from accessibility import violations
from pages_under_test import (
    DECODER,
    HEAD,
    KINDS,
    LAYER,
    NEXT_HEAD,
    POINTWISE,
    UNIT,
    Profiles,
    Visitors,
)
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from small_site import HOSTILE

both_origins = pytest.mark.parametrize("origin", ["server", "file"])
both_palettes = pytest.mark.parametrize("palette", ["light", "dark"])


# Tests share browsers, and must not know it.


@both_origins
def test_a_visitor_finds_the_browser_as_new(
    profiles: Profiles, roots: dict[str, str], origin: str
) -> None:
    kept = """() => [localStorage.length, sessionStorage.length, document.cookie, history.length,
      performance.getEntriesByType("resource").filter((each) => each.transferSize === 0
        && each.decodedBodySize > 0 && each.name.startsWith("http")).length]"""
    leave = """() => { localStorage.a = sessionStorage.a = document.cookie = "a=1";
      history.pushState(null, "", "#a"); }"""
    found = []
    for _ in range(2):
        visitors = Visitors(profiles, roots)
        visitor = visitors(origin, locale="en-GB")
        page = visitor.open(LAYER)
        found.append((visitor._context, page.evaluate(kept), page.viewport_size))
        page.set_viewport_size({"width": 360, "height": 740})
        page.evaluate(leave)
        assert page.evaluate("[localStorage.a, sessionStorage.a]") == ["a=1", "a=1"]
        assert visitors.close() == []
    assert found[0] == found[1]  # the same browser profile, with nothing of before


# Nothing is missing, nothing complains.

DRAW_ALL_PICTURES = """async () => {
  const pictures = [...document.images];
  for (const picture of pictures) picture.loading = "eager";
  await Promise.all(pictures.map((picture) => picture.complete
    || new Promise((done) => { picture.onload = picture.onerror = done; })));
  const skewed = (p) => p.clientWidth && Math.abs(
    p.clientWidth / p.clientHeight * p.naturalHeight / p.naturalWidth - 1) > 0.03;
  return {
    count: pictures.length,
    broken: pictures.filter((picture) => !picture.naturalWidth || skewed(picture))
      .map((picture) => picture.src),
    nameless: pictures.filter((picture) => picture.getAttribute("alt") === null)
      .map((picture) => picture.src),
  };
}"""


def test_all_pictures_are_drawn_and_nothing_complains(visit: Visitors) -> None:
    visitor = visit("file")  # axe visits the same pages from a server
    for kind, address in KINDS.items():
        found = visitor.open(address).evaluate(DRAW_ALL_PICTURES)
        bare = {
            "context",
            "dictionaries",
            "section",
            "pictures",
            "own text",
        }  # stripes of its own; tables; lists of articles and of authors; what a reader types
        assert found["count"] > 0 or kind in bare, kind
        assert not found["broken"], kind
        assert not found["nameless"], kind
    assert visitor.problems == []
    assert len(visitor.requests) > 5 * len(KINDS)


def test_every_page_opens_quietly_from_the_folder(visit: Visitors, root: Path) -> None:
    visitor = visit("file")
    # The page for missing addresses is for servers: it cannot know where it is shown.
    pages = sorted({path.relative_to(root) for path in root.rglob("*.html")} - {Path("404.html")})
    assert len(pages) > 150
    opened, asked = few_of_each_kind(pages) - {Path(one) for one in KINDS.values()}, 0
    assert 20 < len(opened) < 100
    for path in pages:
        # Lean pages have a script of their own for the palette, leaf pages one for all of their header.
        own = [f'javascripts/{name}.js"' for name in ("cutaway", "palette", "mast")]
        text = (root / path).read_text(encoding="utf-8")
        assert any(name in text for name in own), path
        if path not in opened:
            continue
        visitor.open(path.as_posix())
        assert visitor.problems == [], path
        asked += sum(name in text for name in own)
    scripts = tuple(f"javascripts/{name}.js" for name in ("cutaway", "palette", "mast"))
    assert len([url for url in visitor.requests if url.endswith(scripts)]) == asked


def few_of_each_kind(pages: list[Path]) -> set[Path]:
    """The first and last of pages whose addresses differ in numbers alone; any other page.

    One between them is in KINDS, which another test opens from the folder."""
    alike: dict[Path, list[Path]] = {}
    for path in pages:
        kind = Path(*("N" if part.isdigit() else part for part in path.parts))
        alike.setdefault(kind, []).append(path)
    return {group[i] for group in alike.values() for i in (0, -1)}


def test_the_page_for_missing_addresses_opens_quietly_from_a_server(visit: Visitors) -> None:
    expect(visit().open("404.html").locator("h1")).to_contain_text("404")


# Everyone can read it.


# In the dark the colours alone are others: these pages have those of another kind.
ALIKE = {"encoder", "stem", "depthwise", "fully connected", "encoder layer", "all heads", "block"}
# The palette, the width of the screen that a page is loaded on, and that of the window afterwards.
SCREENS = [("light", 1280, 1920), ("dark", 360, 768)]


@pytest.mark.parametrize(("palette", "width", "later"), SCREENS)
def test_axe_finds_nothing_and_the_page_fits_the_screen(
    visit: Visitors, palette: str, width: int, later: int
) -> None:
    visitor = visit(color_scheme=palette)
    found = {}
    for kind, address in KINDS.items():
        visitor.page.set_viewport_size({"width": width, "height": 800})
        page = visitor.open(address)
        assert scheme(page) == {"light": "default", "dark": "slate"}[palette]
        if palette == "light" or kind not in ALIKE:
            found[kind] = violations(page)
        fits(page, width, kind)
        page.set_viewport_size({"width": later, "height": 800})
        fits(page, later, kind)
    assert {kind: report for kind, report in found.items() if report} == {}


OVERFLOWING = """() => {
  const content = document.querySelector(".cutaway").getBoundingClientRect();
  const boxed = (node) => {
    for (let up = node.parentElement; up && !up.matches(".cutaway"); up = up.parentElement)
      if (/auto|scroll|hidden/.test(getComputedStyle(up).overflowX)) return true;
    return false;
  };
  return [...document.querySelectorAll(".cutaway *")].filter((node) => {
    const box = node.getBoundingClientRect();
    const beyond = box.right > content.right + 1 || box.left < content.left - 1;
    return box.width && beyond && (node.matches("caption") || !boxed(node));
  }).map((node) => node.outerHTML.slice(0, 120));
}"""


def fits(page: Page, width: int, kind: str) -> None:
    """Nothing is wider than the screen, and the title stands below the header, within reach."""
    said = f"{kind}, {width} wide"
    assert page.evaluate("document.documentElement.scrollWidth") <= width, said
    assert page.evaluate(OVERFLOWING) == [], said
    heading = page.locator("h1")
    header, box = page.locator(".md-header, .c-top").bounding_box(), heading.bounding_box()
    assert header is not None and box is not None
    assert box["y"] >= header["y"] + header["height"], said
    assert box["y"] + box["height"] < 800, said
    heading.click(trial=True)  # nothing lies over it


def scheme(page: Page) -> str | None:
    return page.locator("body").get_attribute("data-md-color-scheme")


@pytest.mark.parametrize(
    ("origin", "palette"), [("server", "light"), ("server", "dark"), ("file", "light")]
)
def test_the_palette_button_turns_the_page_over(visit: Visitors, palette: str, origin: str) -> None:
    other = {"light": "slate", "dark": "default"}[palette]
    visitor = visit(origin, color_scheme=palette)
    page = visitor.open(LAYER)
    page.locator("form[data-md-component=palette] label:visible, .c-top__palette").click()
    expect(page.locator("body")).to_have_attribute("data-md-color-scheme", other)
    expect(page.locator("body")).not_to_have_attribute("data-md-color-switching", "")
    if origin == "server":  # axe reads the styles anew, which a folder forbids
        assert violations(page) == []
    assert scheme(visitor.open(DECODER)) == other  # it is remembered


@pytest.mark.parametrize(("origin", "palette"), [("server", "light"), ("file", "dark")])
def test_a_unit_s_palette_button_is_remembered(visit: Visitors, palette: str, origin: str) -> None:
    other = {"light": "slate", "dark": "default"}[palette]
    visitor = visit(origin, color_scheme=palette)
    page = visitor.open(UNIT)
    page.locator(".c-top__palette").click()
    assert scheme(page) == other
    assert scheme(visitor.open(KINDS["block"])) == other
    assert scheme(visitor.open(UNIT)) == other


@pytest.mark.parametrize("origin", ["server", "file"])
def test_a_network_runs_on_the_page_that_was_built(visit: Visitors, origin: str) -> None:
    page = visit(origin).open("models/efficientnet-lite0/try/index.html")
    page.get_by_role("button", name="Load the model").click()
    page.locator(".c-live-example").first.click()
    expect(page.locator(".c-live-guesses li").first).to_contain_text("%", timeout=120_000)


def test_a_contact_sheet_can_be_put_in_order_and_leads_to_units(visit: Visitors) -> None:
    page = visit().open(KINDS["block"])
    tiles = page.locator(".c-contact a")
    places = "tiles => tiles.map(t => [t.textContent, getComputedStyle(t).backgroundPosition])"
    before = dict(tiles.evaluate_all(places))
    assert list(before) == [str(unit) for unit in range(24)]
    assert len(set(before.values())) == 24
    for name in (
        "most often active first",
        "units alike together",
        "by what the best exemplar shows",
    ):
        page.get_by_role("button", name=name).click()
        after = dict(tiles.evaluate_all(places))
        assert after == before  # every tile keeps its picture
        assert list(after) != list(before), name
    page.get_by_role("button", name="by number").click()
    assert list(dict(tiles.evaluate_all(places))) == list(before)
    page.get_by_role("link", name="5", exact=True).last.click()
    expect(page.locator("h1")).to_have_text("blocks.1.0 unit 5")


@both_palettes
def test_axe_finds_nothing_in_the_open_search(visit: Visitors, palette: str) -> None:
    visitor = visit(color_scheme=palette)
    results = search(visitor.open("index.html"), "layer")
    expect(results.first).to_be_visible()
    visitor.page.wait_for_timeout(400)  # the dialog fades in
    assert violations(visitor.page) == []


def luminance(colours: np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB colours 0 to 255, after WCAG 2."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def contrast(colours: np.ndarray, ground: np.ndarray) -> np.ndarray:
    one, other = luminance(colours), luminance(ground)
    return (np.maximum(one, other) + 0.05) / (np.minimum(one, other) + 0.05)


def rgb(colour: str) -> np.ndarray:
    """The numbers of a computed colour without transparency."""
    assert colour.startswith("rgb("), colour
    return np.array([float(part) for part in colour[4:-1].split(",")])


def style(locator: Locator, name: str) -> str:
    return locator.evaluate("(node, name) => getComputedStyle(node)[name]", name)


# Where a picture has nothing but text on its ground: the tokens left of a map, the whole of a chart.
INK = {
    "head map": (HEAD, ".c-tabs__panel:visible img.ink", 0.08),
    "signal of a transformer": (DECODER, "#signal img.ink", 1.0),
    "signal of a CNN": (KINDS["vision model"], "#signal img.ink", 1.0),
    "heads at a glance": (DECODER, "#heads img.ink", 0.03),
    "activity": (POINTWISE, "#activity img.ink", 1.0),
}


@both_palettes
@pytest.mark.parametrize("picture", INK)
def test_drawings_are_legible(visit: Visitors, picture: str, palette: str) -> None:
    address, selector, share = INK[picture]
    page = visit(color_scheme=palette).open(address)
    page.add_style_tag(content=".md-header, .c-top { display: none; }")
    ground = rgb(style(page.locator("body"), "backgroundColor"))
    assert (luminance(ground) > 0.5) == (palette == "light")
    drawing = page.locator(selector).first
    drawing.evaluate("(node) => { node.loading = 'eager'; return node.decode(); }")
    with Image.open(BytesIO(drawing.screenshot())) as shot:
        pixels = np.asarray(shot.convert("RGB"), dtype=float)
    edge = np.concatenate([pixels[0], pixels[:, 0], pixels[-1]])
    assert contrast(edge, ground).max() < 1.2  # no box of another colour around it
    text = contrast(pixels[:, : int(pixels.shape[1] * share)], ground)
    assert 0.002 < (text >= 4.5).mean() < 0.4  # and ink that can be read


# Tabs.


def tabs(page: Page) -> list[str]:
    """What the tabs of the page are called in its address."""
    return page.locator(".c-tabs__input").evaluate_all("all => all.map(one => one.value)")


def chosen(page: Page) -> str:
    """The tab that is chosen; its panel, and only its, is visible."""
    inputs = page.locator(".c-tabs__input")
    states = inputs.evaluate_all("all => all.map(one => one.checked)")
    panels = page.locator(".c-tabs__panel")
    shown = [panels.nth(i).is_visible() for i in range(panels.count())]
    assert shown == states
    assert sum(states) == 1
    return tabs(page)[states.index(True)]


def choose(page: Page, value: str) -> None:
    page.locator(f".c-tabs__label[for$='-{value}']").click()


@both_origins
def test_a_tab_is_chosen_kept_and_carried_on(visit: Visitors, origin: str) -> None:
    visitor = visit(origin)
    page = visitor.open(HEAD)
    assert chosen(page) in tabs(page)  # the one on which the head shows best what it does
    choose(page, "code")
    assert chosen(page) == "code"
    assert visitor.place == f"{HEAD}#text=code"
    expect(page.locator(".c-tabs__panel:visible blockquote")).to_contain_text("def mean")
    page.reload()
    assert chosen(page) == "code"

    page.locator("a[rel=next]").click()
    expect(page.locator("h1")).to_have_text("L3H5")
    assert visitor.place.partition("#")[0] == NEXT_HEAD
    assert chosen(page) == "code"
    page.go_back()
    expect(page.locator("h1")).to_have_text("L3H4")
    assert visitor.place == f"{HEAD}#text=code"
    assert chosen(page) == "code"


def test_an_address_opens_a_tab(visit: Visitors) -> None:
    visitor = visit()
    page = visitor.open(f"{HEAD}#text=code")
    assert chosen(page) == "code"
    page.evaluate("location.hash = '#text=hostile'")
    expect(page.locator("#text-hostile")).to_be_checked()
    assert chosen(page) == "hostile"
    page = visitor.open(f"{LAYER}#text=code")
    assert chosen(page) == "code"


def test_arrow_keys_move_through_the_tabs(visit: Visitors) -> None:
    visitor = visit()
    page = visitor.open(HEAD)
    keys = tabs(page)
    page.locator(f"#text-{keys[0]}").focus()
    page.keyboard.press("ArrowRight")
    assert chosen(page) == keys[1]
    page.keyboard.press("ArrowDown")
    assert chosen(page) == keys[2]
    page.keyboard.press("ArrowLeft")
    assert chosen(page) == keys[1]
    assert visitor.place == f"{HEAD}#text={keys[1]}"


@pytest.mark.parametrize("address", [HEAD, LAYER, POINTWISE])
def test_tabs_work_without_a_script(visit: Visitors, address: str) -> None:
    page = visit(java_script_enabled=False).open(address)
    labels, panels = page.locator(".c-tabs__label"), page.locator(".c-tabs__panel")
    for current in range(labels.count()):
        labels.nth(current).click()
        shown = [panels.nth(i).is_visible() for i in range(panels.count())]
        assert shown == [i == current for i in range(labels.count())]
        # Heads are drawn on one text; on the others their numbers stand, and above them the way to the layer.
        expect(panels.nth(current).locator("img, .c-links").first).to_be_visible()
    if address == HEAD:
        expect(page.locator("noscript p a").first).to_be_visible()


STRANGE = (
    "text=nonsense",
    "text=",
    "picture=code",
    "%",
    "text=%E0%A4%A",
    "text=a&text=code",
    'text="]</script><img src=x onerror=alert(1)>',
    "text=%22%5D%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
    "<img src=x onerror=alert(1)>",
)


def test_a_strange_hash_does_no_harm(visit: Visitors) -> None:
    visitor = visit()
    own = chosen(visitor.open(HEAD))
    for hash_ in STRANGE:
        visitor.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        visitor.page.goto("data:text/html,")  # from a page to itself, nothing is loaded anew
        page = visitor.open(f"{HEAD}#{hash_}")
        assert chosen(page) == own, hash_
        choose(page, "code")
        assert chosen(page) == "code", hash_
        assert "text=code" in visitor.place
        assert page.locator("img[onerror]").count() == 0
        page.reload()
        assert chosen(page) == "code", hash_


def test_a_link_lies_over_each_head_and_keeps_the_text(visit: Visitors) -> None:
    visitor = visit()
    page = visitor.open(LAYER)
    choose(page, "code")
    panel = page.locator(".c-tabs__panel:visible")
    sheet, links = panel.locator("img"), panel.locator(".c-heads__links a")
    sheet.scroll_into_view_if_needed()
    assert links.count() == 9
    box = sheet.bounding_box()
    assert box is not None
    # The sheet shows the heads row by row.
    columns = int(
        panel.locator(".c-heads").evaluate("box => box.style.getPropertyValue('--columns')")
    )
    rows = -(-links.count() // columns)
    for head in range(links.count()):
        row, column = divmod(head, columns)
        middle = (
            box["x"] + box["width"] * (column + 0.5) / columns,
            box["y"] + box["height"] * (row + 0.5) / rows,
        )
        over = "([x, y]) => document.elementFromPoint(x, y)?.closest('a')?.innerText"
        assert page.evaluate(over, middle) == f"L3H{head}"
    links.nth(4).click()
    expect(page.locator("h1")).to_have_text("L3H4")
    assert visitor.place == f"{HEAD}#text=code"
    assert chosen(page) == "code"


def test_hidden_maps_are_fetched_when_they_are_chosen(visit: Visitors) -> None:
    visitor = visit()
    page = visitor.open(POINTWISE)

    def fetched() -> list[str]:
        asked = [url.rsplit("/", 1)[-1] for url in visitor.requests]
        return [name for name in asked if name.startswith("maps-")]

    keys = tabs(page)
    assert len(keys) > 1
    expect_drawn(page.locator(".c-tabs__panel:visible .c-figure img"))
    page.locator("footer").scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    assert fetched() == [f"maps-{keys[0]}.webp"]
    choose(page, keys[1])
    assert chosen(page) == keys[1]
    expect_drawn(page.locator(".c-tabs__panel:visible .c-figure img"))
    assert fetched() == [f"maps-{key}.webp" for key in keys[:2]]
    assert visitor.place == f"{POINTWISE}#picture={keys[1]}"


def expect_drawn(picture: Locator) -> None:
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("picture => picture.naturalWidth") > 0


# Search.


def search(page: Page, words: str) -> Locator:
    """Ask the box that every page has, and go on from it into the text of all pages."""
    page.get_by_role("button", name="Jump or search").click()
    page.keyboard.type(words)
    page.locator(".c-jump__option", has_text="in the text of all pages").click()
    return page.locator(".md-search-result__link")


@pytest.mark.parametrize(
    ("origin", "words", "address", "heading"),
    [
        ("server", "blocks", KINDS["block"], "blocks.1.0"),
        ("server", "blocks.1.0.conv_pw", POINTWISE, "blocks.1.0.conv_pw"),
        ("server", "SmolLM2", DECODER, "SmolLM2-135M"),
        ("file", "blocks.1.0.conv_pw", POINTWISE, "blocks.1.0.conv_pw"),
    ],
)
def test_search_finds_a_page(
    visit: Visitors, origin: str, words: str, address: str, heading: str
) -> None:
    visitor = visit(origin)
    results = search(visitor.open("index.html"), words)
    expect(results.first).to_be_visible()
    targets = results.evaluate_all("links => links.map(link => link.href.split(/[?#]/)[0])")
    assert visitor.root + address in targets
    results.nth(targets.index(visitor.root + address)).click()
    expect(visitor.page.locator("h1")).to_have_text(heading)
    assert visitor.place.startswith(address)


# Screens.

# Of each section the boxes of its title, its first paragraph, and the first small figure with its caption.
BOXES = """[...document.querySelectorAll(".cutaway > section")].map((section) =>
    ["h2", "p", ".c-figure--small > .c-scroll", ".c-figure--small > figcaption"].map((part) =>
        section.querySelector(`:scope > ${part}`)?.getBoundingClientRect()))"""


@pytest.mark.parametrize("kind", ["decoder", "unit", "head", "pointwise"])
def test_titles_and_captions_stand_beside_the_text_where_there_is_room(
    visit: Visitors, kind: str
) -> None:
    page = visit(viewport={"width": 1280, "height": 800}).open(KINDS[kind])
    sections = page.evaluate(BOXES)
    beside = [(title, text) for title, text, _, _ in sections if title and text]
    assert beside
    for title, text in beside:
        assert title["right"] <= text["left"]
    for _, _, picture, caption in sections:
        assert not (picture and caption) or picture["right"] <= caption["left"]
    page.set_viewport_size({"width": 360, "height": 740})
    for title, text in ((title, text) for title, text, _, _ in page.evaluate(BOXES)):
        if title and text:
            assert title["bottom"] <= text["top"] and title["left"] == text["left"]


def test_what_is_wide_scrolls_in_its_own_box(visit: Visitors) -> None:
    page = visit(viewport={"width": 360, "height": 740}).open(HEAD)
    page.locator("#statistics summary").click()
    for box in (page.locator(".c-scroll:visible"), page.locator("#statistics .c-table")):
        box.scroll_into_view_if_needed()
        assert box.evaluate("box => box.scrollWidth > box.clientWidth + 20")
        box.evaluate("box => box.scrollTo(1e6, 0)")
        assert box.evaluate("box => box.scrollLeft") > 20
    assert page.evaluate("scrollX") == 0


def test_a_finger_can_choose(visit: Visitors) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    visitor = visit(**phone)
    for address in (HEAD, POINTWISE):
        page = visitor.open(address)
        key = tabs(page)[1]
        label = page.locator(f".c-tabs__label[for$='-{key}']")
        size = label.bounding_box()
        assert size is not None
        assert size["height"] >= 24  # WCAG 2.5.8
        label.tap()
        assert chosen(page) == key
    page.goto(visitor.root + LAYER)
    page.locator(".c-tabs__panel:visible .c-heads__links a").nth(4).tap()
    expect(page.locator("h1")).to_have_text("L3H4")


# Other people's text stays text.


def test_hostile_text_stays_text(visit: Visitors) -> None:
    visitor = visit()
    visitor.context.add_init_script("window.alert = () => { window.broken = true; };")
    start = HOSTILE.partition(" {{")[0]
    for address in (HEAD, LAYER, DECODER, KINDS["encoder"], KINDS["encoder layer"]):
        page = visitor.open(f"{address}#text=hostile")
        scripts = ".cutaway script:not([src]):not([type='application/json'])"
        assert page.locator(f"[onerror], img[src=x], {scripts}, .cutaway i").count() == 0
        assert start in page.locator(".cutaway").inner_text(), address
        assert page.evaluate("window.broken") is None
    assert [url for url in visitor.requests if url.endswith("/x")] == []

    page = visitor.open(f"{HEAD}#text=hostile")
    quote = page.locator(".c-tabs__panel:visible blockquote").inner_text()
    assert start in quote
    assert "{{ 7 * 7 }} {% raw %}&lt; ![a](b) \U0001f408 日本語" in quote
    expect(page.locator("label[for=text-hostile]")).to_have_text("<i>Hostile</i> text")
    tokens = page.locator(".c-tabs__panel:visible .c-links td code")
    assert tokens.count() > 0


# Keyboard and paper.

FOCUSED = """() => {
  const node = document.activeElement;
  const shown = node.matches(".c-tabs__input") ? node.nextElementSibling : node;
  const { outlineStyle, outlineWidth } = getComputedStyle(shown);
  return {
    inside: Boolean(node.closest(".cutaway")),
    kind: node.closest(".c-strip") ? "strip" : node.matches(".c-tabs__input") ? "tab"
      : node.matches(".c-scroll") ? "figure" : node.closest(".c-heads__links") ? "sheet"
      : node.closest(".c-around") ? "neighbour" : node.closest(".c-footer") ? "footer" : "other",
    html: node.outerHTML.slice(0, 100),
    visible: outlineStyle !== "none" && parseFloat(outlineWidth) > 0,
  };
}"""


@pytest.mark.parametrize(
    ("address", "kinds"),
    [
        (HEAD, {"strip", "tab", "figure", "neighbour", "footer"}),
        (KINDS["encoder layer"], {"strip", "tab", "sheet", "figure", "neighbour", "footer"}),
        (POINTWISE, {"strip", "tab", "figure", "neighbour", "footer"}),
    ],
)
def test_the_keyboard_reaches_everything(visit: Visitors, address: str, kinds: set[str]) -> None:
    page = visit().open(address)
    met, hidden = set(), []
    for _ in range(150):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        met.add(focused["kind"])
        if focused["inside"] and not focused["visible"]:
            hidden.append(focused["html"])
        if focused["kind"] == "footer":
            break
    assert kinds <= met
    assert hidden == []


def test_the_keyboard_scrolls_a_figure(visit: Visitors) -> None:
    page = visit(viewport={"width": 360, "height": 740}).open(HEAD)
    figure = page.locator(".c-scroll:visible")
    figure.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.activeElement.scrollLeft > 0")


@both_palettes
def test_paper_shows_what_matters(visit: Visitors, palette: str) -> None:
    page = visit(color_scheme=palette).open(HEAD)
    page.emulate_media(media="print")
    for selector in (".c-strip", ".c-around", ".c-tabs__label", ".md-header, .c-top"):
        expect(page.locator(selector).first).to_be_hidden()
    for selector in ("h1", ".c-tabs__panel img", "#statistics table"):
        expect(page.locator(selector).first).to_be_visible()
    # Browsers print text in its colour and leave out the ground.
    paper = np.array([255.0, 255.0, 255.0])
    for selector in ("h1", "h2", ".c-lead", ".c-prose", "td", "figcaption", ".c-lead a"):
        ink = rgb(style(page.locator(f".cutaway {selector}").first, "color"))
        assert contrast(ink, paper) >= 4.5, selector
    assert style(page.locator("img.ink").first, "filter") == "none"
