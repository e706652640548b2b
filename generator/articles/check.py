"""Whether every link of an article, and of the pages that it links to, leads somewhere."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

from generator.articles.draft import Article
from generator.articles.errors import WritingError
from generator.errors import did_you_mean
from generator.pages.page import Page

_ADDRESSES = {"href", "src", "data-picture", "data-photo", "data-source"}


@dataclass(eq=False)
class Links(HTMLParser):
    """The links and ids of a page's HTML, its pictures with their alt texts, and those without one."""

    links: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    twice: list[str] = field(default_factory=list)
    nameless: list[str] = field(default_factory=list)
    pictures: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser for every tag."""
        stated = {name: value or "" for name, value in attrs}
        self.links += [value for name, value in stated.items() if name in _ADDRESSES and value]
        if tag == "img":
            self.pictures.append((stated.get("src", ""), stated.get("alt", "").strip()))
            if "alt" not in stated:
                self.nameless.append(stated.get("src", ""))
        name = stated.get("id")
        if name:
            (self.twice.append if name in self.ids else self.ids.add)(name)


def links_of(html: str) -> Links:
    """Reads the links of a page."""
    found = Links()
    found.feed(html)
    found.close()
    return found


def check_links(articles: Sequence[Article], pages: Sequence[Page], files: Collection[str]) -> None:
    """Follow every link of every article, and every link of the pages that articles link to.

    `files` are the addresses of all that is published beside the pages. Raises WritingError for a link to
    what is not there, an id that is used twice, and a picture without alt text, with article and line.
    """
    if not articles:
        return
    site = _Site({page.address: page for page in pages}, set(files))
    followed: set[str] = set()
    for article in articles:
        source = article.source
        own = site.links(source.address)
        for name in own.twice:
            raise WritingError(source.path, source.line_of(name), f"the id '{name}' is used twice.")
        for picture, reason in _wrong_pictures(article, own):
            raise WritingError(source.path, article.draft.links.get(picture, 1), reason)
        targets: dict[str, int] = {}
        for link in own.links:
            line = article.draft.links.get(link, 1)
            target, wrong = site.follow(source.address, link)
            if wrong:
                raise WritingError(source.path, line, wrong)
            targets.setdefault(target, line)
        # After all of its own: its slides have the same links, and not the lines of them.
        for target, line in targets.items():
            if target in site.pages and target not in {source.address, *followed}:
                followed.add(target)
                for other, reason in site.dead(target):
                    said = f"it links to {target}, whose link '{other}' is dead: {reason}"
                    raise WritingError(source.path, line, said)


def _wrong_pictures(article: Article, page: Links) -> Iterator[tuple[str, str]]:
    """The pictures that an article must not hold, each with what is wrong.

    What a template makes may be decoration and have an empty alt; what an author writes says what one sees.
    """
    own = links_of(article.html).pictures
    for picture in [*(one for one, alt in own if not alt), *page.nameless]:
        yield (
            picture,
            f"the picture '{picture}' has no alt text; write ![What one sees]({picture}).",
        )
    for picture, _ in own:
        if urlsplit(picture).netloc:
            yield (
                picture,
                f"the picture '{picture}' is on another host; save it beside the article.",
            )


@dataclass(frozen=True, eq=False)
class _Site:
    """All pages and files by address; pages are read when they are asked for."""

    pages: Mapping[str, Page]
    files: Collection[str]
    _read: dict[str, Links] = field(default_factory=dict)

    def links(self, address: str) -> Links:
        """What a page links to, and its ids."""
        if address not in self._read:
            self._read[address] = links_of(self.pages[address].body)
        return self._read[address]

    def follow(self, origin: str, link: str) -> tuple[str, str]:
        """The address that a link leads to, and what is wrong with it ("" if nothing is)."""
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            return "", ""
        if not parts.path:
            target = origin
        else:
            folder = posixpath.dirname(origin)
            target = posixpath.normpath(posixpath.join(folder, unquote(parts.path)))
            if parts.path.endswith("/"):
                target = posixpath.join(target, "index.html").removeprefix("./")
        if target not in self.pages:
            return target, "" if target in self.files else self._missing(link, target)
        return target, self._fragment(target, unquote(parts.fragment))

    def _missing(self, link: str, target: str) -> str:
        near = did_you_mean(target, self.pages) if target.endswith(".html") else ""
        known = near if near.startswith("Did") else ""
        return f"the link '{link}' leads to {target}, and there is no such page or file. {known}".strip()

    def _fragment(self, target: str, fragment: str) -> str:
        # What has an equals sign is the state of a component, such as #text=cat.
        if not fragment or "=" in fragment or fragment in self.links(target).ids:
            return ""
        near = did_you_mean(fragment, self.links(target).ids)
        return f"the page {target} has no '#{fragment}'. {near if near.startswith('Did') else ''}".strip()

    def dead(self, address: str) -> Iterator[tuple[str, str]]:
        """The links of a page that lead nowhere, with what is wrong."""
        for link in self.links(address).links:
            _, wrong = self.follow(address, link)
            if wrong:
                yield link, wrong
