"""Articles as pages, and the page of each section."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from generator.addresses import Link, on_the_web
from generator.articles.bibliography import Reference, as_bibtex, own_entry, plain_citation
from generator.articles.document import Article, Renderer
from generator.articles.front_matter import Author, Meta
from generator.articles.markdown import as_text
from generator.articles.previews import preview_path
from generator.articles.slides import slides_link, stacks
from generator.articles.source import GUIDE, SECTIONS, Source
from generator.exhibit import Exhibit
from generator.pages.context import Place, around, home
from generator.pages.environment import Pages
from generator.pages.gallery import Start, Way
from generator.pages.page import Page
from generator.terms import unmarked

WORDS_A_MINUTE = 230
_LICENCE = "Text and figures are licensed under {}, unless something else is said beside them."
_NO_WORDS = re.compile(r"<(script|style|pre|figure)\b.*?</\1>", re.DOTALL)


def article_pages(articles: Sequence[Article], exhibit: Exhibit, pages: Pages) -> list[Page]:
    """The page of every section that has articles, each followed by theirs and their slides."""
    found: list[Page] = []
    for section in SECTIONS:
        inside = [article for article in articles if article.source.section == section]
        sources = [article.source for article in inside]
        written = [
            page for article in inside for page in pages_of(article, sources, exhibit, pages)
        ]
        if inside:
            found.append(_section(section, inside, exhibit, pages))
        found += written
    return found


def sections(articles: Sequence[Article]) -> tuple[Link, ...]:
    """The sections that there are."""
    there = {article.source.section for article in articles}
    return tuple(section_link(section) for section in SECTIONS if section in there)


def starts(articles: Sequence[Article]) -> tuple[Start, ...]:
    """Where readers, teachers and authors start; without what nothing was written for."""
    ways: dict[str, list[Way]] = {"To read": [], "To teach": [], "To make your own": []}
    for one in (one for section in SECTIONS for one in articles if one.source.section == section):
        meta, link = one.source.meta, article_link(one)
        if one.source.section != GUIDE:
            ways["To read"].append((link, meta.subtitle or meta.description))
            if meta.slides:
                about = f"{link.text} as slides, with the same figures."
                ways["To teach"].append((slides_link(one.source.section, one.source.stem), about))
        elif not ways["To make your own"]:
            ways["To make your own"].append((link, meta.description))
    if ways["To make your own"]:
        rest = (section_link(GUIDE), "Everything that can be made, and how.")
        ways["To make your own"].append(rest)
    return tuple((to, each) for to, each in ways.items() if each)


def section_link(section: str) -> Link:
    """The page of a section."""
    return Link(f"{section}/index.html", SECTIONS[section])


def article_link(article: Article) -> Link:
    """The page of an article."""
    return _link(article.source)


def _link(source: Source) -> Link:
    return Link(source.address, source.meta.title)


def _section(section: str, inside: Sequence[Article], exhibit: Exhibit, pages: Pages) -> Page:
    title = SECTIONS[section]
    items = [
        (article_link(one), one.source.meta, _minutes(_word_count(one, one.html))) for one in inside
    ]
    names = ", ".join(one.source.meta.title for one in inside)
    return pages.page(
        "section.html",
        f"{section}/index.html",
        title,
        f"{title} of {exhibit.title}: {names}."[:400],
        items=items,
        place=Place((home(),), (), None, items[0][0]),
    )


def pages_of(
    article: Article, sources: Sequence[Source], exhibit: Exhibit, pages: Pages
) -> Iterator[Page]:
    """An article among those of its section, and its slides where it has them."""
    source, filling = article.source, Renderer(article, pages)
    previous, following = around([_link(one) for one in sources], sources.index(source))
    meta, permalink = source.meta, on_the_web(exhibit.site_url, source.address)
    body = filling.html(pages.words.mark(article.html))
    words, references = _word_count(article, body), article.references()
    key, entry = own_entry(meta, source.stem, exhibit.title, permalink)
    slides = slides_link(source.section, source.stem) if meta.slides else None
    citation = plain_citation(meta, exhibit.title, permalink)
    drawn = preview_path(article)
    preview = drawn if pages.has(drawn) else ""
    shown: dict[str, Any] = {
        "meta": meta,
        "section": source.section,
        "body": body,
        "abstract": filling.html(pages.words.mark(article.abstract, "p")),
        "contents": filling.headings(article.headings),
        "references": references,
        "claims": article.document.claims,
        "chooses": bool(article.document.counts.get("Choice")),
        "words": words,
        "minutes": _minutes(words),
        "bibtex": as_bibtex(key, entry),
        "plain_citation": citation,
        "permalink": permalink,
        "slides": slides,
        "appendix": {
            **{name: filling.html(text) for name, text in article.appendix.items()},
            "licence_text": _LICENCE.format(meta.licence) if meta.licence else "",
            "pictures": article.pictures,
        },
        "previous": previous,
        "following": following,
        "place": Place((home(), section_link(source.section)), (), previous, following),
    }
    front = {"head": head_of(meta, exhibit.title, permalink, preview, references, words)}
    yield pages.page(
        "article.html",
        source.address,
        meta.title,
        meta.description,
        front=front,
        **shown,
    )
    if slides:
        yield _slides(article, slides, unmarked(body), citation, pages)


def _slides(article: Article, slides: Link, body: str, citation: str, pages: Pages) -> Page:
    """The article, a slide at a time."""
    meta = article.source.meta
    return pages.page(
        "slides.html",
        slides.target,
        f"{meta.title}, as slides",
        meta.description,
        searchable=False,
        front={"template": "slides.html"},
        meta=meta,
        article=article_link(article),
        stacks=stacks(meta.title, body),
        equations="arithmatex" in body,
        chooses=bool(article.document.counts.get("Choice")),
        plain_citation=citation,
    )


def _word_count(article: Article, html: str) -> int:
    """Of a choice its first combination counts."""
    return len(as_text(_NO_WORDS.sub(" ", html)).split()) - article.document.repeated


def _minutes(words: int) -> int:
    return max(1, math.ceil(words / WORDS_A_MINUTE))


def head_of(
    meta: Meta,
    site: str,
    permalink: str,
    preview: str,
    references: Sequence[Reference],
    words: int,
) -> dict[str, Any]:
    """Plain values for the theme, which escapes them: `tags` are names with contents."""
    image = {"image": preview, "image_alt": f"The title, “{meta.title}”"} if preview else {}
    return {
        "article": True,
        **image,
        "tags": [list(tag) for tag in _tags(meta, site, permalink)],
        "json_ld": _schema(meta, site, permalink, references, words),
    }


def _tags(meta: Meta, site: str, permalink: str) -> list[tuple[str, str]]:
    """What Google Scholar reads (citation_*), and when the article appeared (Open Graph)."""
    found = [("citation_title", meta.title)]
    for author in meta.authors:
        found.append(("citation_author", author.name))
        found.append(("citation_author_institution", author.affiliation))
        found.append(("citation_author_orcid", _orcid(author)))
    if meta.date:
        found.append(("citation_publication_date", meta.date.strftime("%Y/%m/%d")))
        found.append(("article:published_time", meta.date.isoformat()))
    found += [
        ("citation_publisher", site),
        ("citation_doi", meta.doi),
        ("citation_fulltext_html_url", permalink),
    ]
    return [(name, content) for name, content in found if content]


def _schema(
    meta: Meta, site: str, permalink: str, references: Sequence[Reference], words: int
) -> dict[str, Any]:
    stated = {
        "@context": "https://schema.org",
        "@type": "ScholarlyArticle",
        "headline": meta.title,
        "alternativeHeadline": meta.subtitle,
        "description": meta.description,
        "author": [_person(author) for author in meta.authors],
        "datePublished": meta.date.isoformat() if meta.date else "",
        "identifier": f"https://doi.org/{meta.doi}" if meta.doi else "",
        "url": permalink,
        "license": f"https://spdx.org/licenses/{meta.licence}.html" if meta.licence else "",
        "wordCount": words,
        "isPartOf": {"@type": "WebSite", "name": site},
        "citation": [one.url for one in references if one.url],
    }
    return {name: value for name, value in stated.items() if value}


def _person(author: Author) -> dict[str, Any]:
    organisation = {"@type": "Organization", "name": author.affiliation}
    stated = {
        "@type": "Person",
        "name": author.name,
        "affiliation": organisation if author.affiliation else "",
        "sameAs": _orcid(author),
        "url": author.url,
    }
    return {name: value for name, value in stated.items() if value}


def _orcid(author: Author) -> str:
    return f"https://orcid.org/{author.orcid}" if author.orcid else ""
