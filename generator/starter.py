"""A folder of a user's own that builds: `cutaway new`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from generator.articles.source import SECTIONS
from generator.errors import UsageError, did_you_mean
from generator.paths import data_root

SHAPES = ("explainer", "course", "model-card")
_IGNORED = "build/\nsite/\n"
_FIRST = "  - Gallery: index.md\n"


def make_starter(folder: Path, shape: str = "explainer") -> Path:
    """Lay out a new folder in one of SHAPES: an exhibit, its inputs, a text to go on from, the site's menu.

    Raises UsageError if there is something in the way, or no such shape.
    """
    if shape not in SHAPES:
        raise UsageError(f"There is no shape '{shape}'. {did_you_mean(shape, SHAPES)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an empty folder.")
    site_src = data_root() / "site_src"
    shutil.copytree(site_src / "starters" / shape, folder, dirs_exist_ok=True)
    for picture in _pictures(folder / "inputs"):
        target = folder / "inputs" / picture
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(site_src / "inputs" / picture, target)
    menu = (data_root() / "mkdocs.yml").read_text(encoding="utf-8")
    (folder / "mkdocs.yml").write_text(_with_sections(menu, folder / "writing"), encoding="utf-8")
    (folder / ".gitignore").write_text(_IGNORED, encoding="utf-8")
    return folder


def _pictures(inputs: Path) -> list[str]:
    """The files that the starter's table names; they are kept once, beside the curated inputs."""
    table = inputs / "images.yml"
    entries: list[dict[str, Any]] = yaml.safe_load(table.read_bytes()) if table.is_file() else []
    return [str(entry["file"]) for entry in entries]


def _with_sections(menu: str, writing: Path) -> str:
    """The builder's configuration with the sections that the folder has in its menu."""
    assert _FIRST in menu
    there = [name for name in SECTIONS if any((writing / name).glob("*.md"))]
    lines = "".join(f"  - {SECTIONS[name]}: {name}/index.md\n" for name in there)
    return menu.replace(_FIRST, _FIRST + lines)
