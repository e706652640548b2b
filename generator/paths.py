"""Where the program's own data and its caches lie.

In a checkout, templates and site sources stand at the top level; an installed wheel carries the
same tree in `generator/_data`.
"""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).parent


def data_root() -> Path:
    """The folder that holds `templates/`, `site_src/`, `exhibit.yml` and `mkdocs.yml`."""
    packaged = _PACKAGE / "_data"
    return packaged if packaged.is_dir() else _PACKAGE.parent


def cache_root() -> Path:
    """Where fetched weights are kept: `$CUTAWAY_CACHE`, else the user's cache folder."""
    named = os.environ.get("CUTAWAY_CACHE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cutaway"
