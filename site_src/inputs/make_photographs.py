"""Cut natural photographs out of Debian packages into the picture pool.

Usage::

    apt-get download gcompris-qt-data lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 \\
        mate-backgrounds tuxpaint-data
    python make_photographs.py FOLDER_OF_PACKAGES pool

``make_photographs.csv`` names the photographs, what they show and how many squares are cut at most; author,
licence and source are read in the package itself: in its ``debian/copyright``, or in the README beside the
picture. What these do not state clearly is refused. Nothing is installed or unpacked to disk.

The squares are as high as the photograph, or half as high, on a grid of half their side. The first is the
full square with most detail (which is what is in focus), the others are half squares, most detail first.
Left out are squares that are nearly flat, overlap one of the same size, or look like one cut before.
"""

from __future__ import annotations

import argparse
import csv
import fnmatch
import hashlib
import io
import re
import struct
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from make_pool import FIELDS, write_table
from PIL import Image, ImageOps

SIDE = 256
QUALITY = 78
LEAST = 190  # pixels of a square's side: fewer would be enlarged too much
FLAT = 0.012  # mean difference of neighbouring pixels, of 1
SAME = 0.92  # correlation of two small pictures
FOLDER = "photograph"
ACTIVITIES = "gcompris/src/activities/"
LICENCES = {
    "cc0-1.0": "CC0-1.0",
    "public domain": "LicenseRef-Public-Domain",
    "gpl-2+": "GPL-2.0-or-later",
    "gplv2+": "GPL-2.0-or-later",
    **{f"cc-by-{n}": f"CC-BY-{n}" for n in ("2.0", "3.0", "4.0")},
    **{f"cc-by-sa-{n}": f"CC-BY-SA-{n}" for n in ("2.0", "3.0", "4.0")},
}


@dataclass(frozen=True)
class Package:
    """A package as it must be, where its pictures lie, and how its copyright file names that folder."""

    version: str
    sha256: str
    folder: str
    named: str = ""


PACKAGES = {
    "gcompris-qt-data": Package(
        "3.1-2",
        "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
        "usr/share/gcompris-qt/rcc/",
    ),
    "lomiri-wallpapers-16.04": Package(
        "20.04.0-2",
        "a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab",
        "usr/share/backgrounds/",
        "16.04/",
    ),
    "lomiri-wallpapers-20.04": Package(
        "20.04.0-2",
        "d44e89b8473aafe64a5b678f014862dc31335aaaf18665c544d985d854f1a709",
        "usr/share/backgrounds/",
        "20.04/",
    ),
    "mate-backgrounds": Package(
        "1.26.0-1",
        "7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04",
        "usr/share/backgrounds/mate/",
    ),
    "tuxpaint-data": Package(
        "1:0.9.28-sdl2-1",
        "f5d0de8f9a70d2efc1241d19f26168cb8bf279f1b77abd3631e7a1a55c40e5e5",
        "usr/share/tuxpaint/",
    ),
}


@dataclass(frozen=True)
class Stated:
    """What a package says of one photograph."""

    author: str
    licence: str
    source: str

    @property
    def origin(self) -> str:
        """Author and source, as the pool states them."""
        return f"{self.author}, {self.source}"


def members(path: Path, package: Package) -> dict[str, bytes]:
    """The plain files of a Debian package by name, held in memory. Its digest must be the known one."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != package.sha256:
        raise SystemExit(f"{path}: not the package that was looked at (SHA-256).")
    with tarfile.open(fileobj=io.BytesIO(_part(data, b"data.tar"))) as archive:
        return {
            one.name.removeprefix("./"): archive.extractfile(one).read()
            for one in archive
            if one.isfile()
        }


def _part(data: bytes, wanted: bytes) -> bytes:
    """One member of an `ar` archive, by the beginning of its name."""
    at = 8
    while at + 60 <= len(data):
        name, size = data[at : at + 16], int(data[at + 48 : at + 58])
        if name.startswith(wanted):
            return data[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    raise SystemExit(f"no {wanted.decode()} in the package")


def resources(data: bytes) -> dict[str, bytes]:
    """The files of a Qt resource collection (version 3) by name."""
    magic, version, tree, start, names, _ = struct.unpack_from(">4sIIIII", data)
    if magic != b"qres" or version != 3:
        raise SystemExit("not a resource collection of version 3")
    found: dict[str, bytes] = {}

    def walk(node: int, folder: str) -> None:
        at = tree + 22 * node
        name_at, flags = struct.unpack_from(">IH", data, at)
        (length,) = struct.unpack_from(">H", data, names + name_at)
        raw = data[names + name_at + 6 : names + name_at + 6 + 2 * length]
        path = folder + raw.decode("utf-16-be") if node else ""
        if flags & 2:
            count, child = struct.unpack_from(">II", data, at + 6)
            for each in range(child, child + count):
                walk(each, f"{path}/" if path else "")
            return
        (offset,) = struct.unpack_from(">I", data, at + 10)
        (size,) = struct.unpack_from(">I", data, start + offset)
        content = data[start + offset + 4 : start + offset + 4 + size]
        found[path] = zlib.decompress(content[4:]) if flags & 1 else content

    walk(0, "")
    return found


def by_readme(files: Mapping[str, bytes], path: str) -> Stated:
    """What the README above a picture says of it: paragraphs of Copyright, Source, License and Files."""
    folder = path
    while f"{folder}/README" not in files:
        folder, _, rest = folder.rpartition("/")
        if not rest:
            raise SystemExit(f"{path}: no README says whose it is")
    for text in re.split(r"\n\s*\n", files[f"{folder}/README"].decode()):
        fields = dict(re.findall(r"^(\w+):\s*(.*(?:\n(?!\w+:).*)*)", text, re.MULTILINE))
        if path.removeprefix(f"{folder}/") in fields.get("Files", "").split():
            return stated(fields["Copyright"], fields["License"], fields["Source"].strip())
    raise SystemExit(f"{path}: its README does not name it")


def by_copyright(text: str, path: str, source: str) -> Stated:
    """What `debian/copyright` says of a file: the last paragraph with a pattern that fits."""
    found: dict[str, str] = {}
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^(\w+):\s*(.*(?:\n[ \t].*)*)", paragraph, re.MULTILINE))
        if any(fnmatch.fnmatchcase(path, one) for one in fields.get("Files", "").split()):
            found = fields
    return stated(found["Copyright"], found["License"], source)


def stated(copyright_: str, licence: str, source: str) -> Stated:
    """Authors without years and addresses, and the licence's SPDX identifier."""
    lines = []
    for line in copyright_.splitlines():
        name = re.sub(r"<[^>]*>|[©\"´]|\b(19|20)\d\d\b", "", line)
        lines.append(re.sub(r"\s+", " ", name).strip(" .,-"))
    known = re.sub(r"^(cc-by(-sa)?) ", r"\1-", licence.strip().lower())
    if known not in LICENCES or not all(lines):
        raise SystemExit(f"{source}: not clear enough: {copyright_!r}, {licence!r}")
    return Stated(" and ".join(lines), LICENCES[known], source)


