"""The links that authors write, as links between pages.

A path that starts with a slash starts at the site's root, any other at the folder that the article's file
lies in; `other.md` stands for that article's page.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from html import escape, unescape
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit, urlunsplit

from generator.addresses import relative
from generator.articles.source import Source

_LINKS = ("href", "src", "poster")
# A name and its value: quoted, bare or left out. Read one behind the other, so that a value that looks
# like another attribute is not taken for one.
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+))?""")


@dataclass(frozen=True)
class Written:
    """A link as its author wrote it, and the line it is on."""

    text: str
    line: int


def with_addresses(html: str, source: Source, links: dict[str, Written], line: int = 0) -> str:
    """HTML whose links lead from the article's page to where its author meant.

    `links` is told of each how it was written. Without `line` it is looked for in the article's text.
    """

    def rewritten(written: str) -> str:
        link = _from_page(written, source)
        links.setdefault(link, Written(written, line or source.line_of(written)))
        return link

    return rewrite_links(html, _LINKS, rewritten)


def rewrite_links(html: str, names: Collection[str], rewritten: Callable[[str], str]) -> str:
    """HTML with every attribute of these names rewritten; everything else stays as it is, to the byte."""
    parts, end = list[str](), 0
    for start, tag in start_tags(html):
        parts += [html[end:start], _rewritten(tag, names, rewritten)]
        end = start + len(tag)
    return "".join([*parts, html[end:]])


def links_in(html: str) -> list[str]:
    """What HTML links to."""
    found: list[str] = []

    def kept(link: str) -> str:
        found.append(link)
        return link

    rewrite_links(html, _LINKS, kept)
    return found


def leads_to(origin: str, link: str) -> str:
    """The address that a link on a page leads to; empty where it leaves the site."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return ""
    if not parts.path:
        return origin
    target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), unquote(parts.path)))
    if parts.path.endswith("/"):
        target = posixpath.join(target, "index.html").removeprefix("./")
    return target


def start_tags(html: str) -> list[tuple[int, str]]:
    """Each tag that opens an element, as it is written, with the place where it starts."""
    reader = _StartTags(html)
    reader.feed(html)
    reader.close()
    return reader.found


@dataclass(eq=False)
class _StartTags(HTMLParser):
    html: str
    found: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.lines = [0, *(match.end() for match in re.finditer("\n", self.html))]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser for every tag that opens."""
        line, column = self.getpos()
        self.found.append((self.lines[line - 1] + column, self.get_starttag_text() or ""))


def _rewritten(tag: str, names: Collection[str], rewritten: Callable[[str], str]) -> str:
    def changed(match: re.Match[str]) -> str:
        name, equals, value = match.groups()
        if name.lower() not in names or not value:
            return match[0]
        link = unescape(value[1:-1] if value[0] in "\"'" else value)
        return f'{name}{equals}"{escape(rewritten(link))}"'

    name_end = re.match(r"<[^\s/>]*", tag)
    start = name_end.end() if name_end else 0
    return tag[:start] + _ATTRIBUTE.sub(changed, tag[start:])


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
