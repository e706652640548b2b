"""Mistakes in writing: each names the file and the line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from generator.errors import CutawayError, UsageError


class WritingError(UsageError):
    """A mistake in an article, with the file and the line it is on."""

    def __init__(self, path: Path, line: int, reason: str, hint: str = "") -> None:
        super().__init__(f"{path}, line {line}: {reason}", hint)


@contextmanager
def named(path: Path, line: int, directive: str) -> Iterator[None]:
    """Errors raised within name file, line and directive."""
    try:
        yield
    except WritingError:
        raise
    except CutawayError as error:
        raise WritingError(path, line, f"{directive}: {error}", error.hint) from error


def template_line() -> int:
    """The line of the template that is being rendered, from where this is called."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        template = frame.f_globals.get("__jinja_template__")
        if template is not None:
            return int(template.get_corresponding_lineno(frame.f_lineno))
        frame = frame.f_back
    return 1
