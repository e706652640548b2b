"""Installs a browser for the tests where none is there; fails if none can be had."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from chromium import find_browser
from playwright.sync_api import sync_playwright


def found() -> bool:
    with sync_playwright() as playwright:
        return find_browser(playwright) is not None


def install_with_apt() -> None:
    """The browser without a window, or where there is none the whole."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "--quiet=2"], check=False, env=quiet)
    for package in ("chromium-headless-shell", "chromium"):
        install = ["apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends", package]
        if subprocess.run(install, check=False, env=quiet).returncode == 0:
            return


def main() -> int:
    if not found() and shutil.which("apt-get") and os.geteuid() == 0:
        install_with_apt()
    if not found():
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    if not found():
        print("No browser: install Chromium, or name one in CUTAWAY_BROWSER.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
