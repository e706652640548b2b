"""A reader's picture becomes, in a real browser, the very pixels that Python makes of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_bench import bench, canvas_in, encoded, seen_in
from PIL import Image, ImageCms
from playwright.sync_api import Browser, Page

from generator.errors import CutawayError
from generator.exhibit import Preprocessing
from generator.inputs.images import as_pixels, as_seen, open_rgb, square_of

SHAPES = (
    (1, 1), (1, 300), (300, 1), (2, 7), (37, 211), (224, 224), (256, 256), (257, 255), (333, 500),
    (640, 41), (41, 640), (9, 1000), (1000, 9), (801, 607),
)  # fmt: skip
METHODS = ("bicubic", "bilinear", "lanczos", "box", "hamming", "nearest")
PLAIN = Preprocessing(size=64)


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with bench(browser, tmp_path_factory.mktemp("bench")) as page:
        yield page


def noise(width: int, height: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed + 7 * width + height)
    shape = (height, width, channels) if channels > 1 else (height, width)
    return random.integers(0, 256, shape, dtype=np.uint8)


def smooth(width: int, height: int) -> Image.Image:
    """Slow waves with an edge: what photographs are made of."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float64)
    values = [
        127 + 90 * np.sin(across / (17 + 5 * c)) * np.cos(down / (11 + 3 * c)) for c in range(3)
    ]
    values[0][: height // 2, : width // 3] = 250
    return Image.fromarray(np.clip(np.stack(values, -1), 0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def apart(page: Page, data: bytes, how: Preprocessing, folder: Path) -> tuple[int, list[str]]:
    """The largest difference between both squares, and the notes."""
    place = folder / "picture"
    place.write_bytes(data)
    found = seen_in(page, data, how)
    assert "seen" in found, found
    ours = np.asarray(square_of(place, how), dtype=int)
    return int(np.abs(ours - found["seen"]).max()), found["notes"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rounding", ["pillow", "tensors"])
def test_pixels_are_those_of_pillow(page: Page, tmp_path: Path, method: str, rounding: str) -> None:
    wrong = []
    # Every method meets all shapes, and either rounding does.
    shapes = SHAPES if method == "bicubic" else SHAPES[rounding == "tensors" :: 2]
    for width, height in shapes:
        for fit, crop, size in (
            ("crop", 0.875, 64),
            ("squeeze", 1.0, 33),
            ("crop", 1.0, 224),
            ("crop", 0.3, 17),
        ):
            how = Preprocessing(
                size=size, crop=crop, fit=fit, interpolation=method, rounding=rounding
            )
            data = saved(Image.fromarray(noise(width, height)), "PNG")
            if apart(page, data, how, tmp_path) != (0, []):
                wrong.append((width, height, fit, crop, size))
    assert wrong == []


def test_a_tall_picture_is_squeezed_down_first_as_pillow_does(page: Page, tmp_path: Path) -> None:
    how = Preprocessing(size=32, crop=1.0, fit="squeeze")
    data = saved(Image.fromarray(noise(7, 1200)), "PNG")
    assert apart(page, data, how, tmp_path) == (0, [])
    # The other order makes other pixels, so that this can fail.
    image = Image.fromarray(noise(7, 1200))
    across = image.resize((32, 1200), Image.Resampling.BICUBIC)
    other = across.resize((32, 32), Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(other, int) - np.asarray(as_seen(image, how), int)).max() > 0


def test_the_canvas_resizes_otherwise(page: Page, tmp_path: Path) -> None:
    how = Preprocessing(size=64)
    data = saved(smooth(500, 333), "PNG")
    (tmp_path / "picture").write_bytes(data)
    ours = np.asarray(square_of(tmp_path / "picture", how), dtype=int)
    assert apart(page, data, how, tmp_path) == (0, [])
    assert np.abs(canvas_in(page, data, how) - ours).max() > 8


def odd_files() -> dict[str, bytes]:
    """Files of the kinds that readers have, which end in the very same pixels."""
    photo = smooth(301, 203)
    grey = photo.convert("L")
    files = {
        "jpeg 4:4:4": saved(photo, "JPEG", quality=90, subsampling=0),
        "jpeg 4:2:2": saved(photo, "JPEG", quality=80, subsampling=1),
        "jpeg 4:2:0": saved(photo, "JPEG", quality=70, subsampling=2),
        "progressive": saved(photo, "JPEG", quality=75, progressive=True),
        "grey jpeg": saved(grey, "JPEG"),
        "cmyk jpeg": saved(photo.convert("CMYK"), "JPEG", quality=92),
        "png": saved(photo, "PNG"),
        "grey png": saved(grey, "PNG"),
        "one bit": saved(grey.convert("1"), "PNG"),
        "palette png": saved(photo.quantize(40), "PNG"),
        "gif": saved(photo.quantize(60), "GIF"),
        "webp": saved(photo, "WEBP", quality=80),
        "lossless webp": saved(photo, "WEBP", lossless=True),
        "bmp": saved(photo, "BMP"),
        "one pixel": saved(photo.crop((0, 0, 1, 1)), "JPEG"),
        "noise": saved(Image.fromarray(noise(233, 157)), "JPEG", quality=85),
        "another profile": saved(photo, "JPEG", quality=90, icc_profile=swapped_profile()),
        "avif": saved(photo, "AVIF", quality=70),
        "png with another profile": saved(photo, "PNG", icc_profile=swapped_profile()),
    }
    frames = [photo.quantize(60), Image.new("RGB", photo.size, "red").quantize(4)]
    files["animated gif"] = saved(
        frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50
    )
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        files[f"jpeg turned {turn}"] = saved(photo, "JPEG", quality=90, exif=exif)
        files[f"png turned {turn}"] = saved(photo, "PNG", exif=exif)
    return files


def swapped_profile() -> bytes:
    """sRGB with the columns of red and green swapped: who follows it sees other colours."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {}
    for at in range(132, 132 + 12 * int.from_bytes(profile[128:132]), 12):
        tags[bytes(profile[at : at + 4])] = at + 4
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = (
        profile[green : green + 4],
        profile[red : red + 4],
    )
    return bytes(profile)


def test_files_of_all_kinds_end_in_the_same_pixels(page: Page, tmp_path: Path) -> None:
    how = Preprocessing(size=96)
    found = {name: apart(page, data, how, tmp_path) for name, data in odd_files().items()}
    assert {name: one for name, one in found.items() if one != (0, [])} == {}


def test_what_may_differ_is_said(page: Page, tmp_path: Path) -> None:
    clear = Image.fromarray(noise(90, 70, 4))
    index = smooth(90, 70).quantize(20)
    deep = Image.fromarray((noise(90, 70, 1).astype(np.uint16) << 8) | noise(90, 70, 1, 1))
    files = {
        "transparent": (saved(clear, "PNG"), 0, "transparent"),
        "transparent webp": (saved(clear, "WEBP", lossless=True, exact=True), 0, "transparent"),
        "grey and transparent": (saved(clear.convert("LA"), "PNG"), 0, "transparent"),
        "a clear colour": (saved(index, "PNG", transparency=3), 0, "transparent"),
        "a clear colour in a gif": (saved(index, "GIF", transparency=3), 0, "transparent"),
        "16 bits": (saved(deep, "PNG"), 3, "16 bits"),
    }
    exif = Image.Exif()
    exif[0x0112] = 1
    level = saved(smooth(90, 70), "WEBP", lossless=True, exif=exif)
    assert apart(page, level, PLAIN, tmp_path) == (0, [])
    exif[0x0112] = 6
    files["turned webp"] = (saved(smooth(90, 70), "WEBP", lossless=True, exif=exif), 255, "turned")
    for name, (data, most, note) in files.items():
        difference, notes = apart(page, data, PLAIN, tmp_path)
        assert difference <= most, name
        assert [note in one for one in notes] == [True], name


def test_what_is_no_picture_gets_a_sentence(page: Page, tmp_path: Path) -> None:
    photo = saved(smooth(300, 200), "PNG")
    files = {
        "text": b"not a picture at all",
        "empty": b"",
        "cut in its head": photo[:40],
        "cut at its end": photo[:-40],
        "cut jpeg": saved(smooth(300, 200), "JPEG")[:-200],
        "tiff": saved(smooth(30, 20), "TIFF"),
        "drawing": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "page": b"<!doctype html><img src=x onerror=alert(1)>",
        "huge": saved(Image.new("1", (10_000, 10_000)), "PNG"),
    }
    for name, data in files.items():
        found = seen_in(page, data, PLAIN)
        assert found.get("refused"), (name, found)
        (tmp_path / "picture").write_bytes(data)
        if name != "tiff":  # which Pillow reads, and browsers do not
            with pytest.raises(CutawayError):
                open_rgb(tmp_path / "picture")
    assert "million pixels" in seen_in(page, files["huge"], PLAIN)["error"]


def test_the_page_can_answer_while_a_large_picture_is_worked_down(page: Page) -> None:
    wide = Image.fromarray(noise(300, 200)).resize((6000, 4000), Image.Resampling.NEAREST)
    answers = page.evaluate(
        """async ([text, how]) => {
          let answers = 0, on = true;
          const tick = () => {
            answers += 1;
            if (on) setTimeout(tick);
          };
          const picture = await cutawayPicture.open(blobOf(text));
          tick();
          await cutawayPicture.see(picture.width, picture.height, how, (...part) => picture.read(...part));
          on = false;
          return answers;
        }""",
        [encoded(saved(wide, "JPEG", quality=60)), PLAIN.model_dump()],
    )
    assert answers > 20


def test_numbers_are_normalised_as_numpy_does(page: Page) -> None:
    how = Preprocessing(size=16, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    seen = noise(16, 16)
    found = page.evaluate(
        "([seen, how]) => [...cutawayPicture.pixels(Uint8ClampedArray.from(seen), how)]",
        [seen.ravel().tolist(), how.model_dump()],
    )
    expected = as_pixels(Image.fromarray(seen), how)
    assert np.array_equal(np.array(found, np.float32).reshape(3, 16, 16), expected)
