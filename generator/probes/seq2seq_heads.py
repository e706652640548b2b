"""What the heads of an encoder-decoder do, in numbers, for each of its three stacks.

Encoder and decoder look at themselves: they are measured as any transformer is, distances included.
Cross attention looks from one text into another. There the place of a key says nothing of the place of
a query, so that previous token, distance, duplicate and induction are not defined; what is: how spread
out the weights are, how far from the diagonal, and whether they find the same token in the source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.models.model import Encoding
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import CROSS, DECODER, ENCODER, Stack
from generator.probes.attention import Attention
from generator.probes.heads import (
    RepeatedSequence,
    RepeatedSequences,
    Statistic,
    entropy,
    head_statistics,
    random_sequences,
    score_repeats,
    sink_mass,
)
from generator.probes.positions import delimiter_mass, delimiters, extra_statistics
from generator.probes.seq2seq import Pair, pair_weights
from generator.store import Store

VERSION = 1


def peak(weights: np.ndarray) -> np.ndarray:
    """Mean over queries of the largest weight: 1 if each query looks at one key alone."""
    return weights.max(-1).mean(-1)


def cross_relative_entropy(weights: np.ndarray) -> np.ndarray:
    """Entropy relative to an even spread over all keys; NaN for a source of one token."""
    keys = weights.shape[-1]
    if keys < 2:
        return np.full(weights.shape[:-2], np.nan)
    return entropy(weights) / np.log(keys)


def off_diagonal(weights: np.ndarray) -> np.ndarray:
    """Mean distance from the diagonal, with both texts scaled to length 1.

    Mean over queries i of sum_j A |i / (m - 1) - j / (n - 1)|: 0 for a head that walks through the
    source as the target is written. NaN if a text has one token.
    """
    queries, keys = weights.shape[-2:]
    if queries < 2 or keys < 2:
        return np.full(weights.shape[:-2], np.nan)
    apart = np.abs(np.linspace(0, 1, queries)[:, None] - np.linspace(0, 1, keys)[None, :])
    return (weights * apart).sum(-1).mean(-1)


def same_token(
    weights: np.ndarray, wanted: Sequence[int], source: Sequence[int], special: frozenset[int]
) -> np.ndarray:
    """Mean weight on the source tokens that equal the query's `wanted` token.

    Over the queries whose token stands in the source; `special` tokens are left out. NaN without any.
    """
    same = np.array([[one == other and one not in special for other in source] for one in wanted])
    there = same.any(-1)
    if not there.any():
        return np.full(weights.shape[:-2], np.nan)
    return (weights * same).sum(-1)[..., there].mean(-1)


def stack_statistics(
    model: Seq2SeqModel,
    stack: Stack,
    pairs: Sequence[Pair],
    attentions: Sequence[Attention],
    repeats: Mapping[str, RepeatedSequences],
) -> tuple[Statistic, ...]:
    """All statistics of one stack that have a value, over the curated texts and random tokens."""
    if stack is CROSS:
        return _defined(_cross_statistics(model, pairs, attentions))
    found = list(head_statistics(attentions, repeats[stack.name]))
    read = [pair.source if stack is ENCODER else pair.read for pair in pairs]
    found += extra_statistics(attentions, [_special(model, one) for one in read]).values()
    return _defined(found)


def _defined(found: Sequence[Statistic]) -> tuple[Statistic, ...]:
    return tuple(one for one in found if np.isfinite(one.mean).all())


def _special(model: Seq2SeqModel, encoding: Encoding) -> frozenset[int]:
    special = set(model.tokenizer.all_special_ids)
    return frozenset(place for place, one in enumerate(encoding.ids) if one in special)


def _cross_statistics(
    model: Seq2SeqModel, pairs: Sequence[Pair], attentions: Sequence[Attention]
) -> list[Statistic]:
    special = frozenset(int(i) for i in model.tokenizer.all_special_ids)

    def at_delimiters(weights: np.ndarray, pair: Pair) -> np.ndarray:
        mask = delimiters(pair.source.tokens, _special(model, pair.source))
        return delimiter_mass(weights, mask, causal=False)

    measures: dict[str, Callable[[np.ndarray, Pair], np.ndarray]] = {
        "entropy_nats": lambda weights, _: entropy(weights),
        "relative_entropy": lambda weights, _: cross_relative_entropy(weights),
        "peak": lambda weights, _: peak(weights),
        "off_diagonal": lambda weights, _: off_diagonal(weights),
        "reads_same": lambda w, pair: same_token(w, pair.read.ids, pair.source.ids, special),
        "writes_same": lambda w, pair: same_token(w, pair.written.ids, pair.source.ids, special),
        "sink_mass": lambda weights, _: sink_mass(weights),
        "delimiter_mass": at_delimiters,
    }
    both = list(zip(attentions, pairs, strict=True))
    return [
        Statistic(
            name,
            np.stack([measure(one.weights, pair) for one, pair in both]),
            np.stack([measure(_even(one), pair) for one, pair in both]),
        )
        for name, measure in measures.items()
    ]


def _even(attention: Attention) -> np.ndarray:
    shape = (len(attention.tokens), len(attention.keys))
    return np.full(shape, 1 / shape[1], dtype=np.float32)


@dataclass(frozen=True)
class PairRepeats:
    """Scores on repeated random tokens: the encoder's, and the decoder's with nothing to read."""

    encoder: RepeatedSequences
    decoder: RepeatedSequences

    @property
    def by_stack(self) -> Mapping[str, RepeatedSequences]:
        """By the name of the stack."""
        return {ENCODER.name: self.encoder, DECODER.name: self.decoder}


def measure_pair_repeats(model: Seq2SeqModel, seed: int, store: Store) -> PairRepeats:
    """Run each stack on BOS + r + filler + r with random tokens r (see `repeated_sequences`).

    While the decoder reads them, the encoder reads a text without words: from there nothing can be
    copied. Raises CutawayError if context or vocabulary are too small.
    """
    made = random_sequences(model, seed)
    bare = tuple(int(i) for i in model.tokenizer("")["input_ids"]) or (model.start,)

    def make() -> PairRepeats:
        read = [pair_weights(model, one.ids, (model.start,))[ENCODER.name] for one in made]
        moved = [_behind_start(model, one) for one in made]
        said = [pair_weights(model, bare, one.ids)[DECODER.name] for one in moved]
        return PairRepeats(score_repeats(made, read, False), score_repeats(moved, said, True))

    parts = {"model": model.key, "seed": seed, "sequences": len(made), "start": model.start}
    return store.result("pair_repeats", VERSION, parts, PairRepeats, make)


def _behind_start(model: Seq2SeqModel, one: RepeatedSequence) -> RepeatedSequence:
    second = slice(one.second.start + 1, one.second.stop + 1)
    return RepeatedSequence((model.start, *one.ids), one.period, second)
