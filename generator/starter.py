"""A folder of a user's own that builds: `cutaway new`."""

from __future__ import annotations

import shutil
from pathlib import Path

from generator.errors import UsageError
from generator.paths import data_root

_IGNORED = "build/\nsite/\n"


def make_starter(folder: Path) -> Path:
    """Copy the exhibit, its inputs and the builder's configuration into a new folder.

    Raises UsageError if there is something in the way.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an empty folder.")
    data = data_root()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(data / "site_src" / "inputs", folder / "inputs", ignore=_ONLY_DATA)
    text = (data / "exhibit.yml").read_text(encoding="utf-8")
    (folder / "exhibit.yml").write_text(text.replace("site_src/inputs/", "inputs/"), "utf-8")
    shutil.copyfile(data / "mkdocs.yml", folder / "mkdocs.yml")
    (folder / ".gitignore").write_text(_IGNORED, "utf-8")
    return folder


_ONLY_DATA = shutil.ignore_patterns("*.py", "__pycache__")
