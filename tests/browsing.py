"""The fixtures of all browser tests: a browser, a served site, and visitors that may meet no problem."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import launch
from pages_under_test import Profiles, Visitors
from playwright.sync_api import Browser, expect, sync_playwright
from small_site import Site

from generator.serve import make_server

expect.set_options(timeout=20_000)  # a busy machine is no fault of the site


@pytest.fixture(scope="module")
def root(small_site: Site) -> Path:
    """The folder of the site that a module visits: the small site, unless the module says otherwise."""
    return small_site.site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@contextlib.contextmanager
def serving(root: Path, *how: Any) -> Iterator[str]:
    """The address of a folder that is served as `cutaway serve` does."""
    with make_server(root, "127.0.0.1", 0, *how) as server:
        # It is asked to end after every test: half a second is how often it would look.
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def served(root: Path) -> Iterator[str]:
    with serving(root) as address:
        yield address


@pytest.fixture(scope="module")
def roots(served: str, root: Path) -> dict[str, str]:
    """Where the site is, by the ways to reach it."""
    return {"server": served, "file": f"{root.as_uri()}/"}


@pytest.fixture(scope="module")
def profiles(browser: Browser, roots: dict[str, str]) -> Profiles:
    return Profiles(browser, roots.values())


@pytest.fixture
def visit(profiles: Profiles, roots: dict[str, str]) -> Iterator[Visitors]:
    """Makes visitors: `visit("file", color_scheme="dark")`. A problem that one meets fails the test."""
    visitors = Visitors(profiles, roots)
    yield visitors
    assert visitors.close() == []
