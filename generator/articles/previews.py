"""The picture that stands for an article where its address is shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from generator.articles.document import Article, Wanted
from generator.exhibit import Exhibit
from generator.figures import designs
from generator.figures.figure import Drawing, on_page
from generator.figures.render import Drawn
from generator.pages.previews import preview

_WIDTH = 436  # of the figure in the preview, in pixels


def preview_path(article: Article) -> str:
    """Where it lies in the site."""
    return f"{article.source.section}/{article.source.stem}/preview.jpg"


def previews(
    articles: Sequence[Article], exhibit: Exhibit, pictures: Mapping[str, Drawn]
) -> list[Drawing]:
    """One for each article: its title beside its first figure, photographs before charts."""
    return [
        preview(
            f"{article.source.section}/{article.source.stem}",
            article.source.meta.title,
            article.source.meta.subtitle or article.source.meta.description,
            exhibit.title,
            _picture(article.document.figures, pictures),
        )
        for article in articles
    ]


def _picture(figures: Sequence[Wanted], pictures: Mapping[str, Drawn]) -> bytes:
    """An encoded picture of the first figure; none where there are no figures."""
    first = max(figures, key=lambda one: len(one.paths), default=None)  # photographs have two
    if first is None:
        return b""
    if len(first.paths) > 1:
        return pictures[first.path].file.read_bytes()
    small = on_page(first.figure, "preview.webp", first.kind, _WIDTH)
    return designs.pictures(small.drawing)[0].data
