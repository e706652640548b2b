"""A card as a page of the site."""

from __future__ import annotations

from collections.abc import Sequence

from generator.cards.content import card_of
from generator.cards.origin import card_address
from generator.comparison import Comparison
from generator.exhibit import Exhibit
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.part import CARD
from generator.pages.parts import part_place
from generator.run import Run


def card_page(
    exhibit: Exhibit, run: Run, pages: Pages, comparisons: Sequence[Comparison] = ()
) -> Page:
    """The page of a model's card."""
    model = run.model
    card = card_of(exhibit, run, comparisons)
    return pages.page(
        "card.html",
        card_address(model.id),
        f"Model card · {model.title}",
        f"The model card of {model.title}: what it is for, how it was evaluated here, what its inside "
        "looks like, and which limits and biases were probed.",
        model=model,
        card=card,
        place=part_place(run, CARD),
    )
