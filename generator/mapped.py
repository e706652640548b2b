"""Files that are mapped into memory: a process holds of them what it looks at, and can let go of that.

What was let go of is read again where somebody looks at it, from the system's cache as a rule. Processes that
map the same file share its pages.
"""

from __future__ import annotations

import mmap
import tempfile
import weakref
from pathlib import Path
from typing import IO, Any

import numpy as np

from generator.malloc import give_back

ALIGNED = 64  # bytes: what arrays start at, as those that torch and numpy allocate
# Files of results and figures at a time: each is one of those that a process may have open.
_MOST = 256
_SMALL, _CHUNK = 2**12, 2**26  # bytes of an array that is left in memory, and of a file for several

_mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def map_file(path: Path, *, writable: bool = False) -> mmap.mmap:
    """A file's bytes; what is written to a `writable` one is this process's alone, and lost if let go of.

    Raises OSError where it cannot be mapped, or many are and it is not `writable`.
    """
    with path.open("rb") as file:
        return _map(file, 0, writable)


def _map(file: IO[bytes], size: int, writable: bool) -> mmap.mmap:
    if len(_mapped) >= _MOST and not writable:
        raise OSError(f"{_MOST} files are mapped already")
    access = mmap.ACCESS_COPY if writable else mmap.ACCESS_READ
    made = mmap.mmap(file.fileno(), size, access=access)
    _mapped.add(made)
    return made


def let_go_of_files() -> None:
    """Let go of what this process holds of mapped files."""
    if hasattr(mmap, "MADV_DONTNEED"):
        for one in _mapped:
            one.madvise(mmap.MADV_DONTNEED)


def let_go() -> None:
    """The same, and of memory that was freed, which is cleared anew when it is asked for again."""
    let_go_of_files()
    give_back()


class Shelf:
    """Where arrays wait until they are used: in files without names, on the disk of `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._held: mmap.mmap | None = None
        self._used = 0

    def put(self, array: np.ndarray) -> np.ndarray:
        """The same array in a file, not to be written to; itself where it is small, or the disk refuses."""
        if array.nbytes < _SMALL or array.dtype.hasobject or _lies_in_file(array):
            return array
        try:
            file, held, start = self._room(array.nbytes)
            file.seek(start)
            file.write(np.ascontiguousarray(array).data)
            file.flush()
        except OSError:
            return array
        self._used = start + array.nbytes
        return np.frombuffer(held, array.dtype, array.size, start).reshape(array.shape)

    def _room(self, size: int) -> tuple[IO[bytes], mmap.mmap, int]:
        """A file with room for some bytes, the same mapped, and where they go."""
        start = -(-self._used // ALIGNED) * ALIGNED
        if self._file is None or self._held is None or start + size > len(self._held):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file, start = tempfile.TemporaryFile(dir=self._folder), 0  # noqa: SIM115
            self._file.truncate(max(size, _CHUNK))
            self._held = _map(self._file, 0, False)
            let_go()
        return self._file, self._held, start


def _lies_in_file(array: np.ndarray) -> bool:
    """Whether an array is a view of a mapped file."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)
