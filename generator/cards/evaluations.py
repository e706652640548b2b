"""What was evaluated here, as one list: for the card, for its metadata and for evaluation.csv."""

from __future__ import annotations

from generator.cards.evaluation import Evaluation
from generator.cards.picture_evaluations import picture_evaluations
from generator.cards.text_evaluations import text_evaluations
from generator.findings import Carded, TextFindings


def evaluations(found: Carded) -> tuple[Evaluation, ...]:
    """Every evaluation of a model, in the order in which a card lists them."""
    if isinstance(found, TextFindings):
        return tuple(text_evaluations(found))
    return tuple(picture_evaluations(found))
