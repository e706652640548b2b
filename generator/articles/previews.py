"""The picture that stands for an article where its address is shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from generator.articles.draft import Article
from generator.exhibit import Exhibit
from generator.figures.render import Drawing, Drawn


def preview_path(article: Article) -> str:
    """Where it lies in the site."""
    return f"{article.source.section}/{article.source.stem}/preview.jpg"


def previews(
    articles: Sequence[Article], exhibit: Exhibit, pictures: Mapping[str, Drawn]
) -> list[Drawing]:
    """One for each article: its title beside its first picture that is a raster."""
    return [
        Drawing(
            "preview",
            str(Path(preview_path(article)).parent),
            {
                "title": article.source.meta.title,
                "line": article.source.meta.subtitle or article.source.meta.description,
                "site": exhibit.title,
                "picture": _first(article, pictures),
            },
        )
        for article in articles
    ]


def _first(article: Article, pictures: Mapping[str, Drawn]) -> np.ndarray:
    """The bytes of the article's first raster, uint8; none where all figures are charts."""
    paths = (wanted.path for wanted in article.draft.figures)
    chosen = next((path for path in paths if path.endswith(".webp")), None)
    data = pictures[chosen].file.read_bytes() if chosen else b""
    return np.frombuffer(data, dtype=np.uint8)
