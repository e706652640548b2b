"""Curated pictures: found, opened as upright RGB, and turned into what a network was trained on."""

from __future__ import annotations

import hashlib
import math
import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from generator.errors import CutawayError, UsageError
from generator.exhibit import Exhibit, ImageSpec, Preprocessing
from generator.exhibit_yaml import load_image_table
from generator.files import files_in, some_of, tell

# Formats of Pillow's that another program would have to draw.
_NOT_DRAWN = {"EPS", "MPEG"}
_GROUND = (128, 128, 128)
_NARROW = 8  # times as long as wide


@dataclass(frozen=True)
class CuratedImage:
    """One picture with what must be said of it. `sha256` is the digest of the file's bytes.

    `classes` names the classes of a network that are right for it, where they differ from the label.
    """

    id: str
    path: Path
    label: str
    alt: str
    licence: str
    origin: str
    sha256: str
    classes: tuple[str, ...] = ()


def curated_images(exhibit: Exhibit) -> tuple[CuratedImage, ...]:
    """The exhibit's pictures: inline, from a table, or a folder of files.

    Raises UsageError for a missing file, CutawayError for one that cannot be read as a picture.
    """
    if not isinstance(exhibit.images, str):
        return _collect(exhibit.images, exhibit.base)
    place = exhibit.base / exhibit.images
    if place.is_dir():
        table = place / "images.yml"
        specs = load_image_table(table) if table.is_file() else _folder(place)
        return _collect(specs, place)
    return _collect(load_image_table(place), place.parent)


def _folder(folder: Path) -> tuple[ImageSpec, ...]:
    files = pictures_in(folder)
    labels = (re.sub(r"[\W_]+", " ", file.stem).strip() or "picture" for file in files)
    named = zip(files, labels, strict=True)
    return tuple(ImageSpec(file=file.name, label=label) for file, label in named)


def pictures_in(folder: Path, pattern: str = "*", beside: Collection[str] = ()) -> list[Path]:
    """The files of a folder that Pillow can open, whatever they are called; the user is told of the others.

    `beside` are names of files that are read otherwise. Raises UsageError if no picture is left.
    """
    files = [file for file in files_in(folder, pattern) if file.name not in beside]
    found = [file for file in files if is_picture(file)]
    others = [file.relative_to(folder).as_posix() for file in files if file not in set(found)]
    if not found:
        raise UsageError(
            f"{folder}: holds no picture.",
            hint=f"None of its files can be opened as one: {some_of(others)}." if others else "",
        )
    if others:
        tell(f"{folder}: not shown, since it cannot be opened as a picture: {some_of(others)}.")
    return found