def squares(width: int, height: int, part: float) -> Iterator[tuple[int, int, int, int]]:
    """Squares of a part of the shorter side, as boxes on a grid of half their side."""
    side = int(min(width, height) * part)
    if side < LEAST:
        return
    for top in _steps(height - side, side):
        for left in _steps(width - side, side):
            yield left, top, left + side, top + side


def _steps(room: int, side: int) -> list[int]:
    count = max(1, round(room / (side / 2))) if room > side / 8 else 0
    return [round(room * n / count) for n in range(count + 1)] if count else [room // 2]


def grey(square: Image.Image, side: int) -> np.ndarray:
    """Lightness from 0 to 1 of a square made small."""
    small = square.convert("L").resize((side, side), Image.Resampling.BOX)
    return np.asarray(small, np.float64) / 255


def detail(square: Image.Image) -> float:
    """Mean difference of neighbouring pixels, at one size for all squares."""
    pixels = grey(square, 96)
    return (
        float(np.abs(np.diff(pixels, axis=0)).mean() + np.abs(np.diff(pixels, axis=1)).mean()) / 2
    )


def overlap(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two boxes of one size share more than a sliver."""
    same = one[2] - one[0] == other[2] - other[0]
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return same and across > 0 and down > 0 and across * down > 0.1 * (one[2] - one[0]) ** 2


def cut(picture: Image.Image, most: int, seen: list[np.ndarray]) -> list[tuple[Image.Image, float]]:
    """At most so many squares of a photograph, with the part of its height that each has.

    `seen` are small ones of all that were cut before; those of this photograph are added.
    """
    taken: list[tuple[int, int, int, int]] = []
    found: list[tuple[Image.Image, float]] = []
    for part, count in ((1.0, 1), (0.5, most)):
        boxes = {box: detail(picture.crop(box)) for box in squares(*picture.size, part)}
        for box in sorted(boxes, key=lambda each: (-round(boxes[each], 4), each)):
            small = grey(picture.crop(box), 16).ravel()
            flat = boxes[box] < FLAT or np.ptp(small) < 0.1
            if len(found) == count or flat or any(overlap(box, other) for other in taken):
                continue
            if any(np.corrcoef(small, other)[0, 1] > SAME for other in seen):
                continue
            seen.append(small)
            taken.append(box)
            square = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box)
            found.append((square, part))
    return found


def photograph(files: Mapping[str, bytes], name: str, file: str) -> tuple[Image.Image, Stated]:
    """A photograph of a package, and what the package says of it."""
    package = PACKAGES[name]
    if name == "gcompris-qt-data":
        inside = resources(files[f"{package.folder}{file.split('/')[0]}.rcc"])
        data, said = inside[ACTIVITIES + file], by_readme(inside, ACTIVITIES + file)
    else:
        data = files[package.folder + file]
        text = files[f"usr/share/doc/{name}/copyright"].decode()
        source = f"{file} in the Debian package {name} {package.version}"
        said = by_copyright(text, package.named + file, source)
    with Image.open(io.BytesIO(data)) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB"), said


def main() -> None:
    """Cut the chosen photographs and put them into the pool's table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    (args.out / FOLDER).mkdir(parents=True, exist_ok=True)
    held = {
        name: members(args.packages / f"{name}_{one.version.replace(':', '%3a')}_all.deb", one)
        for name, one in PACKAGES.items()
    }
    with Path(__file__).with_suffix(".csv").open(newline="", encoding="utf-8") as source:
        chosen = list(csv.DictReader(source))
    rows, seen = [], []
    for one in chosen:
        picture, said = photograph(held[one["package"]], one["package"], one["file"])
        name = re.sub(r"[^a-z0-9]+", "-", one["label"].lower())
        for number, (square, part) in enumerate(cut(picture, int(one["crops"]), seen), start=1):
            file = f"{FOLDER}/{name}-{number}.webp"
            square.save(args.out / file, quality=QUALITY, method=6)
            # Half a photograph of a koala may show its tree.
            label = one["label"] if part == 1.0 else f"{one['label']} (detail)"
            row = {"file": file, "label": label, "licence": said.licence}
            row |= {"origin": said.origin, "photograph": name}
            rows.append([row.get(field, "") for field in FIELDS])
    write_table(args.out, rows, kept=lambda file: not file.startswith(f"{FOLDER}/"))


if __name__ == "__main__":
    main()
