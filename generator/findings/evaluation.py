"""How well a model does what it is for, and what it leans to: what a model card states of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

from generator.card_schema import Pairs
from generator.models.model import Encoding, LanguageModel
from generator.models.twin import random_twin
from generator.probes.language_loss import LanguageLoss, measure_language_loss
from generator.probes.paired_texts import PairedTexts, measure_paired_texts
from generator.probes.paraphrases import Paraphrases, measure_paraphrases
from generator.store import Store

Step = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class TextEvaluation:
    """A transformer on the curated texts and on sentences that differ in one word.

    `loss` is None for a model that predicts no tokens, `paraphrases` for one that is no sentence encoder.
    `paired` has a result for each of the probes of `pairs` that fits the model.
    """

    loss: LanguageLoss | None
    paraphrases: Paraphrases | None
    pairs: Pairs
    paired: tuple[PairedTexts, ...]


def evaluate_text(
    model: LanguageModel,
    encodings: Mapping[str, Encoding],
    pairs: Pairs,
    seed: int,
    store: Store,
    step: Step,
) -> TextEvaluation:
    """Losses or similarities, and leans, each beside those of the network with random weights."""
    # Making the twin takes seconds: once for all, and only if a result is not in the store.
    twin = cache(partial(random_twin, model, seed))
    loss = measure_language_loss(model, encodings, seed, store, twin)
    paraphrases = measure_paraphrases(model, pairs.paraphrases, seed, store, twin)
    step(f"{model.id}: evaluation")
    paired = measure_paired_texts(model, pairs.probes, seed, store, twin)
    step(f"{model.id}: paired sentences")
    return TextEvaluation(loss, paraphrases, pairs, paired)
