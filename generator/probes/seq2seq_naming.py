"""Names the roles of an encoder-decoder's heads, stack by stack, as `probes.naming` does for one stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import CROSS, PAIR, Stack
from generator.probes.ablation import Ablation, Heads, not_ablated
from generator.probes.naming import NOTHING_TESTED, HeldOut, NamedHeads, name_by
from generator.probes.repeated_sequences import RepeatedSequences
from generator.probes.roles import CROSS_RULES, RULES, Rule, Statistics
from generator.probes.seq2seq import Pair, PairAttention
from generator.probes.seq2seq_ablation import ablate_pairs
from generator.probes.seq2seq_heads import stack_statistics
from generator.probes.sweep import LONGEST, NO_REPEATS, Sweep, why_no_sweep
from generator.store import Store


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
