"""What the head of an article's page says to machines: scholarly tags, Open Graph, schema.org."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from generator.articles.bibliography import Reference
from generator.articles.front_matter import Author, Meta


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