def is_picture(path: Path) -> bool:
    """Whether Pillow knows the format of a file, by what is in it, and draws it itself."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:
            drawn = opened.format not in _NOT_DRAWN
            return drawn and not isinstance(opened, ImageFile.StubImageFile)
    except Image.DecompressionBombError:
        return True  # refused by name when it is opened
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return False


def _collect(specs: Sequence[ImageSpec], folder: Path) -> tuple[CuratedImage, ...]:
    found: list[CuratedImage] = []
    taken: set[str] = set()
    for spec in specs:
        path = folder / spec.file
        if not path.is_file():
            raise UsageError(f"{path}: there is no such picture.")
        data = path.read_bytes()
        open_rgb(path)
        slug = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "picture"
        name = _free_name(spec.id or slug, taken)
        found.append(
            CuratedImage(
                id=name,
                path=path,
                label=spec.label,
                alt=spec.alt or f"A picture labelled {spec.label}.",
                licence=spec.licence,
                origin=spec.origin,
                sha256=hashlib.sha256(data).hexdigest(),
                classes=spec.classes,
            )
        )
    return tuple(found)


def _free_name(name: str, taken: set[str]) -> str:
    candidates = (name if number == 1 else f"{name}-{number}" for number in range(1, 10_000))
    free = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(free)
    return free


def open_rgb(path: Path) -> Image.Image:
    """A picture as upright 8-bit RGB: EXIF turned, transparency over grey, 16 bits scaled down.

    Raises CutawayError if the file is no picture, is cut short or is absurdly large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                opened.load()
                return _as_rgb(ImageOps.exif_transpose(opened))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise CutawayError(f"{path}: cannot be read as a picture: {error}.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise CutawayError(f"{path}: refused: {error}.") from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        scaled = np.clip(values * (255.0 / _white(image.mode, values)), 0, 255).astype(np.uint8)
        return Image.fromarray(scaled).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        layered = image.convert("RGBA")
        ground = Image.new("RGBA", layered.size, (*_GROUND, 255))
        return Image.alpha_composite(ground, layered).convert("RGB")
    return image.convert("RGB")


def _white(mode: str, values: np.ndarray) -> float:
    """The value that stands for white: 1 in floating point, 65535 in 16 bits."""
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if mode == "F":
        if low < 0 or high > 1 or not np.isfinite(values).all():
            raise ValueError(
                f"its floating-point values run from {low:g} to {high:g}, not from 0 to 1; save it with "
                "8 or 16 bits a channel"
            )
        return 1.0
    return 65535.0 if mode.startswith("I;16") or high > 255 else 255.0


def as_seen(image: Image.Image, how: Preprocessing) -> Image.Image:
    """The square that the network sees: resized, its centre cropped.

    Sizes are rounded as the network's library rounds them, so that the pixels are the same. Of a long and
    narrow picture only the centre is resized, which makes the same pixels in little memory.
    """
    # The small sum undoes what 224 / (224 / 232) loses.
    short = max(how.size, math.floor(how.size / how.crop + 1e-6))
    if how.fit == "squeeze":
        width, height = short, short
    else:
        smaller = min(image.size)
        width, height = (short * side // smaller for side in image.size)
    whole = math.floor if how.rounding == "tensors" else round
    left, top = whole((width - how.size) / 2), whole((height - how.size) / 2)
    if max(width, height) > _NARROW * short:
        return _centre(image, (width, height), (left, top), how)
    resized = _resized(image, (width, height), (0, 0, *image.size), how)
    return resized.crop((left, top, left + how.size, top + how.size))


def _resized(
    image: Image.Image,
    size: tuple[int, int],
    box: tuple[float, float, float, float],
    how: Preprocessing,
) -> Image.Image:
    """A part of a picture in another size.

    Values are rounded to whole numbers between two passes: on tensors the first goes across, in Pillow the
    one that makes less work.
    """
    method = Image.Resampling[how.interpolation.upper()]
    if how.rounding == "pillow":
        return image.resize(size, method, box=box)
    left, top, right, bottom = box
    across = image.resize((size[0], image.height), method, box=(left, 0, right, image.height))
    return across.resize(size, method, box=(0, top, size[0], bottom))


def _centre(
    image: Image.Image, whole: tuple[int, int], corner: tuple[int, int], how: Preprocessing
) -> Image.Image:
    """The square at `corner` of a picture resized to `whole`, without resizing what lies far from it."""
    box, inner, shape, near = [], [], [], []
    for side, resized, start in zip(image.size, whole, corner, strict=True):
        step = side / resized
        # What a pixel is mixed from reaches two pixels far, of the coarser of the two grids.
        margin = math.ceil(3 * max(1.0, 1 / step))
        low, high = max(0, start - margin), min(resized, start + how.size + margin)
        reach = math.ceil(3 * max(1.0, step))
        first = max(0, math.floor(low * step) - reach)
        near.append((first, min(side, math.ceil(high * step) + reach)))
        box.append((low * step - first, high * step - first))
        inner.append(start - low)
        shape.append(high - low)
    (left, right), (top, bottom) = box
    cut = image.crop((near[0][0], near[1][0], near[0][1], near[1][1]))
    part = _resized(cut, (shape[0], shape[1]), (left, top, right, bottom), how)
    return part.crop((inner[0], inner[1], inner[0] + how.size, inner[1] + how.size))


def as_pixels(seen: Image.Image, how: Preprocessing) -> np.ndarray:
    """The normalised input, float32 of shape (3, size, size)."""
    scaled = np.asarray(seen, dtype=np.float32) / np.float32(255)
    mean, std = np.array(how.mean, np.float32), np.array(how.std, np.float32)
    return np.ascontiguousarray(((scaled - mean) / std).transpose(2, 0, 1))


def square_of(path: Path, how: Preprocessing) -> Image.Image:
    """The picture in a file as the network sees it."""
    return as_seen(open_rgb(path), how)


def pixels_of(path: Path, how: Preprocessing) -> np.ndarray:
    """The normalised input (3, size, size) of the picture in a file."""
    return as_pixels(square_of(path, how), how)
