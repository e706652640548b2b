"""What the heads of an encoder-decoder do, in numbers, for each of its three stacks.

Encoder and decoder look at themselves: they are measured as any transformer is, distances included. Cross
attention looks from one text into another (see `scene_values`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import CROSS, DECODER, ENCODER, PAIR, Stack
from generator.models.text_model import Encoding
from generator.probes.ablation import Ablation, Heads, not_ablated
from generator.probes.attention import Attention
from generator.probes.head_statistic import Scene
from generator.probes.heads import Statistic
from generator.probes.naming import NOTHING_TESTED, HeldOut, NamedHeads, name_by
from generator.probes.positions import delimiters
from generator.probes.repeated_sequences import (
    RepeatedSequence,
    RepeatedSequences,
    random_sequences,
    score_repeats,
)
from generator.probes.roles import CROSS_RULES, RULES, Rule, Statistics
from generator.probes.seq2seq import Pair, PairAttention, pair_weights
from generator.probes.seq2seq_ablation import ablate_pairs
from generator.probes.stack_statistics import defined, statistics_on, text_statistics
from generator.probes.sweep import LONGEST, NO_REPEATS, Sweep, why_no_sweep
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
    special = [_special(model, one) for one in read]
    return defined(text_statistics(attentions, special, repeats.get(stack.name)).values())


def _special(model: Seq2SeqModel, encoding: Encoding) -> frozenset[int]:
    special = set(model.tokenizer.all_special_ids)
    return frozenset(place for place, one in enumerate(encoding.ids) if one in special)


def _cross_statistics(
    model: Seq2SeqModel, pairs: Sequence[Pair], attentions: Sequence[Attention]
) -> dict[str, Statistic]:
    special = frozenset(int(i) for i in model.tokenizer.all_special_ids)
    scenes = [
        Scene(
            delimiters=delimiters(pair.source.tokens, _special(model, pair.source)),
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


def rules_of(stack: Stack) -> tuple[Rule, ...]:
    """The roles that the heads of a stack are tried for."""
    return CROSS_RULES if stack is CROSS else RULES


def split_pairs(pairs: Sequence[Pair], count: int) -> tuple[list[Pair], list[Pair]]:
    """The pairs of the sweep, and those held out from it: the first `count` short ones, and the others."""
    short = [one for one in pairs if len(one.source.ids) <= LONGEST]
    return short[:count], short[count:]


def sweep_pairs(
    model: Seq2SeqModel, pairs: Sequence[Pair], count: int, store: Store
) -> tuple[Ablation, ...]:
    """Silence every head of each stack, in the order of PAIR, on the first `count` short pairs."""
    sweep = split_pairs(pairs, count)[0]
    if not sweep:
        return tuple(not_ablated(why_no_sweep(count)) for _ in PAIR)
    return ablate_pairs(model, sweep, store).stacks


def name_pair_heads(
    model: Seq2SeqModel,
    pairs: Sequence[Pair],
    attentions: Sequence[PairAttention],
    repeats: Mapping[str, RepeatedSequences],
    sweeps: Sequence[Ablation],
    count: int,
    twin: Mapping[str, Mapping[str, np.ndarray]],
    store: Store,
) -> tuple[NamedHeads, ...]:
    """The roles of each stack, in the order of PAIR. `twin` has the random twin's statistics by stack.

    `sweeps` are over the first `count` short pairs; effects are tested on the other short ones.
    """
    sweep, rest = split_pairs(pairs, count)

    def statistics(stack: Stack, some: slice) -> Statistics:
        shown = [one.of(stack) for one in attentions[some]]
        scores = {name: one.part(some) for name, one in repeats.items()}
        found = stack_statistics(model, stack, pairs[some], shown, scores)
        return {one.name: one for one in found}

    def named(stack: Stack, swept: Ablation) -> NamedHeads:
        def silence(asked: Mapping[str, Heads]) -> HeldOut:
            if swept.reason or not rest or not asked["text"]:
                return HeldOut(not_ablated(swept.reason or NOTHING_TESTED), NO_REPEATS)
            heads = {stack.name: asked["text"]}
            tested = ablate_pairs(model, rest, store, heads=heads, reference=sweep)
            return HeldOut(tested.stacks[PAIR.index(stack)], NO_REPEATS)

        halves = [statistics(stack, slice(at, None, 2)) for at in (0, 1) if len(pairs) > 1]
        whole, own = statistics(stack, slice(None)), Sweep(swept, NO_REPEATS)
        return name_by(rules_of(stack), whole, halves, twin.get(stack.name, {}), own, silence)

    return tuple(named(stack, swept) for stack, swept in zip(PAIR, sweeps, strict=True))
