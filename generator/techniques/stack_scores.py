"""The heads of each kind of model: where they look, what silencing them costs, and their roles."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from generator.models.stacks import ONLY, PAIR
from generator.probes.ablation import Heads
from generator.probes.attention import Attention, measure_sinks
from generator.probes.circuits import Copying, measure_copying
from generator.probes.head_statistic import ablation_column
from generator.probes.heads import Statistic
from generator.probes.naming import NamedHeads, name_heads
from generator.probes.patch_ablation import SPAN, ablate_patch_heads, drawn_heads, measure_of
from generator.probes.patch_attention import patch_statistics
from generator.probes.repeated_sequences import (
    RepeatedSequences,
    repeated_sequences,
    why_no_repeats,
)
from generator.probes.seq2seq import PairAttention
from generator.probes.seq2seq_heads import measure_pair_repeats, stack_statistics
from generator.probes.seq2seq_naming import name_pair_heads, sweep_pairs
from generator.probes.stack_statistics import text_statistics
from generator.probes.sweep import RoleInputs, Sweep, role_inputs, sweep_heads
from generator.run import Run
from generator.techniques.answers import pairs_of
from generator.techniques.attention import ATTENTION
from generator.techniques.measured_stack import Bars, Scores, StackScores
from generator.techniques.patch_maps import PATCH_MAPS, grid_of


def text_scores(run: Run) -> tuple[StackScores, ...]:
    """Statistics of all heads on the curated texts and on random tokens, and the sweep."""
    copying = measure_copying(run.language, run.store)
    twin, inputs = run.trained is not None, _inputs(run)
    sweep = sweep_heads(run.language, inputs, run.seed, run.store, full=run.full, twin=twin)
    run.step(f"{run.model.id}: heads silenced")
    on_texts = text_statistics(_attentions(run), _special(run), _repeated(run)).values()
    statistics = (*on_texts, *_of_sinks(run), *_of_weights(copying), *_of_effects(sweep))
    return (StackScores(statistics, sweep.texts, sweep.repeats, sweep.choice),)


def text_names(run: Run, scores: Scores, bars: Bars) -> tuple[NamedHeads, ...]:
    """The roles of all heads; `bars` are the statistics of random weights, which they must pass."""
    (own,), (twin,) = scores, bars
    sweep = Sweep(own.ablation, own.repeats, own.choice)
    named = name_heads(
        run.language,
        _attentions(run),
        _special(run),
        _repeated(run),
        _inputs(run),
        sweep,
        twin,
        run.seed,
        run.store,
    )
    run.step(f"{run.model.id}: roles of heads")
    return (named,)


def _attentions(run: Run) -> tuple[Attention, ...]:
    return run[ATTENTION][ONLY.name].attentions


def _repeated(run: Run) -> RepeatedSequences | None:
    if why_no_repeats(run.language):
        return None
    return repeated_sequences(run.language, run.seed, run.store)


def _inputs(run: Run) -> RoleInputs:
    """What heads are silenced on: some texts, and those held out."""
    model = run.language
    held_out = {text.id: model.encode(text) for text in run.inputs.held_out}
    return role_inputs(model, run.encodings, held_out, run.budget.ablate, run.seed)


def _special(run: Run) -> list[frozenset[int]]:
    """The positions of special tokens in each text."""
    return [run.language.special(run.encodings[text.id].ids) for text in run.inputs.texts]


def _of_sinks(run: Run) -> list[Statistic]:
    """What learned sinks take; an even spread over tokens says nothing of it."""
    if not run.language.sinks:
        return []
    texts = [run.encodings[text.id].ids for text in run.inputs.texts]
    shares = measure_sinks(run.language, texts, run.store).shares
    return [Statistic("learned_sink", shares, np.array([np.nan]))]


def _of_weights(copying: Copying) -> list[Statistic]:
    """Copying as a statistic. It is read off the weights, so an even spread of attention has none."""
    if copying.reason:
        return []
    return [Statistic("copying", copying.values[None], np.array([np.nan]))]


def _of_effects(sweep: Sweep) -> list[Statistic]:
    """What silencing heads costs, and the estimates of that where only some were silenced."""
    measured = [] if sweep.texts.reason else [sweep.texts.statistic("text")]
    estimated = [] if sweep.estimates is None else [sweep.estimates.statistic()]
    return [*measured, *estimated]


DRAWN = 32  # heads of a large network's random twin that are silenced
NO_ROLES = (
    "Roles are not named here: the known ones tell of tokens in a sequence (the token before, a copy, what "
    "followed it), and patches have neither an order nor copies."
)


def patch_scores(run: Run) -> Scores:
    """Statistics on the curated pictures; heads are silenced on the first `ablate` of them."""
    model, maps = run.vision, list(run[PATCH_MAPS].values())
    ablation = ablate_patch_heads(model, run.pixels, run.budget.ablate, run.store, _sample(run))
    run.step(f"{model.id}: heads silenced")
    column = ablation_column(measure_of(model))
    effects = [] if ablation.reason else [ablation.statistic(SPAN, column)]
    statistics = (*patch_statistics(maps, grid_of(run)), *effects)
    return (StackScores(statistics, ablation),)


def _sample(run: Run) -> Heads | None:
    """The heads of a large network's random twin that are silenced; None for all."""
    attention = run.vision.attention
    if run.trained is None or run.share == 1 or attention is None:
        return None
    return drawn_heads(attention, DRAWN, run.seed)


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
