"""A section of figures and a few words, for techniques without a template of their own."""

from __future__ import annotations

from dataclasses import dataclass

from generator.figures.figure import Figure, on_page
from generator.run import Run

WIDTH = 860  # of a figure on a page, in CSS pixels


@dataclass(frozen=True)
class FigureView:
    """What templates/sections/figure.html shows: a title, paragraphs, and figures with their captions."""

    title: str
    text: tuple[str, ...]
    figures: tuple[Figure, ...]


def figure_view(run: Run, kind: str, title: str, text: str, *figures: Figure) -> FigureView:
    """Figures for articles, of some `kind`, as a section of the model's page. Blank lines part paragraphs."""
    path = f"{run.folder}/own/{kind}"
    drawn = (
        on_page(one, f"{path}-{number}.{'svg' if one.ink else 'webp'}", kind, WIDTH)
        for number, one in enumerate(figures)
    )
    paragraphs = tuple(" ".join(part.split()) for part in text.split("\n\n"))
    return FigureView(title, paragraphs, tuple(drawn))
