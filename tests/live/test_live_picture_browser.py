"""A reader's own picture in a real browser: computed there, shown, and held against PyTorch."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import live_pages
import numpy as np
import pytest
import torch
from accessibility import violations
from live_bench import encoded
from pages_under_test import SENT, Visitor, received
from PIL import Image, ImageOps
from playwright.sync_api import Page, expect
from tiny_vision import save
from torch import Tensor

import cutaway
from generator.exhibit_yaml import load_exhibit
from generator.figures.overlay import heated
from generator.inputs.images import pixels_of, square_of
from generator.models.layer import Layer
from generator.probes.class_maps import measure_class_maps
from generator.probes.patch_attention import UNIT, of_readers
from generator.run import Run
from generator.techniques.live import LIVE, try_address

CHECKOUT = Path(__file__).parents[2]
PHOTOS = CHECKOUT / "site_src/inputs/images"
CNN, DIGITS, VIT = "efficientnet-lite0", "digits", "vit"
STEP = 1e-4  # of the largest, in which the page states how near it is
LIMIT = 10
HOSTILE = "<img src=x onerror=alert(1)>.png"
both_origins = pytest.mark.parametrize("origin", ["server", "file"])

_EXHIBIT = """
models:
  - {{id: vit, source: {vit}}}
  - id: digits
    source: train:digits@64
    images: {digits}
  - id: efficientnet-lite0
    source: {cnn}
    architecture: timm:tf_efficientnet_lite0
    preprocessing: {{size: 128, crop: 0.875, mean: 0.4980392156862745, std: 0.5019607843137255}}
    make: {{features: 0, classes: 0}}
images:
  - {{file: {photos}/cat.jpg, label: tabby cat}}
  - {{file: {photos}/espresso.jpg, label: espresso}}
"""


@dataclass(frozen=True)
class Made:
    """A folder with a page for each network that was asked for, and a picture that no one has seen."""

    folder: Path
    noise: Path
    runs: dict[str, Run] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.folder / "site"

    @property
    def held_out(self) -> Path:
        return self.folder / "held-out"

    def run(self, name: str) -> Run:
        """The run of a network, whose page is written the first time."""
        if name not in self.runs:
            run = cutaway.open(
                name, exhibit=self.folder / "exhibit.yml", store=self.folder / "store"
            )
            self.runs[name] = run = replace(run, live="on", _results={})
            assert run[LIVE].reason == ""
            live_pages.lay_out(self.root, run)
            (pictures := self.root / "models" / name / "pictures").mkdir()
            for image, seen in run.seen.items():
                Image.fromarray(seen).save(pictures / f"{image}.webp")
        return self.runs[name]

    def address(self, name: str) -> str:
        return try_address(self.run(name))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("live")
    save("vit", folder / "vit")
    source = next(
        one.source for one in load_exhibit(CHECKOUT / "exhibit.yml").models if one.id == CNN
    )
    paths = {"vit": folder / "vit", "cnn": source, "photos": PHOTOS, "digits": _digits(folder)}
    (folder / "exhibit.yml").write_text(_EXHIBIT.format(**paths), encoding="utf-8")
    live_pages.lay_out_statics(folder / "site")
    noise = folder / HOSTILE
    values = np.random.default_rng(3).integers(0, 256, (211, 333, 3), dtype=np.uint8)
    Image.fromarray(values).save(noise, "JPEG", quality=85)
    return Made(folder, noise)


def _digits(folder: Path) -> Path:
    from generator.inputs.digits import digits

    place = folder / "held-out"
    place.mkdir()
    held_out = digits()[1]
    for wanted in range(10):
        at = int(np.flatnonzero(held_out.classes == wanted)[0])
        held_out.picture(at).save(place / f"{wanted}.png")
    return place


@pytest.fixture(scope="module")
def root(made: Made) -> Path:
    return made.root


_LISTEN = (
    f"() => {{ {SENT}"
    + """
  const { picture } = cutawayLive.kinds;
  const { ready } = picture;
  picture.ready = function (session, shell) {
    const run = session.run.bind(session);
    session.run = async (feeds, names) => {
      const found = await run(feeds, names);
      const all = { pixels: feeds.pixels };
      for (const [name, { data, dims }] of Object.entries(found)) all[name] = { data: data.slice(), dims };
      globalThis.numbers = (names) => Object.fromEntries(
        names.map((name) => [name, { values: sent(all[name].data), dims: all[name].dims }]));
      return found;
    };
    globalThis.told = session.descriptor;
    return ready.call(this, session, shell);
  };
}"""
)


def status(page: Page) -> Any:
    return page.locator("[data-live-status]")


def load(visitor: Visitor, address: str, state: str = "") -> Page:
    """Open a page and load its network."""
    page = visitor.open(address + state)
    page.evaluate(_LISTEN)
    page.get_by_role("button", name="Load the model").click()
    expect(status(page)).to_contain_text("ready", timeout=120_000)
    return page


def give(page: Page, file: Path) -> None:
    """Choose a file, and wait for what the network says."""
    page.locator("input[type=file]").set_input_files(file)
    expect(page.locator(".c-live-said figcaption strong")).to_have_text(file.name)
    expect(status(page)).to_contain_text("Computed here", timeout=60_000)


def numbers(page: Page, *names: str) -> dict[str, np.ndarray]:
    """What entered the network, "pixels", and outputs of it by name."""
    return {
        name: received(one["values"], np.float32).reshape(one["dims"])
        for name, one in page.evaluate("(names) => numbers(names)", list(names)).items()
    }


def steps(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, in ten-thousandths of the largest magnitude."""
    return float(np.abs(found - expected).max() / (STEP * np.abs(expected).max()))


