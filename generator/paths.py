"""Where the program's own data and its caches lie.

In a checkout, templates and site sources stand at the top level; an installed wheel carries the
same tree in `generator/_data`.
"""

from __future__ import annotations

import os
from pathlib import Path

from generator.errors import CutawayError

_PACKAGE = Path(__file__).parent


def data_root() -> Path:
    """The folder that holds `templates/`, `site_src/`, `exhibit.yml` and `mkdocs.yml`."""
    packaged = _PACKAGE / "_data"
    return packaged if packaged.is_dir() else _PACKAGE.parent


def cache_root() -> Path:
    """Where fetched weights are kept: `$CUTAWAY_CACHE`, else the user's cache folder.

    Raises CutawayError where neither is known, as for a user without a home.
    """
    named = os.environ.get("CUTAWAY_CACHE") or os.environ.get("XDG_CACHE_HOME")
    inside = "" if os.environ.get("CUTAWAY_CACHE") else "cutaway"
    try:
        return (Path(named).expanduser() if named else Path.home() / ".cache") / inside
    except RuntimeError as error:
        raise CutawayError(
            "Fetched weights have no place here: this user has no home folder.",
            "Name a folder that can be written: set CUTAWAY_CACHE.",
        ) from error


def work_beside(base: Path, site: Path) -> Path:
    """Where a build keeps its work: beside the exhibit, or beside the site for the packaged exhibit."""
    return (base if os.access(base, os.W_OK) and base != site else site.parent) / "build"
