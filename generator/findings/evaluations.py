"""What was evaluated here, as one list: for the card, for its metadata and for evaluation.csv."""

from __future__ import annotations

from generator.findings import Carded, TextFindings
from generator.findings.text_evaluations import text_evaluations
from generator.techniques.evaluation_record import Evaluation
from generator.techniques.picture_evaluations import picture_evaluations


def evaluations(found: Carded) -> tuple[Evaluation, ...]:
    """Every evaluation of a model, in the order in which a card lists them."""
    if isinstance(found, TextFindings):
        return tuple(text_evaluations(found))
    return tuple(picture_evaluations(found.run))
