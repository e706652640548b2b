"""The heads of an encoder-decoder: those of its encoder, of its decoder, and across."""

from __future__ import annotations

from collections.abc import Mapping

from generator.models.stacks import PAIR
from generator.probes.naming import NamedHeads
from generator.probes.repeated_sequences import RepeatedSequences, why_no_repeats
from generator.probes.seq2seq import PairAttention
from generator.probes.seq2seq_heads import measure_pair_repeats, stack_statistics
from generator.probes.seq2seq_naming import name_pair_heads, sweep_pairs
from generator.run import Run
from generator.techniques.answers import pairs_of
from generator.techniques.attention import ATTENTION
from generator.techniques.measured_stack import Bars, Scores, StackScores


def pair_scores(run: Run) -> Scores:
    """Statistics on the curated texts and their targets; heads are silenced with the target given."""
    model, pairs = run.pair, pairs_of(run)
    sweeps = sweep_pairs(model, pairs, run.budget.ablate, run.store)
    run.step(f"{model.id}: heads silenced")
    found = []
    for stack, sweep in zip(PAIR, sweeps, strict=True):
        attentions = run[ATTENTION][stack.name].attentions
        statistics = stack_statistics(model, stack, pairs, attentions, _repeats(run))
        effects = () if sweep.reason else (sweep.statistic("text"),)
        found.append(StackScores((*statistics, *effects), sweep))
    return tuple(found)


def pair_names(run: Run, scores: Scores, bars: Bars) -> tuple[NamedHeads, ...]:
    """The roles of each stack; `bars` are the statistics of random weights, which they must pass."""
    by_stack = [run[ATTENTION][stack.name].attentions for stack in PAIR]
    named = name_pair_heads(
        run.pair,
        pairs_of(run),
        [PairAttention(*three) for three in zip(*by_stack, strict=True)],
        _repeats(run),
        [one.ablation for one in scores],
        run.budget.ablate,
        {stack.name: twin for stack, twin in zip(PAIR, bars, strict=True)},
        run.store,
    )
    run.step(f"{run.model.id}: roles of heads")
    return named


def _repeats(run: Run) -> Mapping[str, RepeatedSequences]:
    if why_no_repeats(run.pair):
        return {}
    return measure_pair_repeats(run.pair, run.seed, run.store).by_stack
