"""Mistakes that a user can mend. The command prints them without a traceback."""

from __future__ import annotations

import difflib
import errno
import sys
import traceback
from collections.abc import Iterable


class CutawayError(Exception):
    """Something outside the program failed; `hint` says what the user can do about it."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(CutawayError):
    """What the user asked for cannot be meant: a wrong key, option or reference."""

    exit_code = 2


class Stopped(CutawayError):
    """Ctrl-C during a build."""

    exit_code = 130

    def __init__(self) -> None:
        kept = "What was measured and drawn is kept; the same command continues there."
        super().__init__("Stopped. A finished site was left as it was.", kept)


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its name."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A question that names the nearest valid choice, or all of them if none is near."""
    valid = sorted(choices)
    near = difflib.get_close_matches(word, valid, n=1, cutoff=0.5)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Valid are: {', '.join(valid)}." if valid else ""


MENDABLE = {
    errno.ENOSPC: "The disk is full. {}",
    errno.EDQUOT: "The disk quota is used up. {}",
    errno.EACCES: "No permission for {}",
    errno.EROFS: "The disk is read-only: {}",
    errno.EBUSY: "A mount point cannot be replaced; name a folder inside it: {}",
}


def tell_failure(message: str, hint: str, verbose: bool) -> None:
    """Say what went wrong; with --verbose also where."""
    if verbose:
        traceback.print_exc()
    print(f"Error: {message}", file=sys.stderr)
    if hint:
        print(hint, file=sys.stderr)
