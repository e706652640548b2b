"""Folders that are made once: whole or not there, and made anew where someone damaged them."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from generator.errors import CutawayError

_RECEIPT = ".sizes.json"  # hidden: no picture or text of the folder
_PARTIAL = ".partial-"


def atomic_folder(target: Path, fill: Callable[[Path], None]) -> Path:
    """`target`, which `fill` is asked to fill if it does not lie there with every file's size.

    Several processes may ask at once: each fills a folder of its own, and the first is kept. Raises
    CutawayError if the disk refuses.
    """
    if _is_whole(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=_PARTIAL))
        try:
            made = work / "made"
            made.mkdir()
            fill(made)
            (made / _RECEIPT).write_text(json.dumps(_sizes(made)), encoding="utf-8")
            _publish(made, target, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise CutawayError(
            f"The cache {target.parent} cannot be written: {error}.",
            "Free some space, or name a folder in CUTAWAY_CACHE.",
        ) from error
    return target


def _sizes(folder: Path) -> dict[str, int]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _is_whole(folder: Path) -> bool:
    try:
        sizes: dict[str, int] = json.loads((folder / _RECEIPT).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _publish(made: Path, target: Path, work: Path) -> None:
    with contextlib.suppress(OSError):  # refused if another process was first: its folder is used
        made.replace(target)
    if not _is_whole(target):  # a folder that someone damaged stood in the way
        target.replace(work / "damaged")
        made.replace(target)
