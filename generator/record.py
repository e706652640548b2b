"""The record of a published tree, `cutaway.json`: every file that was made, with its size and digests.

What is published is what stands there; and what a host holds is Cutaway's where its record says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from generator import __version__
from generator.store import write_atomically

RECORD = "cutaway.json"
_SCHEMA = 1


@dataclass(frozen=True)
class Entry:
    """The size of a file, its SHA-256, and the SHA-1 by which git knows it."""

    size: int
    sha256: str
    git: str

    @classmethod
    def of(cls, data: bytes) -> Entry:
        """The entry of a file that holds `data`."""
        blob = b"blob %d\0" % len(data) + data
        return cls(len(data), hashlib.sha256(data).hexdigest(), hashlib.sha1(blob).hexdigest())


Record = Mapping[str, Entry]


def write_record(folder: Path) -> None:
    """Record every file of a folder in it; hidden ones and links are none of its files."""
    write_atomically(folder / RECORD, as_json(_entries(folder)))


def _entries(folder: Path) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not path.is_symlink() and not hidden and name.as_posix() != RECORD:
            found[name.as_posix()] = Entry.of(path.read_bytes())
    return found


def as_json(entries: Record) -> bytes:
    """A record as it is written: a line for each file."""
    lines = (
        f"  {json.dumps(name)}: {json.dumps([one.size, one.sha256, one.git])}"
        for name, one in sorted(entries.items())
    )
    made_by = json.dumps({"name": "cutaway", "version": __version__})
    files = "{\n" + ",\n".join(lines) + "\n}"
    return f'{{"schema": {_SCHEMA}, "generator": {made_by}, "files": {files}}}\n'.encode()


def read_record(data: bytes) -> dict[str, Entry]:
    """The entries of a record. Raises ValueError where it is none, or of another schema."""
    try:
        stated = json.loads(data)
        if stated["schema"] != _SCHEMA:
            raise ValueError(f"it has schema {stated['schema']!r}")
        return {
            str(name): Entry(int(size), str(sha256), str(git))
            for name, (size, sha256, git) in stated["files"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("it is no record of Cutaway's") from error
