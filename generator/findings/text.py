"""Everything that was measured on one transformer: model + texts -> findings, through the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from generator.card_schema import Pairs
from generator.errors import CutawayError
from generator.exhibit import Choices
from generator.findings.evaluation import TextEvaluation, evaluate_text
from generator.findings.heads import HeadFindings, measure_heads, measure_stack
from generator.findings.stack import StackFindings
from generator.inputs.texts import CuratedText
from generator.models.model import Encoding, LanguageModel
from generator.probes.attention import Attention, measure_attention
from generator.probes.decoding import LogitAttribution, LogitLens, attribute_logit, logit_lens
from generator.probes.norms import ValueNorms, measure_norms
from generator.probes.predictions import Prediction, predict_texts
from generator.probes.queries import (
    Worked,
    measure_queries,
    telling_place,
    work_through,
)
from generator.probes.signal import Signal, measure_text_signal
from generator.run import Run
from generator.store import Store

Step = Callable[[str], None]


# Vectors weigh ten times as much as weights, and a page that follows a head has a table for each token:
# both are made of the first text alone that is short enough.
WITH_VECTORS, LONGEST_WITH_VECTORS = 1, 96
# A table of all positions is read on a screen: only short texts are decoded, those whose end is surest.
DECODED, LONGEST_DECODED = 2, 40


@dataclass(frozen=True, eq=False)
class WorkedHead:
    """One head followed on one text, starting at the token that it tells most about."""

    text: CuratedText
    token: int
    steps: Worked


@dataclass(frozen=True, eq=False)
class TextFindings:
    """A transformer on the curated texts.

    `stack` has all its heads; `worked` is None where none of them can be followed. `heads` holds what
    weights and other random tokens tell of them. `decoded` are
    the lens and the attribution of the texts that show most, none for an encoder; `norms` the lengths
    of the values on the first text. `pictures` is the id of the picture tower whose pages compare pictures
    with the texts, if this is the text tower beside it.
    """

    model: LanguageModel
    texts: tuple[CuratedText, ...]
    encodings: Mapping[str, Encoding]
    stack: StackFindings
    predictions: Mapping[str, Prediction]
    signal: Signal
    worked: WorkedHead | None
    heads: HeadFindings
    norms: ValueNorms
    decoded: tuple[tuple[LogitLens, LogitAttribution], ...]
    evaluation: TextEvaluation
    pictures: str = ""
    run: Run | None = None

    @property
    def stacks(self) -> tuple[StackFindings, ...]:
        """Its one stack of heads."""
        return (self.stack,)


def measure_text(
    model: LanguageModel,
    texts: Sequence[CuratedText],
    pairs: Pairs,
    choices: Choices,
    seed: int,
    store: Store,
    step: Step,
    held_out: Sequence[CuratedText] = (),
) -> TextFindings:
    """Run every text probe. `step` is told the name of each piece of work that is done.

    `held_out` are texts that no page shows, on which it is tested what is said of heads.
    """
    encodings = {text.id: model.encode(text) for text in texts}
    attentions = []
    for text in texts:
        attentions.append(measure_attention(model, text, store))
        step(f"{model.id}: {text.id}")
    predictions = {found.input: found for found in predict_texts(model, encodings, store)}
    signal = measure_text_signal(model, encodings, store)
    step(f"{model.id}: signal")
    short = [text for text in texts if len(encodings[text.id].ids) <= LONGEST_WITH_VECTORS]
    queries = [measure_queries(model, text, store) for text in short[:WITH_VECTORS]]
    step(f"{model.id}: queries and keys")
    heads = measure_heads(model, encodings, choices, seed, store, step)
    stack = measure_stack(
        model,
        texts,
        held_out,
        encodings,
        tuple(attentions),
        tuple(found for found in queries if not found.reason),
        heads.copying,
        choices,
        seed,
        store,
        step,
    )
    decoded = _decode(model, encodings, predictions, store)
    step(f"{model.id}: decoding")
    return TextFindings(
        model=model,
        texts=tuple(texts),
        encodings=encodings,
        stack=stack,
        predictions=predictions,
        signal=signal,
        worked=_worked(model, texts, attentions, store),
        heads=heads,
        norms=measure_norms(model, texts[0].id, encodings[texts[0].id], store),
        decoded=decoded,
        evaluation=evaluate_text(model, encodings, pairs, seed, store, step),
    )


def _decode(
    model: LanguageModel,
    encodings: Mapping[str, Encoding],
    predictions: Mapping[str, Prediction],
    store: Store,
) -> tuple[tuple[LogitLens, LogitAttribution], ...]:
    """Lens and attribution on the short texts after which the model is surest of the next token."""
    if not model.causal:
        return ()
    bare = model.head_kind != "next token"  # its answers are other texts, or none
    short = [name for name, one in encodings.items() if len(one.ids) <= LONGEST_DECODED]
    sure = sorted(
        short, key=lambda name: 0 if bare else -round(predictions[name].guesses[0].score, 5)
    )
    return tuple(
        (
            logit_lens(model, name, encodings[name], store),
            attribute_logit(model, name, encodings[name], store),
        )
        for name in sure[:DECODED]
    )


def _worked(
    model: LanguageModel,
    texts: Sequence[CuratedText],
    attentions: Sequence[Attention],
    store: Store,
) -> WorkedHead | None:
    """The first short text in which a head looks from one word to another that stands apart."""
    for text, attention in zip(texts, attentions, strict=True):
        short = len(attention.tokens) <= LONGEST_WITH_VECTORS
        place = telling_place(attention) if short else None
        if place is not None:
            layer, head, token = place
            try:
                return WorkedHead(text, token, work_through(model, text, layer, head, store))
            except CutawayError:  # its queries or its output matrix do not show
                return None
    return None
