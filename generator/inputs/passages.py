"""A pool of texts that the units of models which read are searched in: a table, a folder, or a plain file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from generator.errors import UsageError, did_you_mean
from generator.exhibit import Exhibit
from generator.files import files_in, read_text, some_of, tell
from generator.yaml_schema import PATTERNS, SLUG

TABLE = "passages.csv"
LONGEST = 20_000
_ABOUT = ("kind", "language", "licence", "origin")
_FORMS = "a table (.csv), a folder of .txt files, or a plain file (.txt) with one passage a line"

Row = Mapping[str, str]


@dataclass(frozen=True)
class Passage:
    """One text of a pool, and what is known of it.

    `kind` is its group, such as prose or code; `language` a code of ISO 639, or the name of a programming
    language.
    """

    id: str
    text: str
    kind: str = ""
    language: str = ""
    licence: str = "not stated"
    origin: str = "not stated"


def passage_pool(exhibit: Exhibit) -> tuple[Passage, ...]:
    """The exhibit's pool of texts in a fixed order; empty if it names none.

    A table has the columns `id`, `text`, `kind`, `language`, `licence` and `origin`; only `text` must be
    there. In a folder each .txt file is a passage, and the folder that it lies in its kind; a table
    `passages.csv` in it, which names each by its `file`, may say more.

    Raises UsageError for what is missing, empty or too long, and where two have one id or one text.
    """
    if not exhibit.passages:
        return ()
    place = exhibit.base / exhibit.passages
    if place.is_dir():
        found = list(_of_folder(place))
    elif place.suffix.lower() == ".csv":
        found = list(_of_table(place))
    elif place.suffix.lower() == ".txt" or not place.exists():
        found = list(_of_lines(place))
    else:
        raise UsageError(f"{place}: holds no passages.", f"Passages are {_FORMS}.")
    if not found:
        raise UsageError(f"{place}: holds no passage.", f"Passages are {_FORMS}.")
    _refuse_repeats(found)
    return tuple(passage for _, passage in found)


# Each passage goes with where it was read: the file, and the line if there are several in it.
Read = Iterator[tuple[str, Passage]]


def _of_table(path: Path) -> Read:
    for number, (where, row) in enumerate(_rows(path, "text", ("id", "text", *_ABOUT)), start=1):
        name = row.get("id") or f"passage-{number}"
        if not re.fullmatch(SLUG, name):
            raise UsageError(f"{where}: the id {name!r} will not do; write {PATTERNS[SLUG]}.")
        yield where, _passage(where, name, row["text"], row)


def _of_lines(path: Path) -> Read:
    lines = read_text(path, "table, folder or file of passages").split("\n")
    stated = ((number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip())
    for count, (number, line) in enumerate(stated, start=1):
        where = f"{path}, line {number}"
        yield where, _passage(where, f"passage-{count}", line, {})


def _of_folder(folder: Path) -> Read:
    every = [file for file in files_in(folder, "**/*") if file != folder / TABLE]
    files = {file.relative_to(folder).as_posix(): file for file in every if file.suffix == ".txt"}
    others = [file.relative_to(folder).as_posix() for file in every if file.suffix != ".txt"]
    if others:
        tell(f"{folder}: not read, since it is no passage (.txt): {some_of(others)}.")
    stated = _of_files(folder / TABLE, files)
    taken: dict[str, int] = {}
    for name, file in files.items():
        kind = {"kind": name.partition("/")[0]} if "/" in name else {}
        row = kind | {key: value for key, value in stated.get(name, {}).items() if value}
        slug = re.sub(r"[^a-z0-9]+", "-", name.removesuffix(".txt").lower()).strip("-") or "passage"
        taken[slug] = taken.get(slug, 0) + 1  # no slug has a dot, so that no other is called so
        free = slug if taken[slug] == 1 else f"{slug}.again-{taken[slug]}"
        yield str(file), _passage(str(file), free, read_text(file), row)


def _of_files(table: Path, files: Collection[str]) -> dict[str, Row]:
    """What the table of a folder says of its files. Raises UsageError for a file that is not there."""
    found: dict[str, Row] = {}
    for where, row in _rows(table, "file", ("file", *_ABOUT)) if table.is_file() else ():
        if row["file"] not in files:
            hint = did_you_mean(row["file"], files) if files else ""
            raise UsageError(f"{where}: there is no passage '{row['file']}'. {hint}")
        if row["file"] in found:
            raise UsageError(f"{where}: the file '{row['file']}' is stated a second time.")
        found[row["file"]] = row
    return found


def _passage(where: str, name: str, text: str, row: Row) -> Passage:
    text = text.rstrip("\n")
    if not text.strip():
        raise UsageError(f"{where}: the text of '{name}' is empty.")
    if len(text) > LONGEST:
        raise UsageError(f"{where}: the text of '{name}' has more than {LONGEST:,} characters.")
    return replace(Passage(name, text), **{key: row[key] for key in _ABOUT if row.get(key)})


def _rows(path: Path, needed: str, columns: Collection[str]) -> Iterator[tuple[str, Row]]:
    """The rows of a table, each with its file and line. Raises UsageError for what is no table of these."""
    reader = csv.reader(io.StringIO(read_text(path, "table of passages"), newline=""), strict=True)
    header: list[str] = []
    line = 1
    try:
        for cells in reader:
            where, line = f"{path}, line {line}", reader.line_num + 1
            if cells and not header:
                header = _header(where, [cell.strip() for cell in cells], needed, columns)
            elif cells and len(cells) != len(header):
                counts = f"{len(cells)} cells, and the table {len(header)} columns"
                raise UsageError(
                    f"{where}: the row has {counts}.", 'Write "..." around a text with commas.'
                )
            elif cells:
                stated = zip(header, cells, strict=True)
                yield where, {key: cell if key == "text" else cell.strip() for key, cell in stated}
    except csv.Error as error:
        raise UsageError(f"{path}, line {line}: no row of a table: {error}.") from error


def _header(where: str, named: list[str], needed: str, columns: Collection[str]) -> list[str]:
    for name in named:
        if name not in columns:
            raise UsageError(f"{where}: unknown column '{name}'. {did_you_mean(name, columns)}")
        if named.count(name) > 1:
            raise UsageError(f"{where}: the column '{name}' is there twice.")
    if needed not in named:
        raise UsageError(f"{where}: the column '{needed}' is missing.")
    return named


def _refuse_repeats(found: list[tuple[str, Passage]]) -> None:
    """Raises UsageError where two passages have one id, or one text."""
    ids: dict[str, str] = {}
    texts: dict[str, str] = {}
    for where, one in found:
        if one.id in ids:
            raise UsageError(f"{where}: the id '{one.id}' is used already, in {ids[one.id]}.")
        if one.text in texts:
            raise UsageError(f"{where}: '{one.id}' has the same text as '{texts[one.text]}'.")
        ids[one.id], texts[one.text] = where, one.id