@both_origins
def test_numbers_are_those_of_pytorch(made: Made, visit: Any, origin: str) -> None:
    run = made.run(CNN)
    page = load(visit(origin), made.address(CNN))
    logits = []
    # From a folder the same script loads the network otherwise.
    for file in {"server": (PHOTOS / "corn.jpg",), "file": (PHOTOS / "cat.jpg", made.noise)}[
        origin
    ]:
        give(page, file)
        pixels = pixels_of(file, run.vision.preprocessing)
        assert np.array_equal(numbers(page, "pixels")["pixels"][0], pixels)
        responses: dict[str, np.ndarray] = {}

        def take(layer: Layer, response: Tensor, kept: dict[str, np.ndarray] = responses) -> None:
            kept[layer.name] = response.clone().numpy()

        with torch.no_grad():
            expected = run.vision.run(pixels, take).numpy()
        found = numbers(page, "logits")
        assert steps(found["logits"], expected) <= LIMIT
        # All layers once: they are 29 MB.
        if (origin, file) == ("file", made.noise):
            for output in page.evaluate("told.outputs.filter(({ role }) => role === 'layer')"):
                expected_here = responses[output["layer"]]
                shape = (output["units"], output["height"], output["width"])
                here = numbers(page, output["name"])[output["name"]].reshape(shape)
                assert steps(here, expected_here.reshape(shape)) <= LIMIT, output
        logits.append(found["logits"])
        shown_classes_hold(page, run, expected)
        shown_maps_hold(page, run, pixels, np.asarray(square_of(file, run.vision.preprocessing)))
    assert all(steps(one, other) > 100 * LIMIT for one, other in pairwise(logits))  # a control


def shown_classes_hold(page: Page, run: Run, logits: np.ndarray) -> None:
    shares = torch.tensor(logits).double().softmax(-1).numpy()
    best = np.argsort(-logits, kind="stable")[:5]
    lines = page.locator(".c-live-guesses li").all_inner_texts()
    assert [line.split("\t")[0].split("\n")[0].strip() for line in lines] == [
        run.vision.labels[index] for index in best
    ]
    told = [float(line.split()[-2].lstrip("<")) for line in lines]
    assert np.abs(np.array(told) - 100 * shares[best]).max() <= 0.1


