"""Maps, colours and words of “Try your own” are those of Cutaway's figures and pages."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from live_bench import bench
from playwright.sync_api import Browser, Page

from generator.figures.overlay import heated
from generator.figures.style import POSITIVE, SIGNED
from generator.formatting import number, percent
from generator.inputs.digits import digits
from generator.techniques.class_maps import place_of


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with bench(browser, tmp_path_factory.mktemp("bench")) as page:
        yield page


_PIXELS = """
const read = (canvas) => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
"""


@pytest.mark.parametrize("signed", [False, True])
def test_maps_have_the_colours_of_the_site(page: Page, signed: bool) -> None:
    values = np.linspace(-1.2 if signed else -0.1, 1.2, 77).reshape(7, 11)
    found = page.evaluate(
        f"""([values, signed]) => {{ {_PIXELS}
          const canvas = document.createElement("canvas");
          cutawayPicture.tile(canvas, Float32Array.from(values), 11, 1, signed);
          return read(canvas);
        }}""",
        [values.ravel().tolist(), signed],
    )
    share = np.clip((values + 1) / 2 if signed else values, 0, 1)
    expected = (SIGNED if signed else POSITIVE)(share)[..., :3] * 255
    drawn = np.array(found).reshape(7, 11, 4)
    assert np.abs(drawn[..., :3] - expected).max() <= 4
    assert (drawn[..., 3] == 255).all()
    wrong = (POSITIVE if signed else SIGNED)(share)[..., :3] * 255  # the other map is told from it
    assert np.abs(drawn[..., :3] - wrong).max() > 60


@pytest.mark.parametrize(("side", "rows", "columns"), [(224, 7, 7), (32, 8, 8), (96, 3, 11)])
def test_a_map_lies_over_a_picture_as_in_figures(
    page: Page, side: int, rows: int, columns: int
) -> None:
    random = np.random.default_rng(1)
    seen = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
    values = random.normal(1, 2, (rows, columns)).astype(np.float32)
    peak = 0.8 * float(values.max())
    found = page.evaluate(
        f"""([seen, side, values, rows, columns, peak]) => {{ {_PIXELS}
          const canvas = document.createElement("canvas");
          const grey = cutawayPicture.greyOf(Uint8ClampedArray.from(seen), side);
          cutawayPicture.over(canvas, grey, {{ values: Float32Array.from(values), rows, columns }}, peak);
          return [canvas.width, read(canvas)];
        }}""",
        [seen.ravel().tolist(), side, values.ravel().tolist(), rows, columns, peak],
    )
    expected = heated(seen, values, peak).astype(int)
    assert found[0] == expected.shape[1]
    drawn = np.array(found[1]).reshape(*expected.shape[:2], 4)[..., :3]
    assert np.abs(drawn - expected).max() <= 5
    turned = heated(seen, values[::-1], peak).astype(int)
    assert np.abs(drawn - turned).max() > 40


def test_numbers_and_places_are_written_as_on_the_pages(page: Page) -> None:
    random = np.random.default_rng(2)
    numbers = [0.0, -0.0, 1.0, 0.9996, 999.6, -12345.678, 4e-4, -4.9e-4, 3e-9, float("nan")]
    numbers += (random.normal(size=200) * 10 ** random.uniform(-6, 5, 200)).tolist()
    told = page.evaluate(
        "(all) => all.map((one) => [2, 3].map((digits) => cutawayPicture.number(one ?? NaN, digits)))",
        [None if one != one else one for one in numbers],
    )
    assert told == [[number(one, digits) for digits in (2, 3)] for one in numbers]
    shares = [0.0, 1.0, 1e-9, 4e-4, 6e-4, 0.12349, 0.9999, *random.random(200).tolist()]
    told = page.evaluate(
        "(all) => all.map((one) => [0, 1].map((places) => cutawayPicture.percent(one, places)))",
        shares,
    )
    assert told == [[percent(one, places) for places in (0, 1)] for one in shares]
    for at in range(35):
        values = np.zeros((5, 7))
        values.flat[at] = 1
        told = page.evaluate("(at) => cutawayPicture.placeOf({ rows: 5, columns: 7 }, at)", at)
        assert told == place_of(values)


def test_a_drawn_digit_is_what_the_network_was_trained_on(page: Page) -> None:
    """Whatever its size and place: as high as the picture, six of eight columns wide, with as much ink."""
    real = digits()[0].pixels / 255
    zero = [[0.5 + 0.4 * np.cos(t), 0.5 + 0.4 * np.sin(t)] for t in np.linspace(0, 6.28, 40)]
    seven = [[0.1, 0.1], [0.9, 0.1], [0.4, 0.9]]
    line = [[0.5, y] for y in np.linspace(0.1, 0.9, 20)]
    for strokes in ([zero], [seven], [seven, [[0.3, 0.5], [0.7, 0.5]]], [line]):
        found = []
        for side, left, top in ((240, 0, 0), (60, 150, 20)):
            placed = [[[side * x + left, side * y + top] for x, y in one] for one in strokes]
            found.append(
                page.evaluate("(all) => [...cutawayPicture.drawn(all).read(0, 0, 8, 8)]", placed)
            )
        assert np.abs(np.subtract(*found)).max() <= 16  # one dot of sixteen
        drawn = np.array(found[0]).reshape(8, 8, 4)
        assert (drawn[..., 3] == 255).all()
        assert (drawn[..., 0] == drawn[..., 2]).all()
        ink = drawn[..., 0] / 255
        spread = real.mean((1, 2)).max() - real.mean()
        assert abs(ink.mean() - real.mean()) < spread
        assert (ink.max(1) > 0).all()
        assert ink[:, 0].max() == ink[:, 7].max() == 0
    dot = page.evaluate("[...cutawayPicture.drawn([[[5, 5]]]).read(0, 0, 8, 8)]")
    assert np.array(dot).reshape(8, 8, 4)[..., 0].max() == 255


def test_a_line_stays_a_line(page: Page) -> None:
    shaken = [[100 + (place % 3), 20 + 5 * place] for place in range(40)]
    drawn = page.evaluate("(all) => [...cutawayPicture.drawn(all).read(0, 0, 8, 8)]", [shaken])
    columns = np.array(drawn).reshape(8, 8, 4)[..., 0].mean(0)
    assert (columns > 60).sum() <= 4
