"""Make the picture pool: photographs of the Tux Paint stamps set on soft, muted grounds.

Usage::

    python make_pool.py /usr/share/tuxpaint/stamps pool

The first argument is the folder ``stamps`` of Tux Paint's stamp collection (Debian package
tuxpaint-stamps-default 2022.06.04).  The chosen stamps, with their folders, labels, licences,
origins and the ImageNet classes that they show, if any, stand in ``make_pool.csv``, and which curated
picture shows the same stamp; ``pool.csv``
(one row a picture) is written beside the output folder.  Nothing is random: grounds and variants
follow from the names of the pictures.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections.abc import Callable
from colorsys import hls_to_rgb
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SIDE = 192
QUALITY = 82
MOST = 2.0  # a stamp is enlarged at most so much
FIELDS = ("file", "class", "label", "licence", "origin", "variant_of", "classes", "photograph")


@dataclass(frozen=True)
class View:
    """How one picture shows its stamp: the first is the plain one, the others are variants."""

    fill: float  # longer side of the subject, as a part of the frame
    mirror: bool = False
    turn: float = 0.0  # degrees, anticlockwise
    shift: tuple[float, float] = (0.0, 0.0)  # from the middle, as a part of the frame


VIEWS = (
    View(0.83),
    View(0.70, mirror=True, shift=(0.05, -0.03)),
    View(0.78, turn=16.0, shift=(-0.04, 0.02)),
    View(0.88, mirror=True, turn=10.0),
)


def draws(name: str, count: int) -> list[float]:
    """Numbers from 0 to 1 that follow from the name."""
    digest = hashlib.sha256(name.encode()).digest()
    return [byte / 255 for byte in digest[:count]]


def luminance(subject: Image.Image) -> float:
    """The mean lightness of the opaque pixels, from 0 to 1."""
    grey = np.asarray(subject.convert("RGB").convert("L"), float) / 255
    weight = np.asarray(subject.getchannel("A"), float)
    return float((grey * weight).sum() / weight.sum())


def ground(name: str, subject: Image.Image) -> Image.Image:
    """A soft gradient in a muted tone that the subject stands out from, with a trace of noise."""
    hue, tint, tone, slope, left, top = draws(name, 6)
    light = luminance(subject)
    low, high = (0.62, 0.84) if light < 0.38 else (0.36, 0.54) if light > 0.60 else (0.44, 0.82)
    tone = low + (high - low) * tone
    if 0.38 <= light <= 0.60 and abs(tone - light) < 0.12:
        tone = light + 0.17
    near, far = (
        255 * np.array(hls_to_rgb(hue, value, 0.03 + 0.11 * tint))
        for value in (min(tone + 0.05, 0.92), tone - 0.08 - 0.08 * slope)
    )
    y, x = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)
    distance = np.hypot(x - 0.25 - 0.5 * left, y - 0.15 - 0.5 * top)
    part = np.clip(distance / 0.95, 0, 1)[..., None] ** 1.3
    noise = np.random.default_rng(0).normal(0, 0.7, (SIDE, SIDE, 1))
    pixels = near * (1 - part) + far * part + noise
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def cut_out(path: Path, choke: int) -> Image.Image:
    """Open a stamp and crop it; alpha below `choke` becomes clear, which takes off pale fringes."""
    subject = Image.open(path).convert("RGBA")
    levels = [max(0, round((v - choke) * 255 / (255 - choke))) for v in range(256)]
    alpha = subject.getchannel("A").point(levels)
    if choke > 128:  # a hard edge with a dashed outline: take two pixels off and soften
        alpha = alpha.filter(ImageFilter.MinFilter(5)).filter(ImageFilter.GaussianBlur(0.6))
    mask = np.array(alpha)
    for _ in range(4):  # a line along a border that touches nothing is no part of the subject
        mask = np.rot90(mask)
        if not mask[1].any():
            mask[0] = 0
    alpha = Image.fromarray(mask)
    subject.putalpha(alpha)
    return subject.crop(alpha.point([0] * 24 + [255] * 232).getbbox())


def compose(subject: Image.Image, name: str, view: View, shadow: bool) -> Image.Image:
    """Set a cut-out on the ground of its name."""
    if view.mirror:
        subject = subject.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scale = min(view.fill * SIDE / max(subject.size), MOST)
    size = (max(1, round(subject.width * scale)), max(1, round(subject.height * scale)))
    small = subject.resize(size, Image.Resampling.LANCZOS)
    if view.turn:
        small = small.rotate(view.turn, Image.Resampling.BICUBIC, expand=True)
    corner = [
        min(max(round((SIDE - length) / 2 + part * SIDE), 2), max(2, SIDE - length - 2))
        for length, part in zip(small.size, view.shift, strict=True)
    ]
    layer = Image.new("RGBA", (SIDE, SIDE))
    layer.paste(small, (corner[0], corner[1]))
    picture = ground(name, small)
    if shadow:
        under = Image.new("L", (SIDE, SIDE))
        under.paste(small.getchannel("A"), (corner[0] + 2, corner[1] + 5))
        under = under.filter(ImageFilter.GaussianBlur(5)).point([int(v * 0.4) for v in range(256)])
        picture.paste((34, 32, 36), mask=under)
    picture.paste(layer.convert("RGB"), mask=layer.getchannel("A"))
    return picture


def write_table(pool: Path, rows: list[list[str]], kept: Callable[[str], bool]) -> None:
    """Write rows into the table beside the pool, in place of all that are not `kept`, by their file."""
    path = pool.with_suffix(".csv")
    old: list[list[str]] = []
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as table:
            old = [[row.get(field, "") for field in FIELDS] for row in csv.DictReader(table)]
    with path.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerows([FIELDS, *sorted([row for row in old if kept(row[0])] + rows)])


def main() -> None:
    """Read the chosen stamps, write the pictures and their table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stamps", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    rows = []
    with Path(__file__).with_suffix(".csv").open(newline="", encoding="utf-8") as source:
        chosen = list(csv.DictReader(source))
    for stamp in chosen:
        subject = cut_out(args.stamps / stamp["stamp"], int(stamp["choke"]))
        plain = f"{stamp['class']}/{stamp['label'].replace(' ', '-')}"
        for number, view in enumerate(VIEWS[: 1 + int(stamp["variants"])], start=1):
            name = plain if number == 1 else f"{plain}-{number}"
            picture = compose(subject, name, view, stamp["shadow"] == "1")
            path = args.out / f"{name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path, quality=QUALITY, optimize=True)
            of = stamp["curated"] if number == 1 else f"{plain}.jpg"
            shared = [stamp[field] for field in FIELDS[1:5]]
            rows.append([f"{name}.jpg", *shared, of, stamp["classes"], ""])
    groups = {row[1] for row in rows}
    write_table(args.out, rows, kept=lambda file: file.split("/")[0] not in groups)


if __name__ == "__main__":
    main()
