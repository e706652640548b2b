"""What two models that read say of the same texts: at every token, as vectors, or in bits a byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from generator.comparison import sides
from generator.probes.bits_per_byte import (
    BitsPerByte,
    bits_per_byte,
    shared_stretch,
    token_ends,
)
from generator.probes.repeated_sequences import random_sequences, why_no_repeats
from generator.probes.sentence_vectors import Similarities, measure_vectors, similarities
from generator.probes.token_answers import (
    Asked,
    Mean,
    TokenAnswers,
    asked_of,
    mean_of,
    measure_token_answers,
)
from generator.run import PAIRS, Run
from generator.techniques.answers import pairs_of
from generator.techniques.compared_stacks import other_texts, read_ids
from generator.techniques.token_units import text_model

VECTORS = "representation"  # what an encoder without a head answers with


@dataclass(frozen=True)
class TextAnswers:
    """What both say at each token of the texts, with means over these and over random tokens by name.

    `left_out` are texts of which both wrote, and so read, another target.
    """

    tokens: Mapping[str, tuple[str, ...]]
    answers: Mapping[str, TokenAnswers]
    means: Mapping[str, Mean]
    left_out: tuple[str, ...] = ()

    def moved(self, text: str) -> float:
        """Mean absolute change of the loss over the tokens of a text."""
        loss = self.answers[text].loss
        return float(np.abs(loss[1] - loss[0]).mean())

    @property
    def order(self) -> list[str]:
        """The texts, the one whose losses moved most first."""
        return sorted(self.answers, key=self.moved, reverse=True)


@dataclass(frozen=True)
class VectorAnswers:
    """The vectors of the texts in both models, held against each other."""

    texts: tuple[str, ...]
    found: Similarities


@dataclass(frozen=True)
class BitAnswers:
    """Bits a byte of each text in both models over the same bytes, and why nothing closer can be compared."""

    reason: str
    texts: Mapping[str, tuple[BitsPerByte, BitsPerByte]]

    @property
    def means(self) -> tuple[float, float]:
        """Over all bytes of all texts."""
        sums = [
            (sum(one[side].bits for one in self.texts.values()),
             sum(one[side].size for one in self.texts.values()))
            for side in (0, 1)
        ]  # fmt: skip
        before, after = (bits / size if size else float("nan") for bits, size in sums)
        return before, after


Answers = TextAnswers | VectorAnswers | BitAnswers | str


def text_answers(run: Run) -> Answers:
    """What two models that read texts say; or why they cannot be compared."""
    before, after = sides(run)
    if other_texts(before, after):
        return other_texts(before, after)
    if run.reads == PAIRS:
        return _written(before, after)
    one, other = before.language, after.language
    kinds = {model.head_kind for model in (one, other)}
    if kinds == {VECTORS}:
        return _vectors(before, after)
    if len(kinds) > 1:
        says = [f"{model.title} answers with {_KINDS[model.head_kind]}" for model in (one, other)]
        return f"{says[0]}, {says[1]}."
    reason = _other_tokens(before, after)
    if reason and one.head_kind == "next token":
        return _bits(before, after, reason)
    return reason or _said(before, after)


_KINDS = {
    "next token": "the next token",
    "masked token": "masked tokens",
    VECTORS: "a vector of the text",
}


def _other_tokens(before: Run, after: Run) -> str:
    """Why two models do not predict the same tokens; "" where they do."""
    if read_ids(before) != read_ids(after):
        return (
            "the two cut texts into other tokens, so that their losses are not of the same things."
        )
    sizes = [text_model(run).vocabulary for run in (before, after)]
    if sizes[0] != sizes[1]:
        return f"the two choose among {sizes[0]:,} and {sizes[1]:,} tokens."
    return ""


def _said(before: Run, after: Run) -> Answers:
    """What two models that predict tokens say of the texts, and of random tokens that come twice."""
    one, other, store, seed = before.language, after.language, before.store, before.seed
    asked = {name: asked_of(one, each.ids) for name, each in before.encodings.items()}
    answers = measure_token_answers(one, other, asked, store)
    if not answers:
        return "the texts have no token that is predicted."
    means = {"curated texts": _mean(answers, seed)}
    if one.causal and not (why_no_repeats(one) or why_no_repeats(other)):
        means |= _on_random_tokens(before, after)
    tokens = {name: each.tokens for name, each in before.encodings.items()}
    return TextAnswers(tokens, answers, means)


def _mean(answers: Mapping[str, TokenAnswers], seed: int) -> Mean:
    every = [(one, np.ones(len(one.places), dtype=bool)) for one in answers.values()]
    return mean_of(every, seed)


def _on_random_tokens(before: Run, after: Run) -> dict[str, Mean]:
    """On random tokens nothing can be known before they come again: the first copy and the second."""
    one, other, seed = before.language, after.language, before.seed
    made = {str(place): each for place, each in enumerate(random_sequences(one, seed))}
    asked = {name: asked_of(one, each.ids) for name, each in made.items()}
    found = measure_token_answers(one, other, asked, before.store)
    spans = {
        "random tokens, first copy": [made[name].first for name in found],
        "random tokens, second copy": [made[name].second for name in found],
    }
    return {
        # The first token of a copy is left out: nothing announces it.
        name: mean_of(
            [(each, _within(each, span)) for each, span in zip(found.values(), of, strict=True)],
            seed,
        )
        for name, of in spans.items()
    }


def _within(found: TokenAnswers, span: slice) -> np.ndarray:
    places = np.array(found.places)
    return (places > span.start) & (places < span.stop)


def _written(before: Run, after: Run) -> Answers:
    """What two encoder-decoders say of targets that both were given, or wrote alike."""
    reason = _other_tokens(before, after)
    if reason:
        return reason
    asked, tokens, left_out = {}, {}, []
    for one, other in zip(pairs_of(before), pairs_of(after), strict=True):
        if (one.read.ids, one.written.ids) != (other.read.ids, other.written.ids):
            left_out.append(one.text)
            continue
        places = tuple(range(len(one.written.ids)))
        asked[one.text] = Asked(one.read.ids, one.written.ids, places, one.source.ids)
        tokens[one.text] = one.written.tokens
    if not asked:
        return "the two write other answers to every text; targets in the exhibit would be read by both."
    answers = measure_token_answers(before.pair, after.pair, asked, before.store)
    means = {"targets": _mean(answers, before.seed)}
    return TextAnswers(tokens, answers, means, tuple(left_out))


def _vectors(before: Run, after: Run) -> VectorAnswers:
    both = [
        measure_vectors(run.language, run.encodings, run.store).vectors for run in (before, after)
    ]
    return VectorAnswers(tuple(before.encodings), similarities(*both))


def _bits(before: Run, after: Run, reason: str) -> Answers:
    """Bits a byte of what both read, over the bytes that both predict."""
    one, other, store = before.language, after.language, before.store
    known = {text.id: text.text for text in before.inputs.texts}
    pairs = {}
    for text in after.inputs.texts:
        if known.get(text.id) != text.text:
            continue
        stretch = shared_stretch(token_ends(one, text.text), token_ends(other, text.text))
        both = [bits_per_byte(model, text.text, stretch, store) for model in (one, other)]
        if all(each.size for each in both):
            pairs[text.id] = both[0], both[1]
    return BitAnswers(reason, pairs) if pairs else reason
