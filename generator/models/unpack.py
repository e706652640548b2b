"""Unpacks an archive from a stranger: what it writes stays inside the target folder."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path

MAX_BYTES = 20 * 2**30
MAX_MEMBERS = 100_000
# Weights hardly shrink in a zip file, so a member that swells far beyond this is not weights.
MAX_RATIO = 100
_SMALL = 64 * 2**20

_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, ValueError)
_COLLISION = (FileExistsError, NotADirectoryError, IsADirectoryError)


class UnsafeArchiveError(Exception):
    """The archive is damaged, or holds something that a package of weights never holds."""


def unpack(archive: Path, target: Path) -> dict[str, int]:
    """Unpack every file into the new folder `target`; returns their sizes by name.

    All members are checked before the first is written, and each is written by itself: `extractall`
    would quietly rename or overwrite where this refuses.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            check_members(members, archive.stat().st_size)
            target.mkdir(parents=True)
            for member in members:
                _write(opened, member, target)
    except _COLLISION as error:
        raise UnsafeArchiveError(f"two members share the name '{error.filename}'") from error
    except _BROKEN as error:
        raise UnsafeArchiveError(f"it is damaged ({error})") from error
    return {member.filename: member.file_size for member in members if not member.is_dir()}


def check_members(members: list[zipfile.ZipInfo], packed: int) -> None:
    """Refuse names that lead out of the folder, anything but files, and absurd sizes."""
    if len(members) > MAX_MEMBERS:
        raise UnsafeArchiveError(f"it has {len(members)} members")
    seen: set[str] = set()
    for member in members:
        _check_name(member)
        if member.filename.rstrip("/") in seen:
            raise UnsafeArchiveError(f"two members share the name {member.filename!r}")
        seen.add(member.filename.rstrip("/"))
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise UnsafeArchiveError(f"the member {member.filename!r} is a link or a device")
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES or total > max(_SMALL, MAX_RATIO * packed):
        raise UnsafeArchiveError(f"it would unpack to {total} bytes from {packed}")


def _check_name(member: zipfile.ZipInfo) -> None:
    # `filename` is cut at the first NUL and, on Windows, has its backslashes turned.
    name = member.orig_filename
    parts = name.removesuffix("/").split("/")
    # A colon is a drive or a hidden stream on Windows, which also drops trailing dots and spaces.
    bad_character = any(letter in '\\:*?"<>|' or not letter.isprintable() for letter in name)
    if bad_character or any(part in {"", ".", ".."} or part[-1] in ". " for part in parts):
        raise UnsafeArchiveError(f"the member name {name!r} could lead out of its folder")


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    path = target.joinpath(*member.filename.split("/"))
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # "x" refuses names that differ in the archive but are one on this file system ("A" and "a").
    with opened.open(member) as packed, path.open("xb") as plain:
        shutil.copyfileobj(packed, plain, 2**20)