def shown_maps_hold(page: Page, run: Run, pixels: np.ndarray, seen: np.ndarray) -> None:
    """Mean and bias of each map make the logit, and each is drawn as Python draws it."""
    figures = page.locator(".c-live .c-classes:not(.c-live-most) figure")
    said = figures.evaluate_all("(all) => all.map(({ dataset }) => ({ ...dataset }))")
    chosen = [int(one["class"]) for one in said]
    maps = measure_class_maps(run.vision, "own", pixels, run.store, chosen).classes
    off = LIMIT * STEP * max(abs(one.logit) for one in maps)
    peak = max(float(one.values.max()) for one in maps)
    for place, (told, one) in enumerate(zip(said, maps, strict=True)):
        mean, bias, logit = (float(told[name]) for name in ("mean", "bias", "logit"))
        assert abs(mean - one.values.mean()) <= off
        assert abs(bias - one.bias) <= off
        assert abs(logit - one.logit) <= off
        assert abs(mean + bias - logit) <= 1e-4
        assert figures.nth(place).locator("strong").inner_text() == one.label
        drawn = canvas_of(
            page, f".c-live .c-classes:not(.c-live-most) figure:nth-child({place + 1}) canvas"
        )
        assert np.abs(drawn - heated(seen, one.values, peak).astype(int)).max() <= 6


def canvas_of(page: Page, selector: str) -> np.ndarray:
    """What is drawn on a canvas, (height, width, 3)."""
    drawn = "canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data"
    code = f"(canvas) => {{ {SENT} return [canvas.width, sent({drawn})]; }}"
    width, values = page.eval_on_selector(selector, code)
    return received(values, np.uint8).reshape(-1, width, 4)[..., :3].astype(int)


def test_the_address_keeps_what_is_chosen_and_never_the_picture(made: Made, visit: Any) -> None:
    run = made.run(CNN)
    page = load(visit("file"), made.address(CNN), "#layer=blocks.3.2&unit=45&class=2")
    give(page, PHOTOS / "cat.jpg")
    detail = page.locator(".c-live-unit")
    expect(detail.locator(".c-live-unit__title")).to_contain_text("blocks.3.2 · 45")
    expect(page.locator(".c-live .c-classes:not(.c-live-most) figure")).to_have_count(4)
    expect(page.locator('figure[data-class="2"] strong')).to_have_text(run.vision.labels[2])
    page.get_by_label("Layer:").select_option("conv_head")
    expect(page.locator(".c-live-sheet")).to_have_attribute("data-drawn", "conv_head")
    tiles = page.locator(".c-live-sheet button")
    expect(tiles).to_have_count(1280)
    tiles.nth(3).click()
    unit = int(tiles.nth(3).get_attribute("data-unit") or -1)
    assert chosen(page) == {"layer": "conv_head", "unit": str(unit), "class": "2"}
    expect(detail).to_contain_text(f"conv_head · {unit}")
    response = unit_response(
        run, "conv_head", unit, pixels_of(PHOTOS / "cat.jpg", run.vision.preprocessing)
    )
    row, column = np.unravel_index(int(response.argmax()), response.shape)
    highest = float(re.findall(r"Highest here: ([\d.]+)", detail.inner_text())[0])
    assert highest == pytest.approx(float(response.max()), rel=0.005, abs=0.001)
    expect(detail).to_contain_text(f"row {row}, column {column} of 4 × 4")
    page.go_back()
    page.go_back()
    expect(detail).to_contain_text("blocks.3.2 · 45")
    give(page, PHOTOS / "corn.jpg")
    expect(detail).to_contain_text("blocks.3.2 · 45")  # another picture changes no choice
    assert chosen(page) == {"layer": "blocks.3.2", "unit": "45", "class": "2"}


def chosen(page: Page) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(page.url).fragment))


def unit_response(run: Run, name: str, unit: int, pixels: np.ndarray) -> np.ndarray:
    kept = {}

    def take(layer: Layer, response: Tensor) -> None:
        if layer.name == name:
            kept["map"] = response[unit].clone().numpy()

    with torch.no_grad():
        run.vision.run(pixels, take)
    return kept["map"]


