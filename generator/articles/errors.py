"""Mistakes in writing: each names the file and the line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

from generator.errors import CutawayError, UsageError


class WritingError(UsageError):
    """A mistake in an article, with the file and the line it is on."""

    def __init__(self, path: Path, line: int, reason: str, hint: str = "") -> None:
        super().__init__(f"{path}, line {line}: {reason}", hint)
        self.place = (str(path), line)


class WritingErrors(UsageError):
    """Several mistakes, each in a line of its own, in the order of files and lines."""

    def __init__(self, each: Sequence[WritingError]) -> None:
        self.each = tuple(sorted(each, key=lambda one: one.place))
        lines = [f"{one} {one.hint}".strip() for one in self.each]
        super().__init__("\n".join([f"{len(lines)} mistakes in what is written.", *lines]))


@dataclass
class Mistakes:
    """Mistakes that are told together: `with mistakes:` keeps one, and what stands behind it goes on."""

    found: list[WritingError] = field(default_factory=list)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if isinstance(error, WritingErrors):
            self.found += error.each
        elif isinstance(error, WritingError):
            self.found.append(error)
        else:
            return False
        return True

    def tell(self) -> None:
        """Raises WritingError, or WritingErrors where there are several; each is told once."""
        several = list({str(one): one for one in self.found}.values())
        if len(several) == 1:
            raise several[0]
        if several:
            raise WritingErrors(several)


@contextmanager
def named(path: Path, line: int, directive: str) -> Iterator[None]:
    """Errors raised within name file, line and directive."""
    try:
        yield
    except (WritingError, WritingErrors):
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
