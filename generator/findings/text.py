"""Everything that was measured on one transformer: model + texts -> findings, through the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from generator.errors import CutawayError
from generator.inputs.texts import CuratedText
from generator.models.model import Encoding, LanguageModel
from generator.probes.attention import Attention, measure_attention
from generator.probes.heads import Statistic, head_statistics, repeated_sequences
from generator.probes.predictions import Prediction, predict_texts
from generator.probes.queries import (
    Queries,
    Worked,
    measure_queries,
    telling_place,
    work_through,
)
from generator.probes.signal import Signal, measure_text_signal
from generator.store import Store

Step = Callable[[str], None]


# Vectors weigh ten times as much as weights: they are published for the first texts alone.
WITH_VECTORS = 2


@dataclass(frozen=True, eq=False)
class WorkedHead:
    """One head followed on one text, starting at the token that it tells most about."""

    text: CuratedText
    token: int
    steps: Worked


@dataclass(frozen=True, eq=False)
class TextFindings:
    """A transformer on the curated texts.

    `queries` are the vectors of the first texts, where the model shows them; `worked` is None where
    none of its heads can be followed.
    """

    model: LanguageModel
    texts: tuple[CuratedText, ...]
    encodings: Mapping[str, Encoding]
    attentions: tuple[Attention, ...]
    statistics: tuple[Statistic, ...]
    predictions: Mapping[str, Prediction]
    signal: Signal
    queries: tuple[Queries, ...]
    worked: WorkedHead | None

    def statistic(self, name: str) -> Statistic:
        """One statistic of all heads."""
        return next(found for found in self.statistics if found.name == name)


def measure_text(
    model: LanguageModel, texts: Sequence[CuratedText], seed: int, store: Store, step: Step
) -> TextFindings:
    """Run every text probe. `step` is told the name of each piece of work that is done."""
    encodings = {text.id: model.encode(text) for text in texts}
    attentions = []
    for text in texts:
        attentions.append(measure_attention(model, text, store))
        step(f"{model.id}: {text.id}")
    statistics = head_statistics(attentions, repeated_sequences(model, seed, store))
    step(f"{model.id}: repeated sequences")
    predictions = {found.input: found for found in predict_texts(model, encodings, store)}
    signal = measure_text_signal(model, encodings, store)
    step(f"{model.id}: signal")
    queries = [measure_queries(model, text, store) for text in texts[:WITH_VECTORS]]
    step(f"{model.id}: queries and keys")
    return TextFindings(
        model=model,
        texts=tuple(texts),
        encodings=encodings,
        attentions=tuple(attentions),
        statistics=statistics,
        predictions=predictions,
        signal=signal,
        queries=tuple(found for found in queries if not found.reason),
        worked=_worked(model, texts, attentions, store),
    )


def _worked(
    model: LanguageModel,
    texts: Sequence[CuratedText],
    attentions: Sequence[Attention],
    store: Store,
) -> WorkedHead | None:
    """The first text in which a head looks from one word to another that stands apart."""
    for text, attention in zip(texts, attentions, strict=True):
        place = telling_place(attention)
        if place is not None:
            layer, head, token = place
            try:
                return WorkedHead(text, token, work_through(model, text, layer, head, store))
            except CutawayError:  # its queries or its output matrix do not show
                return None
    return None
