"""Folders that are made once: whole or not there, and made anew where someone damaged them."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from generator.errors import CutawayError

_RECEIPT = ".sizes.json"  # hidden: no picture or text of the folder
_PARTIAL = ".partial-"
_DAY = 24 * 60 * 60


def atomic_folder(target: Path, fill: Callable[[Path], None]) -> Path:
    """`target`, which `fill` is asked to fill if it does not lie there with every file's size.

    Several processes may ask at once: each fills a folder of its own, and the first is kept. Raises
    CutawayError if the disk refuses.
    """
    if _is_whole(target):
        return target
    with partial_folder(target.parent) as work:
        made = work / "made"
        made.mkdir()
        fill(made)
        (made / _RECEIPT).write_text(json.dumps(_sizes(made)), encoding="utf-8")
        put_in_place(made, target, work, _is_whole)
    return target


@contextlib.contextmanager
def atomic_writing(target: Path) -> Iterator[Path]:
    """A path to write a file or a folder to, renamed to `target` when the block ends well."""
    with partial_folder(target.parent) as work:
        yield work / target.name
        try:
            (work / target.name).replace(target)
        except OSError:
            # A folder cannot replace one that is not empty: another process was first, and its
            # result is as good.
            if not target.exists():
                raise


@contextlib.contextmanager
def partial_folder(cache: Path) -> Iterator[Path]:
    """A folder of this process alone, on the cache's own disk so that a rename can end the work.

    It is gone behind the block. Raises CutawayError if the disk refuses.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for left in cache.glob(f"{_PARTIAL}*"):  # by runs that were killed
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _DAY:
                    shutil.rmtree(left)
        work = Path(tempfile.mkdtemp(dir=cache, prefix=_PARTIAL))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise CutawayError(
            f"The cache {cache} cannot be written: {error}.",
            "Free some space, or name a folder in CUTAWAY_CACHE.",
        ) from error


def _sizes(folder: Path) -> dict[str, int]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _is_whole(folder: Path) -> bool:
    try:
        sizes: dict[str, int] = json.loads((folder / _RECEIPT).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def put_in_place(made: Path, target: Path, work: Path, is_whole: Callable[[Path], bool]) -> None:
    """Rename a folder made in `work` to `target`, unless a whole one is there. Raises OSError."""
    with contextlib.suppress(OSError):  # refused if another process was first: its folder is used
        made.replace(target)
    if not is_whole(target):  # a folder that someone damaged stood in the way
        with contextlib.suppress(FileNotFoundError):
            target.replace(work / "damaged")
        with contextlib.suppress(OSError):
            made.replace(target)
        if not is_whole(target):
            raise OSError(f"{target} changes while it is written")
