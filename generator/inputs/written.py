"""Pictures and texts of a dataset as a folder: a table of them, pictures in one folder a class."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from PIL import Image, UnidentifiedImageError

from generator.errors import CutawayError
from generator.inputs.images import open_rgb
from generator.inputs.passages import TABLE

CURATED = 10
# Pillow tells a JPEG that holds several pictures apart only once it is open.
_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp"}
_DECODERS = ("JPEG", "PNG", "WEBP", "BMP")
_COLUMNS = ("file", "label", "licence", "origin")
_UNLABELLED = "not labelled"
_LONGEST = 1_000  # characters of a passage: many datasets hold whole documents


@dataclass(frozen=True)
class Found:
    """One picture of a dataset, or a text: the bytes of its file, and what is known of it."""

    data: bytes
    label: str
    licence: str
    origin: str
    alt: str = ""


def write_pictures(found: Iterable[Found], folder: Path) -> int:
    """Write pictures below `folder` with `pool.csv` and `images.yml`; returns how many were left out.

    Labels and files are strangers' work: a label becomes a slug before it names a folder, and what does
    not open as a picture is left out. `images.yml` names the first picture of up to `CURATED` classes.
    Raises CutawayError if nothing is left.
    """
    folders: dict[str, str] = {}
    rows: list[dict[str, str]] = []
    left_out = 0
    for one in found:
        label = _plain(one.label) or _UNLABELLED
        group = folders.setdefault(label, _free_folder(label, folders))
        file = _write(one.data, folder / group, f"{group}-{len(rows):04d}")
        if file is None:
            left_out += 1
            continue
        row = {"file": f"{group}/{file.name}", "label": label, "licence": one.licence}
        rows.append({**row, "origin": one.origin, "alt": one.alt})
    if not rows:
        raise CutawayError("None of the dataset's pictures could be opened.")
    _write_tables(rows, folder)
    return left_out


def write_passages(found: Iterable[Found], folder: Path) -> int:
    """Write texts to the table `passages.csv`, labels as kinds; returns how many were left out.

    Of a long text the beginning is taken. What is empty or there already is left out. Raises CutawayError
    if nothing is left.
    """
    rows: dict[str, tuple[str, ...]] = {}
    left_out = 0
    for one in found:
        decoded = one.data.decode("utf-8", errors="replace")
        text = _beginning("\n".join(decoded.splitlines()).strip())  # as the table is read again
        if text and text not in rows:
            rows[text] = (text, _plain(one.label), one.licence, one.origin)
        else:
            left_out += 1
    if not rows:
        raise CutawayError("None of the dataset's texts could be read.")
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "kind", "licence", "origin"), *rows.values()])
    return left_out


def _beginning(text: str) -> str:
    """A text, cut at the last word that ends within `_LONGEST` characters."""
    whole_words = re.match(rf".{{1,{_LONGEST}}}(?!\S)", text, re.DOTALL)
    return (whole_words[0] if whole_words else text[:_LONGEST]).strip()


def _plain(label: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in label)
    return " ".join(printable.split())[:200]


def _free_folder(label: str, taken: Mapping[str, str]) -> str:
    """A folder's name for a label; labels that are spelt alike stay apart."""
    slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:60].strip("-") or "class"
    used = set(taken.values())
    if slug not in used:
        return slug
    return next(name for n in range(2, len(used) + 3) if (name := f"{slug}-{n}") not in used)


def _write(data: bytes, folder: Path, stem: str) -> Path | None:
    try:
        # Only the decoders of formats that a pool can hold: the bytes come from anywhere.
        with Image.open(io.BytesIO(data), formats=_DECODERS) as opened:
            suffix = _SUFFIXES[opened.format or ""]
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    folder.mkdir(exist_ok=True)
    path = folder / f"{stem}{suffix}"
    path.write_bytes(data)
    try:
        open_rgb(path)
    except CutawayError:
        path.unlink()
        return None
    return path


def _write_tables(rows: list[dict[str, str]], folder: Path) -> None:
    with (folder / "pool.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, _COLUMNS, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    first = {row["label"]: row for row in reversed(rows)}
    labels = sorted(first)
    chosen = [labels[n * len(labels) // CURATED] for n in range(CURATED)]
    curated = [first[label] for label in dict.fromkeys(chosen)]
    text = yaml.safe_dump(curated, allow_unicode=True, sort_keys=False)
    (folder / "images.yml").write_text(text, encoding="utf-8")
