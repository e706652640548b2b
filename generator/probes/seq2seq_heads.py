"""What the heads of an encoder-decoder do, in numbers, for each of its three stacks.

Encoder and decoder look at themselves: they are measured as any transformer is, distances included. Cross
attention looks from one text into another (see `scene_values`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import CROSS, DECODER, ENCODER, Stack
from generator.probes.attention import Attention
from generator.probes.head_statistic import Scene
from generator.probes.heads import Statistic
from generator.probes.positions import delimiters
from generator.probes.repeated_sequences import (
    RepeatedSequence,
    RepeatedSequences,
    random_sequences,
    score_repeats,
)
from generator.probes.seq2seq import Pair, pair_weights
from generator.probes.stack_statistics import defined, statistics_on, text_statistics
from generator.store import Store

VERSION = 1


def stack_statistics(
    model: Seq2SeqModel,
    stack: Stack,
    pairs: Sequence[Pair],
    attentions: Sequence[Attention],
    repeats: Mapping[str, RepeatedSequences],
) -> tuple[Statistic, ...]:
    """All statistics of one stack that have a value, over the curated texts and random tokens.

    `repeats` is empty where no repeated random tokens fit.
    """
    if stack is CROSS:
        return defined(_cross_statistics(model, pairs, attentions).values())
    read = [pair.source if stack is ENCODER else pair.read for pair in pairs]
    special = [model.special(one.ids) for one in read]
    return defined(text_statistics(attentions, special, repeats.get(stack.name)).values())


def _cross_statistics(
    model: Seq2SeqModel, pairs: Sequence[Pair], attentions: Sequence[Attention]
) -> dict[str, Statistic]:
    special = frozenset(int(i) for i in model.tokenizer.all_special_ids)
    scenes = [
        Scene(
            delimiters=delimiters(pair.source.tokens, model.special(pair.source.ids)),
            read=pair.read.ids,
            written=pair.written.ids,
            source=pair.source.ids,
            special=special,
        )
        for pair in pairs
    ]
    return statistics_on(
        CROSS, [one.weights for one in attentions], [_even(one) for one in attentions], scenes
    )


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
    copied. Raises CutawayError where they do not fit.
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
