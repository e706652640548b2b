"""The same tree built by MkDocs and by Zensical: the same pages with the same content."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from small_site import CHECKOUT, Site, environment

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Main(HTMLParser):
    """What stands in a page's own part (class "cutaway"): its tags with their addresses, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._depth = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if self._depth or "cutaway" in (named.get("class") or "").split():
            kept = [
                f"{name}={named[name]}" for name in ("id", "href", "src", "alt") if name in named
            ]
            self.found.append(" ".join([tag, *kept]))
            self._depth += tag not in VOID

    def handle_endtag(self, tag: str) -> None:
        if self._depth and tag not in VOID:
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if self._depth and text:
            self.found.append(text)


@pytest.fixture(scope="module")
def zensical(small_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished tree of the small site, built by Zensical from the plain configuration alone."""
    folder = tmp_path_factory.mktemp("zensical")
    (folder / "build").mkdir()
    for name in ("docs", "theme"):
        shutil.copytree(small_site.work / name, folder / "build" / name)
    shutil.copyfile(CHECKOUT / "mkdocs.yml", folder / "mkdocs.yml")
    run = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "-f", "mkdocs.yml"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return folder / "site"


def pages(site: Path) -> dict[str, Path]:
    return {path.relative_to(site).as_posix(): path for path in site.rglob("*.html")}


def test_both_builders_make_the_same_pages_with_the_same_content(small_site, zensical):
    mine, theirs = pages(small_site.site), pages(zensical)
    assert sorted(mine) == sorted(theirs)
    different = []
    for name in sorted(set(mine) - {"404.html"}):
        one, other = (Main(all_[name].read_text(encoding="utf-8")).found for all_ in (mine, theirs))
        assert len(one) > 10 or "/slides/" in name, name
        if one != other:
            place = next(
                i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]
            )
            different.append(f"{name}: {one[place]!r} / {other[place]!r}")
    assert different == []


def test_both_publish_the_same_files(small_site, zensical):
    for folder in ("models", "figures", "articles", "stylesheets", "javascripts"):
        mine, theirs = (
            {
                path.relative_to(site).as_posix()
                for path in (site / folder).rglob("*")
                if path.is_file()
            }
            for site in (small_site.site, zensical)
        )
        assert mine == theirs, folder
    for name in ("manifest.json", "javascripts/jump-index.js"):
        assert (zensical / name).read_bytes() == (small_site.site / name).read_bytes()


def test_the_other_builder_asks_no_other_host_and_keeps_the_jump_box(small_site, zensical):
    for name, path in pages(zensical).items():
        html = path.read_text(encoding="utf-8")
        fetched = re.findall(r"""<(?:script|img|iframe)[^>]*\ssrc=["']?(https?:)?//""", html)
        fetched += re.findall(r"""<link[^>]*rel="?stylesheet"?[^>]*href="?(https?:)?//""", html)
        assert not fetched, name
        if name != "404.html" and "/slides/" not in name:
            # Leaf pages and lean ones have it in scripts that they share.
            assert "c-jump-open" in html or "javascripts/mast.js" in html, name
            assert "javascripts/jump.js" in html or "javascripts/page.js" in html, name
