"""A card that is written anew keeps what people wrote into it.

Each generated section stands between two comments, with a digest of what was written:

    <!-- cutaway:begin evaluation 0123456789ab -->
    ## Evaluation run here
    ...
    <!-- cutaway:end -->

What stands outside is the user's and stays where it is. A section whose text no longer has its digest was
edited by hand and is kept too, unless it shall be overwritten. One that is not wanted is emptied, with its
comments left in place.

The metadata is kept key by key: a comment behind it holds a digest of each value that was written. Keys that
the user added or changed stay; lists are joined.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from generator.errors import UsageError
from generator.files import read_text

INDEX = "model-index"
_FRONT = re.compile(r"\A---\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_RECORD = re.compile(r"\A\s*<!-- cutaway:metadata ([^>]*?) ?-->[ \t]*\n?")
_MADE = re.compile(
    r"<!-- cutaway:begin ([^\s>]+) ([0-9a-f]{12}) -->\n(.*?)\n?<!-- cutaway:end -->", re.DOTALL
)
# Where the metadata names what was measured here.
_OURS = "cutaway-"


@dataclass(frozen=True)
class Written:
    """A README.md, and the names of what was kept because it had been edited by hand."""

    text: str
    kept: tuple[str, ...]


def digest(value: Any) -> str:
    """Twelve hexadecimal digits that change with the value."""
    plain = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()[:12]


def merged(
    old: str, data: Mapping[str, Any], parts: Sequence[tuple[str, str]], *, overwrite: bool = False
) -> Written:
    """A card of new metadata and new sections (name, text), with what the user wrote into the old one.

    Raises UsageError if the old metadata is no YAML mapping.
    """
    before, record, body = _split(old)
    stated, marks, kept = _metadata(before, record, data, overwrite)
    text, edited = _sections(body, parts, overwrite)
    front = yaml.safe_dump(stated, sort_keys=False, allow_unicode=True, width=10_000)
    noted = " ".join(f"{key}={mark}" for key, mark in marks.items())
    head = f"---\n{front}---\n<!-- cutaway:metadata {noted} -->\n\n"
    return Written(f"{head}{text.strip()}\n", (*kept, *edited))


def read_card(path: Path) -> str:
    """The text of a card; empty if there is none. Raises UsageError if it cannot be read."""
    return read_text(path) if path.is_file() else ""


def _split(old: str) -> tuple[dict[str, Any], dict[str, str], str]:
    """The metadata, the digests of what was generated of it, and what follows."""
    front = _FRONT.match(old)
    stated: Any = {}
    if front:
        try:
            stated = yaml.safe_load(front[1]) or {}
        except yaml.YAMLError as error:
            raise UsageError(
                f"The metadata of the card that is there is not YAML: {error}"
            ) from error
        if not isinstance(stated, dict):
            raise UsageError("The metadata of the card that is there is no mapping of keys.")
    rest = old[front.end() :] if front else old
    record = _RECORD.match(rest)
    pairs = (pair.partition("=") for pair in (record[1].split() if record else ()))
    return stated, {key: mark for key, _, mark in pairs}, rest[record.end() :] if record else rest


def _metadata(
    old: Mapping[str, Any], record: Mapping[str, str], new: Mapping[str, Any], overwrite: bool
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """The metadata to write, the digests of what is generated of it, and the keys that were kept."""
    stated: dict[str, Any] = {}
    kept: list[str] = []
    for key, value in old.items():
        untouched = record.get(key) == digest(value)
        if key in new:
            replaces = untouched or (overwrite and key in record)
            stated[key] = new[key] if replaces else _joined(key, value, new[key])
            if not replaces and stated[key] == value != new[key]:
                kept.append(f"metadata: {key}")
        elif not untouched:
            stated[key] = value
    # A generated key that was taken out stays out.
    for key, value in new.items():
        if key not in old and (overwrite or key not in record):
            stated[key] = value
    return stated, {key: digest(value) for key, value in new.items()}, kept


def _joined(key: str, mine: Any, generated: Any) -> Any:
    """What the user has of a key, with what is generated added where it is a list."""
    if key == INDEX:
        return _index(mine, generated)
    if isinstance(mine, list) and isinstance(generated, list):
        return [*generated, *(each for each in mine if each not in generated)]
    return mine


def _index(mine: Any, generated: Any) -> Any:
    """The generated model-index with the user's own results behind it."""
    try:
        results = [one for entry in mine for one in entry["results"]]
        theirs = [one for one in results if not one["dataset"]["type"].startswith(_OURS)]
    except (TypeError, KeyError, AttributeError):
        return mine
    first, *rest = generated
    return [{**first, "results": [*first["results"], *theirs]}, *rest]


def _sections(
    body: str, parts: Sequence[tuple[str, str]], overwrite: bool
) -> tuple[str, list[str]]:
    """The old text with its generated sections renewed, and the names of those kept as they are."""
    fresh = dict(parts)
    pieces: list[tuple[str, str]] = []  # name of a section, or "" for the user's text
    edited: list[str] = []
    end = 0
    for match in _MADE.finditer(body):
        name, mark, text = match.groups()
        pieces.append(("", body[end : match.start()]))
        end = match.end()
        if any(name == known for known, _ in pieces):
            pieces.append(("", match[0]))  # a copy that the user made
        elif digest(text) != mark and not overwrite:
            pieces.append((name, match[0]))
            edited.append(name)
        elif name in fresh:
            pieces.append((name, _marked(name, fresh[name])))
        else:
            pieces.append((name, ""))
    pieces.append(("", body[end:]))
    _insert(pieces, parts)
    return _put_together(pieces), edited


def _insert(pieces: list[tuple[str, str]], parts: Sequence[tuple[str, str]]) -> None:
    """Put sections that are new behind the one that precedes them, or behind all that is there."""
    names = [name for name, _ in pieces]
    titled = any(not name and re.search(r"^# ", text, re.MULTILINE) for name, text in pieces)
    place = next((n for n, name in enumerate(names) if name), len(pieces))
    for name, text in parts:
        known = [n for n, (each, _) in enumerate(pieces) if each == name]
        if known:
            place = known[0] + 1
        elif not (name == "title" and titled):  # a card of the user's has a title of its own
            pieces.insert(place, (name, _marked(name, text)))
            place += 1


def _put_together(pieces: Sequence[tuple[str, str]]) -> str:
    """All pieces, with an empty line between them."""
    return "\n\n".join(text.strip("\n") for _, text in pieces if text.strip())


def _marked(name: str, text: str) -> str:
    return f"<!-- cutaway:begin {name} {digest(text)} -->\n{text}\n<!-- cutaway:end -->"
