"""Memory that is freed and asked for again all the time, as torch does with every step."""

from __future__ import annotations

import ctypes
import functools
import platform
from typing import Any

# glibc's names for what mallopt(3) sets.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_NEVER = 2**31 - 1
_AHEAD = 256 * 2**20  # bytes asked of the system at a time


@functools.cache
def _library() -> Any:
    """The C library if it is glibc; others are left alone."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def keep_freed() -> bool:
    """Have glibc keep freed memory instead of giving it back; whether that could be set.

    Each large tensor is otherwise mapped anew, and the system clears its pages first: a fifth of the time
    of a pass forward and back.
    """
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _AHEAD))
    library = _library()
    done = [bool(library) and library.mallopt(name, value) == 1 for name, value in settings]
    return all(done)


def give_back() -> None:
    """Give freed memory back to the system: the next piece of work may need far less of it."""
    if library := _library():
        library.malloc_trim(0)