def test_units_that_answer_most_are_those_of_pytorch(made: Made, visit: Any) -> None:
    run = made.run(CNN)
    page = load(visit("file"), made.address(CNN))
    give(page, made.noise)
    highest: dict[str, np.ndarray] = {}

    def take(layer: Layer, response: Tensor) -> None:
        if response.dim() == 3 and response.shape[-1] > 1:
            highest[layer.name] = response.flatten(1).amax(1).numpy()

    with torch.no_grad():
        run.vision.run(pixels_of(made.noise, run.vision.preprocessing), take)
    figures = page.locator(".c-live-most figure")
    expect(figures).to_have_count(12)
    units = page.evaluate("told.picture.units")
    shares = {
        name: highest[name] / np.maximum(units[name]["peaks"], 0.05 * max(units[name]["peaks"]))
        for name in units
        if name in highest
    }
    said = figures.evaluate_all(
        "(all) => all.map(({ dataset }) => [dataset.layer, Number(dataset.unit)])"
    )
    assert len({(layer, unit) for layer, unit in said}) == 12
    assert max(sum(layer == name for layer, _ in said) for name in shares) == 2
    told = [float(shares[layer][unit]) for layer, unit in said]
    assert (np.diff(told) <= 0.011).all()
    # None that is left out answers more, unless two of its layer are there.
    full = {layer for layer, _ in said if sum(layer == one for one, _ in said) == 2}
    for layer, _unit in said:
        shares[layer][[unit for name, unit in said if name == layer]] = 0
    assert max(float(shares[name].max()) for name in shares if name not in full) <= told[-1] + 0.011
    for place, (layer, unit) in enumerate(said):
        line = figures.nth(place).inner_text()
        here, before = re.findall(r"([\d.]+) here, ([\d.]+) at most", line)[0]
        assert float(here) == pytest.approx(float(highest[layer][unit]), rel=0.005, abs=0.001)
        assert float(before) == pytest.approx(units[layer]["peaks"][unit], rel=0.005, abs=0.001)


def test_a_picture_can_be_dropped_and_pasted(made: Made, visit: Any) -> None:
    page = load(visit("file"), made.address(DIGITS))
    file = (made.held_out / "4.png").read_bytes()
    send = """([kind, text, name]) => {
      const transfer = new DataTransfer();
      if (text) transfer.items.add(new File([cutawayAttention.bytes(text)], name, { type: "image/png" }));
      else transfer.setData("text/uri-list", "https://example.org/cat.png");
      const how = { bubbles: true, cancelable: true };
      const event = kind === "paste"
        ? new ClipboardEvent("paste", { ...how, clipboardData: transfer })
        : new DragEvent(kind, { ...how, dataTransfer: transfer });
      return !document.body.dispatchEvent(event);
    }"""
    text = encoded(file)
    for kind in ("drop", "paste"):
        name = f"{kind}.png"
        page.evaluate(send, [kind, text, name])
        expect(page.locator(".c-live-said figcaption strong")).to_have_text(name)
        expect(page.locator(".c-live-guesses li").first).to_contain_text("4")
    assert page.evaluate(send, ["dragover", text, "x.png"]), (
        "the page itself would open what is dropped"
    )
    page.evaluate(send, ["drop", "", ""])
    expect(status(page)).to_contain_text("holds no picture")


def test_what_goes_wrong_ends_in_a_sentence(made: Made, visit: Any, tmp_path: Path) -> None:
    visitor = visit("file")
    page = load(visitor, made.address(DIGITS))
    files = {
        "notes.txt": b"words",
        "</p><img src=x onerror=alert(1)>.gif": b"GIF89a",
        "huge.png": _png(Image.new("1", (10_000, 10_000))),
    }
    for name, data in files.items():
        file = {"name": name, "mimeType": "image/png", "buffer": data}
        page.locator("input[type=file]").set_input_files([file])  # type: ignore[list-item]
        expect(status(page)).to_contain_text(name)
    expect(status(page)).to_contain_text("million pixels")
    give(page, made.noise)  # a name that would be markup
    expect(page.locator(".c-live-said img")).to_have_count(0)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_the_last_of_many_pictures_is_shown(made: Made, visit: Any) -> None:
    page = load(visit("file"), made.address(DIGITS))
    for digit in (1, 5, 2, 7, 3):
        page.locator(".c-live-example").nth(digit).click(no_wait_after=True)
    expect(page.locator(".c-live-guesses li").first).to_contain_text("3")
    expect(status(page)).to_contain_text("Computed here")
    expect(page.locator('.c-live-example[aria-pressed="true"]')).to_have_text("3")
    expect(page.locator(".c-live-said figcaption strong")).to_have_text("3")


