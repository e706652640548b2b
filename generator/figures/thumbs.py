"""Thumbnails: drawn pictures made small. A chart in SVG is small as it is."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from generator.figures.render import Drawn
from generator.store import write_atomically

VERSION = 1
WIDTH, HEIGHT = 176, 128


def thumbnails(
    pictures: Mapping[str, Drawn], folder: str, store: Path
) -> dict[str, tuple[str, Drawn]]:
    """For each picture the path of its thumbnail in the site, below `folder`, and the thumbnail.

    A picture fills WIDTH x HEIGHT CSS pixels, drawn at twice that; what is too long is cut at its end.
    """
    found = {}
    for path, drawn in pictures.items():
        if drawn.file.suffix == ".svg":
            found[path] = (path, drawn)
            continue
        # A drawing lies in a folder named after all that it depends on.
        place = store / f"{VERSION}-{drawn.file.parent.name}-{drawn.file.stem}.webp"
        if not _kept(place):
            data = _small(drawn.file)
            write_atomically(place, data)
            write_atomically(place.with_suffix(".sha256"), _digest(data))
        name = path.removeprefix("models/").removesuffix(".webp").replace("/", "-")
        found[path] = (f"{folder}/{name}.webp", Drawn(place, WIDTH, HEIGHT))
    return found


def _kept(place: Path) -> bool:
    """Whether a thumbnail is there, byte for byte."""
    try:
        return _digest(place.read_bytes()) == place.with_suffix(".sha256").read_bytes()
    except OSError:
        return False


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _small(file: Path) -> bytes:
    with Image.open(file) as opened:
        image = opened.convert("RGBA")
    wide, high = 2 * WIDTH, 2 * HEIGHT
    scale = max(wide / image.width, high / image.height)
    way = Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS
    size = (max(wide, round(image.width * scale)), max(high, round(image.height * scale)))
    buffer = io.BytesIO()
    cut = image.resize(size, way).crop((0, 0, wide, high))
    cut.save(buffer, format="WEBP", quality=60, method=4)
    return buffer.getvalue()
