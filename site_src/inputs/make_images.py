"""Make the curated pictures of ``images/`` from three published packages.

Usage::

    python make_images.py SKIMAGE SKLEARN STAMPS [--out images]

SKIMAGE and SKLEARN are the wheels of scikit-image and scikit-learn (or folders
that they were unpacked into), STAMPS is the folder ``stamps`` of Tux Paint's
stamp collection (Debian package tuxpaint-stamps-default).  Nothing is random:
the same packages and the same Pillow give the same files.  Who made each
picture, and under which licence, stands in ``images.yml`` and ``LICENCES.md``.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageColor, ImageFilter

SIDE = 448
QUALITY = 88


@dataclass(frozen=True)
class Photo:
    """A photograph: the square (left, top, side) is cut out, in source pixels.

    A square that leaves the picture above or below is filled by mirroring.
    """

    name: str
    package: str
    path: str
    square: tuple[int, int, int]


@dataclass(frozen=True)
class Stamp:
    """A cut-out with alpha, set on a ground that runs from `light` to `dark`."""

    name: str
    path: str
    light: str
    dark: str
    turn: float = 0.0  # degrees, anticlockwise
    fill: float = 0.80  # longer side, as a part of the frame
    shadow: str = "stand"  # "stand": under the feet; "lie": behind; "none"
    choke: int = 40  # alpha below this becomes clear: takes off pale fringes


PHOTOS = (
    Photo("cat", "skimage", "skimage/data/chelsea.png", (62, 0, 300)),
    Photo("astronaut", "skimage", "skimage/data/astronaut.png", (0, 0, 512)),
    Photo("espresso", "skimage", "skimage/data/coffee.png", (78, 0, 400)),
    Photo("rocket", "skimage", "skimage/data/rocket.jpg", (107, 0, 427)),
    Photo("temple", "sklearn", "sklearn/datasets/images/china.jpg", (8, 0, 427)),
    Photo("flower", "sklearn", "sklearn/datasets/images/flower.jpg", (137, 38, 338)),
)
STAMPS = (
    Stamp("bear", "animals/mammals/bears/european-bear.png", "#cecbbe", "#969684"),
    Stamp("flamingo", "animals/birds/pink_flamingo.png", "#beced0", "#849ea4", choke=150),
    Stamp("penguin", "animals/birds/magellanic_penguin.png", "#d0d6da", "#96a4ae"),
    Stamp("mantis", "animals/insects/mantis.png", "#c8d0bc", "#88987c", fill=0.84),
    Stamp("corn", "food/vegetables/corn.png", "#ccd4d0", "#90a09e", 32, shadow="lie"),
    Stamp("guitar", "hobbies/music/string/guitar2.png", "#d6d0c4", "#a49888", -38, shadow="lie"),
    Stamp("stethoscope", "medical/stethoscope.png", "#d4cecc", "#a29a9a", shadow="lie"),
    Stamp("fire-engine", "vehicles/emergency/firetruck.png", "#ced0d2", "#969aa0", fill=0.9),
    Stamp(
        "balloon", "vehicles/flight/balloon360.png", "#cedee8", "#8cb0cc", fill=0.84, shadow="none"
    ),
)


def read(package: Path, inside: str) -> Image.Image:
    """Open the picture `inside` a wheel or an unpacked folder."""
    if package.is_dir():
        return Image.open(package / inside)
    with zipfile.ZipFile(package) as wheel:
        return Image.open(io.BytesIO(wheel.read(inside)))


def cut(image: Image.Image, square: tuple[int, int, int]) -> Image.Image:
    """Cut the square and bring it to the common size."""
    left, top, side = square
    pixels = np.asarray(image.convert("RGB"))
    below = max(0, top + side - pixels.shape[0])
    pixels = np.pad(pixels, ((max(0, -top), below), (0, 0), (0, 0)), mode="reflect")
    top = max(0, top)
    window = Image.fromarray(pixels[top : top + side, left : left + side])
    return window.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def ground(light: str, dark: str) -> Image.Image:
    """A radial gradient with a trace of fixed noise, which hides its steps."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)
    t = np.clip(np.hypot(x - 0.5, (y - 0.42) * 0.95) / 0.75, 0, 1)[..., None] ** 1.4
    noise = np.random.default_rng(0).normal(0, 1.0, (SIDE, SIDE, 1))
    near, far = (np.array(ImageColor.getrgb(colour)) for colour in (light, dark))
    pixels = near * (1 - t) + far * t + noise
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def shade(alpha: Image.Image, kind: str) -> Image.Image:
    """The mask of a soft shadow for a subject with the mask `alpha`."""
    if kind == "lie":
        mask = ImageChops.offset(alpha, 5, 9).filter(ImageFilter.GaussianBlur(8))
        return mask.point([int(v * 0.42) for v in range(256)])
    solid = np.asarray(alpha) > 128
    soles = np.where(solid.any(0), SIDE - 1 - solid[::-1].argmax(0), -1)  # lowest pixel by column
    touching = soles > soles.max() - SIDE // 9
    spots = np.zeros((SIDE, SIDE), np.uint8)
    for x in np.flatnonzero(touching):
        spots[soles[x] - 4 : soles[x] + 1, x] = 255
    flat = alpha.resize((SIDE, SIDE // 7), Image.Resampling.BOX)
    rows = np.asarray(flat, float).sum(1)
    middle = float((rows * np.arange(rows.size)).sum() / rows.sum())
    wide = Image.new("L", (SIDE, SIDE))
    wide.paste(flat, (0, round(float(soles[touching].mean()) - middle) - 2))
    wide = wide.filter(ImageFilter.GaussianBlur(10)).point([int(v * 0.5) for v in range(256)])
    tight = Image.fromarray(spots).filter(ImageFilter.GaussianBlur(4))
    return ImageChops.lighter(wide, tight.point([int(v * 0.5) for v in range(256)]))


def compose(image: Image.Image, stamp: Stamp) -> Image.Image:
    """Set a cut-out on its ground."""
    subject = image.convert("RGBA")
    if stamp.turn:
        big = subject.resize((subject.width * 2, subject.height * 2), Image.Resampling.LANCZOS)
        subject = big.rotate(stamp.turn, Image.Resampling.BICUBIC, expand=True)
    subject = subject.crop(subject.getchannel("A").getbbox())
    scale = stamp.fill * SIDE / max(subject.size)
    size = (round(subject.width * scale), round(subject.height * scale))
    subject = subject.resize(size, Image.Resampling.LANCZOS)
    span = 255 - stamp.choke
    levels = [max(0, round((v - stamp.choke) * 255 / span)) for v in range(256)]
    place = ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2)
    alpha = Image.new("L", (SIDE, SIDE))
    alpha.paste(subject.getchannel("A").point(levels), place)
    layer = Image.new("RGB", (SIDE, SIDE))
    layer.paste(subject.convert("RGB"), place)
    picture = ground(stamp.light, stamp.dark)
    if stamp.shadow != "none":
        picture.paste((34, 32, 36), mask=shade(alpha, stamp.shadow))
    picture.paste(layer, mask=alpha)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("skimage", "sklearn", "stamps"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    made = {p.name: cut(read(getattr(args, p.package), p.path), p.square) for p in PHOTOS}
    made |= {s.name: compose(read(args.stamps, s.path), s) for s in STAMPS}
    for name, picture in made.items():
        picture.save(args.out / f"{name}.jpg", quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()
