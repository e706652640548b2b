"""Whether every link of an article, and of the pages that it links to, leads somewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

from generator.articles.addresses import leads_to
from generator.articles.document import Article
from generator.articles.errors import Mistakes, WritingError
from generator.errors import did_you_mean
from generator.pages.page import Page

_ADDRESSES = {"href", "src", "poster", "data-picture", "data-photo", "data-source"}


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
    """Follow every link of every article, and every link of the pages that authors link to.

    `files` are the addresses of all that is published beside the pages. Raises WritingErrors for links to
    what is not there, ids that are used twice, pictures without alt text, and what went wrong while the
    articles were filled, each with article and line.
    """
    site = _Site({page.address: page for page in pages}, set(files))
    mistakes = Mistakes()
    for article in articles:
        mistakes.found += article.document.mistakes.found
        mistakes.found += _own_mistakes(article, site)
    mistakes.tell()
    # What authors have not written is told only where all that they have written is right.
    written = {article.source.address for article in articles}
    for article in articles:
        mistakes.found += _dead_beyond(article, site, written)
    mistakes.tell()


def _own_mistakes(article: Article, site: _Site) -> Iterator[WritingError]:
    """What is wrong on the page of one article."""
    source, page = article.source, site.links(article.source.address)
    for name in page.twice:
        yield WritingError(source.path, source.line_of(name), f"the id '{name}' is used twice.")
    for picture, reason in _wrong_pictures(article, page):
        yield WritingError(source.path, article.document.written(picture).line, reason)
    for link in page.links:
        wrong = site.follow(source.address, link)[1]
        if wrong:
            one = article.document.written(link)
            yield WritingError(source.path, one.line, f"the link '{one.text}' {wrong}")


def _dead_beyond(article: Article, site: _Site, written: Collection[str]) -> Iterator[WritingError]:
    """The dead links of the pages that an author links to, but for other articles, which tell theirs."""
    source = article.source
    targets: dict[str, int] = {}
    for link, one in article.document.links.items():
        targets.setdefault(site.follow(source.address, link)[0], one.line)
    for target, line in targets.items():
        if target in site.pages and target not in written:
            for other, wrong in site.dead(target):
                said = f"it links to {target}, whose link '{other}' {wrong}"
                yield WritingError(source.path, line, said)


def _wrong_pictures(article: Article, page: Links) -> Iterator[tuple[str, str]]:
    """The pictures that an article must not hold, each with what is wrong.

    What a template makes may be decoration and have an empty alt; what an author writes says what one sees.
    """
    own = links_of(article.html).pictures
    for picture in [*(one for one, alt in own if not alt), *page.nameless]:
        name = article.document.written(picture).text
        yield picture, f"the picture '{name}' has no alt text; write ![What one sees]({name})."
    for picture, _ in own:
        if urlsplit(picture).netloc:
            name = article.document.written(picture).text
            yield picture, f"the picture '{name}' is on another host; save it beside the article."


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
        """The address that a link leads to, and what is wrong with it ("" if nothing is).

        The second goes on from "the link '...'".
        """
        target = leads_to(origin, link)
        if target in self.pages:
            return target, self._fragment(target, unquote(urlsplit(link).fragment))
        return target, "" if not target or target in self.files else self._missing(target)

    def _missing(self, target: str) -> str:
        near = did_you_mean(target, self.pages) if target.endswith(".html") else ""
        known = near if near.startswith("Did") else ""
        return f"leads to {target}, and there is no such page or file. {known}".strip()

    def _fragment(self, target: str, fragment: str) -> str:
        # What has an equals sign is the state of a component, such as #text=cat.
        if not fragment or "=" in fragment or fragment in self.links(target).ids:
            return ""
        near = did_you_mean(fragment, self.links(target).ids)
        known = near if near.startswith("Did") else ""
        return f"leads nowhere: the page {target} has no '#{fragment}'. {known}".strip()

    def dead(self, address: str) -> Iterator[tuple[str, str]]:
        """The links of a page that lead nowhere, with what is wrong."""
        for link in self.links(address).links:
            _, wrong = self.follow(address, link)
            if wrong:
                yield link, wrong
