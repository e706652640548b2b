"""Finds and starts the browser that the tests drive."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The first draws what the others draw, without a window, a sandbox of extensions or a graphics process.
NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)


def find_browser(playwright: Playwright) -> str | None:
    """The path of a Chromium: a named one, the system's, or Playwright's own."""
    system = (shutil.which(name) for name in NAMES)
    own = playwright.chromium.executable_path
    candidates = (os.environ.get("CUTAWAY_BROWSER"), *system, own)
    return next((path for path in candidates if path and Path(path).is_file()), None)


def launch(playwright: Playwright) -> Browser:
    """Start it headless. A missing browser is a failure, not a reason to skip."""
    path = find_browser(playwright)
    if path is None:
        raise RuntimeError("no browser for the tests: 'make test' installs one")
    return playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
