"""A bare page with the scripts of “Try your own”, for what they compute."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from pages_under_test import SENT
from playwright.sync_api import Browser, Page

from generator.exhibit import Preprocessing

SCRIPTS = Path(__file__).parents[1] / "site_src/javascripts"
PICTURES = (
    "attention", "patches", "live-numbers", "live-resample", "live-image", "live-draw", "live-overlay",
    "live-choose", "live-classes", "live-units", "live-heads",
)  # fmt: skip
_TOOLS = (
    SENT
    + """
const blobOf = (text) => new Blob([cutawayAttention.bytes(text)]);
async function seenOf(text, how) {
  const { open, see } = cutawayPicture;
  try {
    const picture = await open(blobOf(text));
    const seen = await see(picture.width, picture.height, how, (...part) => picture.read(...part));
    return { seen: sent(seen), notes: [...picture.notes], size: [picture.width, picture.height] };
  } catch (error) {
    return { error: error.message, refused: error instanceof cutawayPicture.Refused };
  }
}
// As a page would that leaves it to the canvas.
async function canvasOf(text, how) {
  const bitmap = await createImageBitmap(blobOf(text));
  const canvas = new OffscreenCanvas(how.size, how.size);
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  const short = Math.min(bitmap.width, bitmap.height) * how.crop;
  const [left, top] = [bitmap.width - short, bitmap.height - short].map((one) => one / 2);
  pen.drawImage(bitmap, left, top, short, short, 0, 0, how.size, how.size);
  return sent(pen.getImageData(0, 0, how.size, how.size).data);
}
"""
)


@contextmanager
def bench(browser: Browser, folder: Path) -> Iterator[Page]:
    """A page of the disk that has the scripts, and nothing else."""
    tags = "".join(
        f'<script src="{(SCRIPTS / f"{name}.js").as_uri()}"></script>' for name in PICTURES
    )
    place = folder / "bench.html"
    place.write_text(
        f'<!doctype html><meta charset="utf-8"><title>Bench</title><body>{tags}<script>{_TOOLS}</script>',
        encoding="utf-8",
    )
    page = browser.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(place.as_uri())
    yield page
    page.close()
    assert problems == []


def encoded(data: bytes) -> str:
    """Bytes as a script of the page takes them."""
    return base64.b64encode(data).decode()


def told(how: Preprocessing) -> dict[str, Any]:
    """How pictures are prepared, as a page is told it."""
    return {**how.model_dump(), "pillow": int(PIL.__version__.split(".")[0])}


def seen_in(page: Page, data: bytes, how: Preprocessing) -> dict[str, Any]:
    """What the page makes of a file: the square (size, size, 3), or the reason for none."""
    found: dict[str, Any] = page.evaluate(
        "([text, how]) => seenOf(text, how)", [encoded(data), told(how)]
    )
    if "seen" in found:
        found["seen"] = _square(found["seen"], how.size, 3)
    return found


def canvas_in(page: Page, data: bytes, how: Preprocessing) -> np.ndarray:
    """The square as the canvas itself resizes it."""
    text = page.evaluate("([text, how]) => canvasOf(text, how)", [encoded(data), told(how)])
    return _square(text, how.size, 4)[..., :3]


def _square(text: str, side: int, channels: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(side, side, channels)
