"""Everything that was measured on one encoder-decoder: model + texts -> findings, through the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.exhibit import Choices
from generator.inputs.texts import CuratedText
from generator.models.layer import Layer
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import CROSS, DECODER, PAIR, Stack
from generator.probes.ablation import Ablation
from generator.probes.attention import Attention
from generator.probes.heads import Statistic
from generator.probes.likeness import Likeness, alike_heads
from generator.probes.naming import NamedHeads, Sweep
from generator.probes.queries import Queries
from generator.probes.roles import Roles, Rule
from generator.probes.seq2seq import (
    Pair,
    measure_pair,
    measure_pair_attention,
    measure_pair_queries,
)
from generator.probes.seq2seq_control import PairControl, pair_control
from generator.probes.seq2seq_heads import measure_pair_repeats, stack_statistics
from generator.probes.seq2seq_naming import (
    NO_REPEATS,
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
class StackFindings:
    """The heads of one stack on all texts.

    `control` holds each statistic of the random twin's heads, (layers, heads), by name; `twin_asked` of
    these were tested for a role, `twin_labelled` got one. `queries` are the vectors of the first texts,
    where the model shows them. `ablation` is the sweep of all heads, `named` the roles.
    """

    stack: Stack
    layers: tuple[Layer, ...]
    heads: int
    attentions: tuple[Attention, ...]
    statistics: tuple[Statistic, ...]
    control: Mapping[str, np.ndarray]
    queries: tuple[Queries, ...]
    ablation: Ablation
    named: NamedHeads
    twin_asked: int
    twin_labelled: int
    likeness: Likeness

    @property
    def roles(self) -> Roles:
        """The role of each head, by layer."""
        return self.named.roles

    @property
    def sweep(self) -> Sweep:
        """The effect of silencing every head; on repeated tokens none was silenced."""
        return Sweep(self.ablation, NO_REPEATS)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The roles that its heads were tried for."""
        return rules_of(self.stack)

    @property
    def telling_axes(self) -> tuple[str, str]:
        """The two statistics that its heads are drawn over."""
        wanted = ["previous_token", "induction" if self.stack is DECODER else "next_token"]
        if self.stack is CROSS:
            wanted = ["off_diagonal", "writes_same"]
        # On texts of one token, or with no word in common, some are not defined.
        there = [one.name for one in self.statistics]
        x, y, *_ = [*(name for name in wanted if name in there), *there]
        return x, y

    def statistic(self, name: str) -> Statistic:
        """One statistic of all heads."""
        return next(found for found in self.statistics if found.name == name)

    def head(self, layer: int, head: int) -> str:
        """The name of a head."""
        return self.stack.head(layer, head)


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
    return StackFindings(
        stack=stack,
        layers=model.stack(stack),
        heads=model.heads[stack.name],
        attentions=attentions,
        statistics=(*statistics, *more),
        control=control.values[stack.name],
        queries=queries,
        ablation=ablation,
        named=named,
        twin_asked=control.asked[stack.name],
        twin_labelled=control.labelled[stack.name],
        likeness=alike_heads(attentions),
    )
