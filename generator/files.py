"""The user's own files: one function reads text, one lists a folder, one tells what was passed over."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from generator.errors import UsageError


def read_text(path: Path, what: str = "file", hint: str = "") -> str:
    """The text of a file without a byte order mark, its line ends as `\\n`.

    Raises UsageError for a file that is missing, which is called `what`, or that is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UsageError(f"{path}: there is no such {what}.", hint=hint) from error
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a folder; it should be a {what}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text: {error}.") from error


def stated_in(path: Path) -> dict[str, Any]:
    """What a JSON file states; nothing where it states nothing."""
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stated if isinstance(stated, dict) else {}


def files_in(folder: Path, pattern: str = "*") -> list[Path]:
    """The files of a folder in the order of their names; `**/*` for those in folders below it too.

    Nothing hidden, which is what has a dot at its start or lies in such a folder.
    """
    return [
        path
        for path in sorted(folder.glob(pattern))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def some_of(files: Sequence[str], most: int = 6) -> str:
    """Names of files in a row, with a count in the place of those beyond `most`."""
    more = f" and {len(files) - most:,} more" if len(files) > most else ""
    return f"{', '.join(files[:most])}{more}"


@functools.cache  # once, however many models are shown a folder
def tell(message: str) -> None:
    """Tell the user, on standard error, of something that does not stop the work."""
    print(f"Note: {message}", file=sys.stderr)
