"""The page of the building blocks in a real browser: by mouse, keyboard, finger, address, and unscripted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from accessibility import violations
from filled import any_pages
from noise_run import noise_run
from pages_under_test import Visitor
from playwright.sync_api import Locator, Page, expect
from tiny_blocks import LABELS, some_pixels, tiny_model

from generator.addresses import GALLERY, part_address
from generator.figures.building_blocks import COLUMNS, TILE
from generator.figures.figure import Drawing, Figure
from generator.figures.render import render
from generator.models.model import VisionModel
from generator.pages.context import Place
from generator.pages.environment import Pages
from generator.pages.page import Page as Page_
from generator.pages.part import BLOCKS
from generator.pages.sections import FilledSection
from generator.probes.building_blocks import (
    BuildingBlocks,
    blocks_layer,
    measure_building_blocks,
)
from generator.run import Run
from generator.site import Tree, lay_out_statics, run_builder
from generator.store import Store
from generator.techniques.blocks_view import blocks_view
from generator.techniques.channels import Channels

CHECKOUT = Path(__file__).parents[2]
PLACE = Place((), ())
ADDRESS = "models/tiny/building-blocks/index.html"
HOSTILE = "</script><img src=x onerror=alert(1)>"
SIDE = 9
both_origins = pytest.mark.parametrize("origin", ["server", "file"])


@dataclass(frozen=True)
class Built:
    """A site of one page, and what the page must say."""

    site: Path
    found: dict[str, BuildingBlocks]


def page_of(run: Run, found: dict[str, BuildingBlocks], channels: Channels) -> Page_:
    view = blocks_view(run, found, channels)
    section = FilledSection("building_blocks", "blocks", "sections/building_blocks.html", view)
    return any_pages().page(
        "topic.html",
        part_address(run.model.id, BLOCKS.key),
        BLOCKS.title,
        "",
        model=run.model,
        place=PLACE,
        kind=BLOCKS.key,
        heading=BLOCKS.title,
        lead=BLOCKS.lead.format(run.model.title),
        sections=(section,),
        tables=("building_blocks.csv", "building_groups.csv"),
    )


def some_channels() -> Channels:
    """Tiles of one colour each, all but one of them made, and unit pages."""
    colours = np.random.default_rng(1).integers(40, 255, (12, 1, 1, 3)).astype(np.uint8)
    tiles = np.repeat(np.repeat(colours, TILE, 1), TILE, 2)
    sheet = Drawing(
        "tile_sheet", {"tiles": tiles, "columns": COLUMNS}, ("models/tiny/blocks/channels.webp",)
    )
    return Channels(tiles, Figure(sheet, ""), made=11, linked=True)


def lay_out(work: Path, model: VisionModel, found: dict[str, BuildingBlocks]) -> Path:
    """The page of a model with tiles, features and unit pages, and that of one with none of these."""
    bare = replace(model, id="bare", paged=frozenset())
    made = [
        page_of(noise_run(model, work, found, HOSTILE), found, some_channels()),
        page_of(noise_run(bare, work, found, HOSTILE), {"one": found["one"]}, Channels()),
    ]
    wanted = {figure.drawing.paths: figure.drawing for page in made for figure, _ in page.figures()}
    drawn, _ = render(list(wanted.values()), work / "figures", 1, lambda: None)
    pages = Pages(CHECKOUT / "templates", drawn)
    tree = Tree(work / "docs")
    for page in made:
        tree.page(pages.fill(page))
    for address in (GALLERY, "figures/index.html", "glossary/index.html"):  # what the menu names
        tree.page(Page_(address, "A page", "", "", {}, searchable=False, body="<h1>A page</h1>"))
    tree.pictures(drawn)
    lay_out_statics(tree, work / "theme", CHECKOUT)
    run_builder(CHECKOUT / "mkdocs.yml", work, work / "site", "")
    return work / "site"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    work = tmp_path_factory.mktemp("blocks")
    model = tiny_model()
    layer, store = blocks_layer(model), Store(work / "store")
    found = {
        name: measure_building_blocks(model, name, some_pixels(seed), layer, store)
        for seed, name in enumerate(("one", "two"))
    }
    return Built(lay_out(work, model, found), found)


@pytest.fixture(scope="module")
def root(built: Built) -> Path:
    return built.site


def cell(page: Page, row: int, column: int) -> Locator:
    return page.locator("[role=gridcell]:visible").nth(row * SIDE + column)


def panel(page: Page) -> Locator:
    return page.locator(".c-blocks-cell:visible")


def thing(page: Page) -> Locator:
    return page.locator(".c-blocks-thing:visible")


def named_units(box: Locator) -> list[str]:
    return box.locator(".c-blocks-tiles li a").all_inner_texts()


def numbers(box: Locator, column: int = 0) -> list[float]:
    """The numbers of a column of bars, each drawn to its side of zero."""
    cells = box.locator(f".c-blocks-bars tbody tr td:nth-child({column + 2})")
    found = [float(text.replace("−", "-")) for text in cells.all_inner_texts()]
    against = cells.locator(".c-blocks-bar").evaluate_all(
        "all => all.map(one => one.classList.contains('c-blocks-bar--against'))"
    )
    assert against == [value < 0 for value in found]
    return found


def overlay(page: Page) -> np.ndarray:
    """What lies over the picture: (rows, columns, RGBA)."""
    pixels = page.locator(".c-blocks-stage:visible canvas").evaluate(
        """canvas => {
          const copy = new OffscreenCanvas(canvas.width, canvas.height);
          const context = copy.getContext("2d", { willReadFrequently: true });
          context.drawImage(canvas, 0, 0);
          return [...context.getImageData(0, 0, copy.width, copy.height).data];
        }"""
    )
    return np.array(pixels).reshape(SIDE, SIDE, 4)


def dictionary(blocks: BuildingBlocks, row: int, column: int) -> list[str]:
    return [f"unit {c}" for c in blocks.dictionary[row, column] if c >= 0]


def test_pointing_at_a_cell_shows_its_channels_and_its_classes(
    visit: Callable[..., Visitor], built: Built
) -> None:
    page = visit().open(ADDRESS)
    one = built.found["one"]
    expect(panel(page).locator("h3")).to_have_text("The whole picture")
    whole = numbers(panel(page), 1)
    np.testing.assert_allclose(whole, one.logits - one.silent, atol=0.02)
    for row, column in ((2, 3), (8, 8), (0, 5)):
        cell(page, row, column).hover()
        expect(panel(page).locator("h3")).to_have_text(f"Cell at row {row}, column {column}")
        assert named_units(panel(page)) == dictionary(one, row, column)
        support = one.of_cells(one.gradient)[:, row, column]
        np.testing.assert_allclose(numbers(panel(page)), support, rtol=1e-2, atol=1e-3)
    page.mouse.move(1, 1)  # what was seen last stays, so that its channels can be reached
    expect(panel(page).locator("h3")).to_have_text("Cell at row 0, column 5")
    assert "#" not in page.url


def test_pointing_at_a_channel_lays_its_map_over_the_picture(
    visit: Callable[..., Visitor], built: Built
) -> None:
    page = visit().open(ADDRESS)
    assert not overlay(page).any()
    cell(page, 4, 4).hover()
    tile = panel(page).locator(".c-blocks-tiles button").first
    tile.hover()
    one = built.found["one"]
    unit = int(one.dictionary[4, 4, 0])
    expect(thing(page).locator("h3")).to_have_text(f"Unit {unit}")
    response = one.response[unit]
    drawn = overlay(page)
    np.testing.assert_allclose(
        drawn[..., 3], 230 * np.abs(response) / np.abs(response).max(), atol=2
    )
    seen = drawn[..., 3] > 20
    assert (drawn[..., 0] > drawn[..., 2])[seen & (response > 0)].all()
    assert (drawn[..., 2] > drawn[..., 0])[seen & (response < 0)].all()
    support = one.of_channels(one.gradient)[:, unit]
    np.testing.assert_allclose(numbers(thing(page)), support, rtol=1e-2, atol=1e-3)
    page.mouse.move(1, 1)
    expect(thing(page)).to_be_empty()
    assert not overlay(page).any()
    link = panel(page).locator(".c-blocks-tiles a").first
    assert link.get_attribute("href") == f"../layers/cells/units/{unit}/index.html"


def test_a_channel_is_cut_from_the_sheet(visit: Callable[..., Visitor], built: Built) -> None:
    page = visit().open(ADDRESS)
    tops = built.found["one"].dictionary[..., 0]
    row, column = np.argwhere(tops >= 0)[0]
    cell(page, int(row), int(column)).hover()
    place = (
        panel(page)
        .locator(".c-blocks-tile")
        .first.evaluate(
            "n => [getComputedStyle(n).backgroundImage, getComputedStyle(n).backgroundPositionX]"
        )
    )
    assert place[0].endswith('/models/tiny/blocks/channels.webp")')
    assert float(place[1].removesuffix("%")) == pytest.approx(
        100 * tops[row, column] / 15, abs=0.01
    )


def test_groups_and_classes_show_map_and_effect(
    visit: Callable[..., Visitor], built: Built
) -> None:
    page = visit().open(ADDRESS)
    one = built.found["one"]
    page.get_by_role("button", name="2", exact=True).hover()
    expect(thing(page).locator("h3")).to_have_text("Group 2")
    values = one.groups.maps[1]
    np.testing.assert_allclose(overlay(page)[..., 3], 230 * values / values.max(), atol=2)
    for column, expected in enumerate(
        (one.groups.linear, one.groups.measured, one.groups.shuffled)
    ):
        np.testing.assert_allclose(numbers(thing(page), column), expected[1], rtol=1e-2, atol=1e-3)
    page.locator("[data-thing='class 1']:visible").hover()
    expect(thing(page).locator("h3")).to_have_text(one.labels[1])
    support = one.of_cells(one.gradient)
    share = 230 * np.abs(support[1]) / np.abs(support).max()
    np.testing.assert_allclose(overlay(page)[..., 3], share, atol=2)
    best = int(one.of_channels(one.gradient)[1].argmax())
    assert named_units(thing(page))[0] == f"unit {best}"


def test_without_tiles_and_unit_pages_a_channel_is_a_number(
    visit: Callable[..., Visitor], built: Built
) -> None:
    page = visit("file").open("models/bare/building-blocks/index.html")
    cell(page, 4, 4).click()
    listed = [str(c) for c in built.found["one"].dictionary[4, 4] if c >= 0]
    tiles = panel(page).locator(".c-blocks-tiles li")
    assert tiles.locator("button").all_inner_texts() == listed
    assert page.locator(".c-blocks a").count() == 0
    expect(page.get_by_role("button", name="the strongest channels")).to_have_count(0)
    expect(page.locator("table a, figcaption a")).to_have_count(0)


def test_the_other_attribution_can_be_chosen(visit: Callable[..., Visitor], built: Built) -> None:
    visitor = visit()
    page = visitor.open(f"{ADDRESS}#picture=one&cell=3.3")
    page.get_by_role("button", name="along the path").click()
    one = built.found["one"]
    support = one.of_cells(one.path)[:, 3, 3]
    np.testing.assert_allclose(numbers(panel(page)), support, rtol=1e-2, atol=1e-3)
    assert visitor.place == f"{ADDRESS}#picture=one&cell=3.3&by=path"


@both_origins
def test_what_is_kept_stands_in_the_address_and_back_takes_it_away(
    visit: Callable[..., Visitor], built: Built, origin: str
) -> None:
    visitor = visit(origin)
    page = visitor.open(ADDRESS)
    cell(page, 6, 2).click()
    assert visitor.place == f"{ADDRESS}#picture=one&cell=6.2"
    expect(cell(page, 6, 2)).to_have_attribute("aria-selected", "true")
    unit = int(built.found["one"].dictionary[6, 2, 0])
    panel(page).locator(".c-blocks-tiles button").first.click()
    assert visitor.place == f"{ADDRESS}#picture=one&cell=6.2&channel={unit}"
    cell(page, 0, 0).hover()
    expect(panel(page).locator("h3")).to_have_text("Cell at row 0, column 0")
    page.mouse.move(1, 1)
    expect(panel(page).locator("h3")).to_have_text("Cell at row 6, column 2")
    expect(thing(page).locator("h3")).to_have_text(f"Unit {unit}")
    page.go_back()
    expect(thing(page)).to_be_empty()
    expect(panel(page).locator("h3")).to_have_text("Cell at row 6, column 2")
    page.go_back()
    expect(panel(page).locator("h3")).to_have_text("The whole picture")
    page.go_forward()
    page.go_forward()
    expect(thing(page).locator("h3")).to_have_text(f"Unit {unit}")
    page.reload()
    expect(thing(page).locator("h3")).to_have_text(f"Unit {unit}")
    expect(panel(page).locator("h3")).to_have_text("Cell at row 6, column 2")


def test_an_address_opens_picture_cell_and_group(
    visit: Callable[..., Visitor], built: Built
) -> None:
    visitor = visit("file")
    page = visitor.open(f"{ADDRESS}#picture=two&cell=1.7&group=0")
    expect(panel(page).locator("h3")).to_have_text("Cell at row 1, column 7")
    assert named_units(panel(page)) == dictionary(built.found["two"], 1, 7)
    expect(thing(page).locator("h3")).to_have_text("Group 1")
    page.locator(".c-tabs__label[for=picture-one]").click()
    assert visitor.place == f"{ADDRESS}#picture=one&cell=1.7"  # groups are a picture's own
    assert named_units(panel(page)) == dictionary(built.found["one"], 1, 7)
    expect(thing(page)).to_be_empty()


STRANGE = (
    "cell=99.1", "cell=1", "cell=-1.2", "channel=500", "channel=__proto__", "group=6", "class=4",
    "class=1e1", "by=nonsense", "%", "cell=%E0%A4%A", "<img src=x onerror=alert(1)>",
)  # fmt: skip


def test_a_strange_address_does_no_harm(visit: Callable[..., Visitor]) -> None:
    page = visit("file").open(f"{ADDRESS}#{STRANGE[0]}")
    for hash_ in STRANGE:
        page.evaluate("hash => { location.hash = hash; }", hash_)
        expect(panel(page).locator("h3")).to_have_text("The whole picture")
        expect(thing(page)).to_be_empty()
    cell(page, 1, 1).click()
    expect(panel(page).locator("h3")).to_have_text("Cell at row 1, column 1")


def test_the_keyboard_does_it_all(visit: Callable[..., Visitor], built: Built) -> None:
    visitor = visit()
    page = visitor.open(ADDRESS)
    page.locator("#picture-one").focus()
    page.keyboard.press("Tab")
    where = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(where).startswith("Row 0, column 0: ")
    for key, row, column in (
        ("ArrowRight", 0, 1), ("ArrowDown", 1, 1), ("End", 1, 8), ("ArrowRight", 1, 8),
        ("ArrowUp", 0, 8), ("ArrowUp", 0, 8), ("Home", 0, 0), ("ArrowDown", 1, 0),
    ):  # fmt: skip
        page.keyboard.press(key)
        assert page.evaluate(where).startswith(f"Row {row}, column {column}: ")
        expect(panel(page).locator("h3")).to_have_text(f"Cell at row {row}, column {column}")
    assert page.locator("[role=gridcell]:visible[tabindex='0']").count() == 1
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) != "none"
    page.keyboard.press("Enter")
    assert visitor.place == f"{ADDRESS}#picture=one&cell=1.0"
    tile = panel(page).locator(".c-blocks-tiles button").first
    for _ in range(30):
        page.keyboard.press("Tab")
        if tile.evaluate("one => one === document.activeElement"):
            break
    unit = int(built.found["one"].dictionary[1, 0, 0])
    expect(thing(page).locator("h3")).to_have_text(f"Unit {unit}")
    page.keyboard.press("Enter")
    assert visitor.place == f"{ADDRESS}#picture=one&cell=1.0&channel={unit}"
    assert tile.evaluate("one => one === document.activeElement")  # the place is not lost
    expect(tile).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    assert visitor.place == f"{ADDRESS}#picture=one"
    assert page.evaluate("document.activeElement !== document.body")


def test_escape_in_what_it_removes_goes_back_to_the_grid(visit: Callable[..., Visitor]) -> None:
    page = visit().open(f"{ADDRESS}#picture=one&cell=2.2&group=1")
    thing(page).locator(".c-blocks-tiles button").first.focus()
    page.keyboard.press("Escape")
    expect(thing(page)).to_be_empty()
    assert page.evaluate("document.activeElement.getAttribute('role')") == "gridcell"


def test_within_a_group_a_channel_changes_the_map_and_not_the_panel(
    visit: Callable[..., Visitor], built: Built
) -> None:
    page = visit().open(f"{ADDRESS}#picture=one&group=1")
    before = overlay(page)
    thing(page).locator(".c-blocks-tiles button").nth(1).hover()
    expect(thing(page).locator("h3")).to_have_text("Group 2")
    response = built.found["one"].response[
        int(np.argsort(-built.found["one"].groups.weights[1])[1])
    ]
    share = 230 * np.abs(response) / np.abs(response).max()
    np.testing.assert_allclose(overlay(page)[..., 3], share, atol=2)
    page.mouse.move(1, 1)
    np.testing.assert_array_equal(overlay(page), before)


def test_a_finger_can_choose_on_a_narrow_screen(
    visit: Callable[..., Visitor], built: Built
) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    visitor = visit(**phone)
    page = visitor.open(ADDRESS)
    cell(page, 5, 3).tap()
    assert visitor.place == f"{ADDRESS}#picture=one&cell=5.3"
    assert named_units(panel(page)) == dictionary(built.found["one"], 5, 3)
    page.get_by_role("button", name="3", exact=True).tap()
    expect(thing(page).locator("h3")).to_have_text("Group 3")
    assert visitor.place == f"{ADDRESS}#picture=one&cell=5.3&group=2"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for button in page.locator(".c-blocks:visible button").all():
        size = button.bounding_box()
        assert size is not None and size["height"] >= 24 and size["width"] >= 24


@pytest.mark.parametrize(("palette", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_nothing(visit: Callable[..., Visitor], palette: str, width: int) -> None:
    visitor = visit(color_scheme=palette, viewport={"width": width, "height": 900})
    page = visitor.open(f"{ADDRESS}#picture=one&cell=4.4&group=1")
    assert violations(page) == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_fits_the_screen(visit: Callable[..., Visitor], width: int) -> None:
    visitor = visit("file", viewport={"width": width, "height": 900})
    for place in ("cell=4.4&group=1", "class=0", "channel=3&by=path"):
        page = visitor.open(ADDRESS)
        page.evaluate("place => { location.hash = place; }", place)
        expect(thing(page).locator("h3")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_a_script_the_figures_and_tables_say_it(
    visit: Callable[..., Visitor], built: Built
) -> None:
    page = visit(java_script_enabled=False).open(ADDRESS)
    expect(page.locator(".c-blocks:visible, .c-blocks-hint:visible")).to_have_count(0)
    one = built.found["one"]
    for ending in ("cells", "class-0", "groups", "group-5"):
        expect(page.locator(f"img[src$='blocks/one-{ending}.webp']")).to_be_visible()
    rows = page.locator("table.c-blocks-groups:visible tbody tr")
    assert rows.count() == 7
    for row, values in enumerate(one.groups.measured):
        texts = rows.nth(row).locator("td:nth-of-type(3n)").all_inner_texts()
        np.testing.assert_allclose(
            [float(t.replace("−", "-")) for t in texts], values, rtol=0.06, atol=0.006
        )
    page.locator(".c-tabs__label[for=picture-two]").click()
    expect(page.locator("img[src$='blocks/two-cells.webp']")).to_be_visible()
    expect(page.locator("img[src$='blocks/one-cells.webp']")).to_be_hidden()


def test_hostile_labels_stay_text(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    page = visitor.open(ADDRESS)
    for index in range(4):
        page.locator(f"[data-thing='class {index}']:visible").click()
        assert thing(page).locator("h3").inner_text() in LABELS
    assert page.locator("[onerror], img[src=x]").count() == 0
    assert HOSTILE in page.locator(".cutaway").inner_text()
    assert [url for url in visitor.requests if url.endswith("/x")] == []


def test_the_page_is_small(built: Built) -> None:
    assert (built.site / ADDRESS).stat().st_size < 100_000


def test_a_network_without_a_grid_gets_a_sentence(tmp_path: Path) -> None:
    model = tiny_model()
    nothing = measure_building_blocks(model, "one", some_pixels(), None, Store(tmp_path))
    made = page_of(noise_run(model, tmp_path, ["one"]), {"one": nothing}, Channels())
    page = Pages(CHECKOUT / "templates", {}).fill(made)
    assert nothing.reason in page.body and "<script" not in page.body
