"""The links that authors write, as links between pages.

A path that starts with a slash starts at the site's root, any other at the folder that the article's file
lies in; `other.md` stands for that article's page.
"""

from __future__ import annotations

import posixpath
import re
from html import escape, unescape
from urllib.parse import urlsplit, urlunsplit

from generator.articles.source import Source
from generator.pages.page import relative

_ATTRIBUTE = re.compile(r"""(\s(?:href|src)=)(["'])(.*?)\2""", re.DOTALL)


def with_addresses(html: str, source: Source, lines: dict[str, int]) -> str:
    """HTML whose links lead from the article's page to where its author meant.

    `lines` is told the line of each.
    """

    def rewritten(match: re.Match[str]) -> str:
        written = unescape(match[3])
        link = _from_page(written, source)
        lines.setdefault(link, source.line_of(written))
        return f'{match[1]}"{escape(link)}"'

    return _ATTRIBUTE.sub(rewritten, html)


def links_in(html: str) -> list[str]:
    """What HTML links to."""
    return [unescape(match[3]) for match in _ATTRIBUTE.finditer(html)]


def _from_page(link: str, source: Source) -> str:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc or not parts.path:
        return link
    path = parts.path
    place = path.lstrip("/") if path.startswith("/") else posixpath.join(source.section, path)
    address = posixpath.normpath(place) if place.strip("/") else ""
    if path.endswith("/index.md") or path == "index.md":
        address = address.removesuffix(".md") + ".html"
    elif path.endswith(".md"):
        address = f"{address.removesuffix('.md')}/index.html"
    elif path.endswith("/") or "." not in posixpath.basename(address):
        address = posixpath.join(address, "index.html").removeprefix("./")
    return urlunsplit(("", "", relative(source.address, address), parts.query, parts.fragment))
