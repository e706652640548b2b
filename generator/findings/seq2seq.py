"""Everything that was measured on one encoder-decoder: model + texts -> findings, through the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from generator.exhibit import Choices
from generator.findings.stack import StackFindings
from generator.inputs.texts import CuratedText
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import PAIR, Stack
from generator.probes.ablation import Ablation
from generator.probes.ablation_words import TARGET
from generator.probes.attention import Attention
from generator.probes.head_control import RandomControl
from generator.probes.heads import Statistic
from generator.probes.likeness import alike_heads
from generator.probes.naming import NamedHeads
from generator.probes.norms import PairRollout, pair_rollout
from generator.probes.queries import Queries
from generator.probes.seq2seq import (
    Pair,
    measure_pair,
    measure_pair_attention,
    measure_pair_queries,
)
from generator.probes.seq2seq_control import PairControl, pair_control
from generator.probes.seq2seq_heads import measure_pair_repeats, stack_statistics
from generator.probes.seq2seq_naming import (
    name_pair_heads,
    rules_of,
    sweep_pairs,
)
from generator.probes.signal import Signal, measure_pair_signal
from generator.run import Run
from generator.store import Store

Step = Callable[[str], None]

# As for other transformers, vectors of the first text alone.
WITH_VECTORS = 1


@dataclass(frozen=True, eq=False)
class Seq2SeqFindings:
    """An encoder-decoder on the curated texts; `stacks` are its encoder, decoder and cross attention."""

    model: Seq2SeqModel
    texts: tuple[CuratedText, ...]
    pairs: Mapping[str, Pair]
    stacks: tuple[StackFindings, ...]
    signal: Signal
    twin_seed: int
    run: Run | None = None

    @cached_property
    def rollout(self) -> PairRollout:
        """Attention followed through the blocks on the first text."""
        encoder, decoder, cross = (self.of(stack).attentions[0].weights for stack in PAIR)
        return pair_rollout(encoder, decoder, cross)

    def of(self, stack: Stack) -> StackFindings:
        """One stack."""
        return next(found for found in self.stacks if found.stack is stack)


def measure_seq2seq(
    model: Seq2SeqModel,
    texts: Sequence[CuratedText],
    choices: Choices,
    seed: int,
    store: Store,
    step: Step,
) -> Seq2SeqFindings:
    """Run every probe that applies; `step` is told what was done. Finished ones come from the store."""
    pairs, attentions = [], []
    for text in texts:
        pairs.append(measure_pair(model, text, store))
        attentions.append(measure_pair_attention(model, pairs[-1], store))
        step(f"{model.id}: {text.id}")
    repeats = measure_pair_repeats(model, seed, store).by_stack
    step(f"{model.id}: repeated sequences")
    queries = [measure_pair_queries(model, pair, store).stacks for pair in pairs[:WITH_VECTORS]]
    step(f"{model.id}: queries and keys")
    sweeps = sweep_pairs(model, pairs, choices.ablate, store)
    step(f"{model.id}: heads silenced")
    control = pair_control(model, pairs, choices.ablate, seed, store)
    step(f"{model.id}: random weights")
    named = name_pair_heads(
        model, pairs, attentions, repeats, sweeps, choices.ablate, control.values, store
    )
    step(f"{model.id}: roles of heads")
    stacks = []
    for place, stack in enumerate(PAIR):
        shown = tuple(one.of(stack) for one in attentions)
        vectors = tuple(found[place] for found in queries if found)
        statistics = stack_statistics(model, stack, pairs, shown, repeats)
        found = _stack(
            model, stack, shown, statistics, vectors, control, sweeps[place], named[place]
        )
        stacks.append(found)
    signal = measure_pair_signal(model, pairs, store)
    step(f"{model.id}: signal")
    by_text = {pair.text: pair for pair in pairs}
    return Seq2SeqFindings(model, tuple(texts), by_text, tuple(stacks), signal, seed)


def _stack(
    model: Seq2SeqModel,
    stack: Stack,
    attentions: tuple[Attention, ...],
    statistics: tuple[Statistic, ...],
    queries: tuple[Queries, ...],
    control: PairControl,
    ablation: Ablation,
    named: NamedHeads,
) -> StackFindings:
    more = () if ablation.reason else (ablation.statistic("text"),)
    name = stack.name
    return StackFindings(
        model=model,
        stack=stack,
        layers=model.stack(stack),
        heads=model.heads[name],
        kv_groups=model.heads[name],
        inputs=tuple(one.text for one in attentions),
        measure=TARGET,
        statistics=(*statistics, *more),
        control=RandomControl(
            control.seed, control.values[name], control.asked[name], control.labelled[name]
        ),
        ablation=ablation,
        rules=rules_of(stack),
        named=named,
        likeness=alike_heads(attentions),
        attentions=attentions,
        queries=queries,
    )