def test_a_digit_is_drawn_by_mouse_or_taken_by_keyboard(made: Made, visit: Any) -> None:
    page = visit("file").open(made.address(DIGITS))
    draw(page, [(0.3, 0.3), (0.5, 0.15), (0.7, 0.3), (0.55, 0.5), (0.3, 0.85), (0.75, 0.85)])
    expect(status(page)).to_contain_text("This is what the network will see")
    page.get_by_role("button", name="Load the model").click()
    expect(page.locator(".c-live-guesses li").first).to_contain_text("2", timeout=60_000)
    page.get_by_role("button", name="Clear").click()
    draw(page, [(0.3, 0.2), (0.7, 0.2), (0.45, 0.85)])
    expect(page.locator(".c-live-guesses li").first).to_contain_text("7")
    page.locator(".c-live-example").nth(6).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".c-live-guesses li").first).to_contain_text("6")


def test_ink_the_other_way_round_is_told(made: Made, visit: Any, tmp_path: Path) -> None:
    page = visit("file").open(made.address(DIGITS))
    expect(page.locator(".c-live-drop")).to_contain_text("light on dark")
    digit = made.held_out / "3.png"
    turned = tmp_path / "turned.png"
    ImageOps.invert(Image.open(digit)).save(turned)
    caption = page.locator(".c-live-said figcaption")
    for file, said in ((turned, True), (digit, False)):
        page.locator("input[type=file]").set_input_files(file)
        expect(caption.locator("strong")).to_have_text(file.name)
        assert ("the other way round" in caption.inner_text()) == said


def draw(page: Page, points: list[tuple[float, float]]) -> None:
    board = page.locator(".c-live-board__canvas")
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    assert box is not None
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


def test_units_are_reached_by_keyboard(made: Made, visit: Any) -> None:
    page = load(visit("file"), made.address(DIGITS), "#layer=conv4")
    give(page, made.held_out / "5.png")
    sheet = page.locator(".c-live-sheet")
    expect(sheet).to_have_attribute("data-drawn", "conv4")
    assert sheet.locator('[tabindex="0"]').count() == 1
    sheet.locator('[tabindex="0"]').focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    wanted = sheet.locator("button").nth(2).get_attribute("data-unit")
    assert page.url.endswith(f"#layer=conv4&unit={wanted}")
    assert page.evaluate("document.activeElement.dataset.unit") == wanted


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_anybody(made: Made, visit: Any, scheme: str) -> None:
    visitor = visit(
        "server", color_scheme=scheme, viewport={"width": 360, "height": 740}, has_touch=True
    )
    page = load(visitor, made.address(DIGITS))
    page.locator(".c-live-example").nth(3).tap()
    expect(page.locator(".c-live-guesses li").first).to_contain_text("3")
    page.locator(".c-live-sheet button").first.tap()
    expect(page.locator(".c-live-unit__title")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_heads_look_where_they_look_in_pytorch(made: Made, visit: Any) -> None:
    run = made.run(VIT)
    model = run.vision
    assert model.attention is not None
    page = load(visit("file"), made.address(VIT), "#head=2&query=1.3")
    give(page, PHOTOS / "cat.jpg")
    pixels = pixels_of(PHOTOS / "cat.jpg", model.preprocessing)
    kept: list[np.ndarray] = []
    model.attend(pixels, lambda _, weights: kept.append(weights.float().numpy().copy()))
    found = numbers(page, "attention")["attention"]
    assert np.abs(found - np.stack(kept)).max() <= 1e-4
    grid, last = model.attention.grid, kept[-1][2]
    special = len(grid.special)
    row = last[special + grid.columns + 3, special:]
    best = np.unravel_index(int(row.argmax()), (grid.rows, grid.columns))
    expect(page.locator(".c-patches-play__says")).to_contain_text(
        f"The patch in row 1, column 3 looks most at row {best[0]}, column {best[1]}"
    )
    told = page.evaluate(
        """([values, patches]) => {
          const { looks, units } = cutawayPicture;
          return [...units(looks(Float32Array.from(values), patches))];
        }""",
        [last.ravel().tolist(), page.evaluate("told.picture.patches")],
    )
    expected = np.rint(of_readers(last, grid) * UNIT).ravel()
    assert np.abs(np.array(told) - expected).max() <= 1
    page.get_by_label("Head:").select_option("1")
    assert "head=1" in page.url
    expect(page.locator(".c-patches-play")).to_have_count(1)
