"""What the gallery of figures shows of articles and lectures."""

from __future__ import annotations

from collections.abc import Iterable

from generator.articles.document import Article
from generator.articles.source import GUIDE
from generator.pages.figures import GalleryItem, Told, shortened


def told_figures(articles: Iterable[Article]) -> list[Told]:
    """The figures of articles and lectures with their kinds, in the order of the texts.

    The guide's are examples of how to write one.
    """
    found = []
    for article in articles:
        source = article.source
        for one in article.document.figures if source.section != GUIDE else ():
            light, *dark = one.paths
            shown = GalleryItem(
                path=light,
                target=f"{source.address}#{one.id}",
                about=shortened(one.alt),
                model=one.model,
                ink=not dark,
                dark="".join(dark),
                section=source.section,
                title=source.meta.title,
            )
            found.append((one.kind, shown))
    return found
