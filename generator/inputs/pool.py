"""A pool of pictures that exemplars are searched in: a folder, with or without a table."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from generator.errors import CutawayError, UsageError
from generator.exhibit import Exhibit
from generator.files import read_text
from generator.inputs.images import pictures_in

_TABLE = "pool.csv"
_BESIDE = (_TABLE, "images.yml")
_PHOTOGRAPH = "photograph: "  # before the name of one, which may be that of a file
_COLUMNS = {"file", "label", "licence", "origin"}


@dataclass(frozen=True)
class PoolPicture:
    """One picture of a pool. `group` names its class: the folder it lies in, if no table says otherwise.

    Pictures with one `subject` show the same thing (another view, the same drawing, crops of one photograph,
    the same bytes): what is learned from one of them is not news about another. It is the file of the first
    view, the name of the photograph, or the digest of a picture outside the pool. `classes` are the names
    that would be right for it.
    """

    id: str
    path: Path
    label: str
    group: str
    licence: str
    origin: str
    sha256: str
    subject: str
    classes: tuple[str, ...] = ()


def image_pool(exhibit: Exhibit) -> tuple[PoolPicture, ...]:
    """The exhibit's pool in a fixed order; empty if it names none.

    A table `pool.csv` in the folder or beside it gives label, licence and origin. It may say of which other
    file a picture is a variant (`variant_of`: one of the pool, or any other by its path from the table), of
    which `photograph` it is a crop (any name), to which `class` it belongs (none if the cell is empty), and
    which `classes` of a network are right for it, with a semicolon between them; without that column it is
    the label, and without a table the folder.

    Raises UsageError for a missing folder, and for one without a picture.
    """
    if not exhibit.pool:
        return ()
    folder = exhibit.base / exhibit.pool
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of pictures.")
    files = pictures_in(folder, "**/*", _BESIDE)
    table = _table(folder)
    taken: dict[str, int] = {}
    return _joined([_picture(file, folder, table, taken) for file in files])


def _joined(pictures: Sequence[PoolPicture]) -> tuple[PoolPicture, ...]:
    """The pictures, with one subject for those that have the same bytes, and for all of their subjects."""
    of_bytes: dict[str, str] = {}
    same: dict[str, str] = {}

    def first(subject: str) -> str:
        while subject in same:
            subject = same[subject]
        return subject

    for one in pictures:
        mine, earlier = first(one.subject), first(of_bytes.setdefault(one.sha256, one.subject))
        if mine != earlier:
            same[mine] = earlier
    return tuple(replace(one, subject=first(one.subject)) for one in pictures)


def _picture(
    file: Path, folder: Path, table: Mapping[str, Mapping[str, str]], taken: dict[str, int]
) -> PoolPicture:
    relative = file.relative_to(folder)
    stated = table.get(relative.as_posix(), {})
    slug = re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-") or "picture"
    taken[slug] = taken.get(slug, 0) + 1
    return PoolPicture(
        id=slug if taken[slug] == 1 else f"{slug}-again-{taken[slug]}",
        path=file,
        label=stated.get("label") or slug.replace("-", " "),
        group=stated["class"] or "" if "class" in stated else _folder(relative),
        licence=stated.get("licence") or "not stated",
        origin=stated.get("origin") or "not stated",
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        subject=_outside(_subject(relative.as_posix(), table), folder),
        classes=_classes(stated, relative),
    )


def _classes(stated: Mapping[str, str], relative: Path) -> tuple[str, ...]:
    if "classes" in stated:
        named = [name.strip() for name in (stated["classes"] or "").split(";")]
    else:
        named = [stated.get("label") or _folder(relative)]
    return tuple(name for name in named if name)


def _folder(relative: Path) -> str:
    return relative.parts[0] if len(relative.parts) > 1 else ""


def _subject(file: str, table: Mapping[str, Mapping[str, str]]) -> str:
    """The photograph, or the file, at the end of the chain of variants that starts at `file`."""
    seen = [file]
    while (origin := table.get(seen[-1], {}).get("variant_of")) and origin not in seen:
        seen.append(origin)
    # Files that name each other in a circle are one subject all the same.
    last = min(seen) if origin else seen[-1]
    photograph = (table.get(last, {}).get("photograph") or "").strip()
    return f"{_PHOTOGRAPH}{photograph}" if photograph else last


def _outside(subject: str, folder: Path) -> str:
    """A file of the pool by its name; any other, which a table names by its path, by its digest."""
    if subject.startswith(_PHOTOGRAPH) or (folder / subject).is_file():
        return subject
    path = folder.parent / subject
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else subject


def _table(folder: Path) -> dict[str, dict[str, str]]:
    for path in (folder / _TABLE, folder.parent / _TABLE):
        if path.is_file():
            rows = list(csv.DictReader(io.StringIO(read_text(path))))
            if rows and not set(rows[0]) >= _COLUMNS:
                raise CutawayError(f"{path}: needs the columns {', '.join(sorted(_COLUMNS))}.")
            return {row["file"]: row for row in rows}
    return {}
