"""A site that is still being built, as those see it who wait for it."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from generator.progress import PROGRESS

UNFINISHED = "unfinished"  # the key of manifest.json that says so
_NO_BUILD = "This site is not finished, and nothing is at work on it. The same command goes on: cutaway build"
_LOOK = 0.2  # seconds between two looks for the first pages
_SILENT = 120  # seconds after which it is said that a build has said nothing


def is_finished(site: Path) -> bool:
    """Whether a whole site stands there: none is not, nor one that is still being made."""
    try:
        stated = json.loads((site / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return not stated.get(UNFINISHED)


@dataclass
class Growing:
    """A site that changes when a build replaces it; `progress` is the file that says what the build is at."""

    site: Path
    progress: Path
    mistake: str = ""
    _seen: int = 0

    @property
    def version(self) -> int:
        """The number of the folder: a build puts another in its place."""
        with contextlib.suppress(OSError):  # in the middle of that
            self._seen = self.site.stat().st_ino
        return self._seen

    @property
    def making(self) -> str:
        """What the build is at; "" when the site is finished."""
        if is_finished(self.site):
            return ""
        try:
            said = self.progress.read_text(encoding="utf-8")
            silent = time.time() - self.progress.stat().st_mtime
        except OSError:
            return _NO_BUILD
        since = f" (nothing new for {silent / 60:.0f} minutes)" if silent > _SILENT else ""
        return f"This site is still being made. {said}{since}"

    def page(self, _: str) -> None:
        """None: every page is as it was built."""

    def file(self, _: str) -> None:
        """None: every file is as it was built."""


def growing(site: Path) -> Growing | None:
    """What is to be shown of a site that is not finished; None for one that is."""
    return None if is_finished(site) else Growing(site, _progress(site))


def wait_for_pages(site: Path) -> None:
    """Where a build is at work on a site, or on that of an exhibit's folder, wait for its first pages."""
    for place in (site, site / "site"):
        if _is_begun(place):
            print("The first pages are still being made.", flush=True)
            while _is_begun(place):
                time.sleep(_LOOK)


def _is_begun(site: Path) -> bool:
    progress = _progress(site)
    try:
        heard = time.time() - progress.stat().st_mtime
    except OSError:
        return False
    return heard < _SILENT and not (site / "index.html").is_file()


def _progress(site: Path) -> Path:
    return site.parent / "build" / PROGRESS
