"""The heads of an encoder-decoder: those of its encoder, of its decoder, and across."""

from __future__ import annotations

from generator.models.stacks import PAIR
from generator.probes.ablation_words import TARGET
from generator.probes.head_control import RandomControl
from generator.probes.likeness import alike_heads
from generator.probes.seq2seq import PairAttention
from generator.probes.seq2seq_control import pair_control
from generator.probes.seq2seq_heads import measure_pair_repeats, stack_statistics
from generator.probes.seq2seq_naming import name_pair_heads, rules_of, sweep_pairs
from generator.run import Run
from generator.techniques.answers import ANSWERS
from generator.techniques.attention import ATTENTION
from generator.techniques.measured_stack import MeasuredStack, heads_of


def pair_stacks(run: Run) -> tuple[MeasuredStack, ...]:
    """All heads on the curated texts and their targets; silenced on texts, with the target given."""
    model, pairs, store, ablate = (
        run.pair,
        list(run[ANSWERS].values()),
        run.store,
        run.budget.ablate,
    )
    repeats = measure_pair_repeats(model, run.seed, store).by_stack
    run.step(f"{model.id}: repeated sequences")
    sweeps = sweep_pairs(model, pairs, ablate, store)
    run.step(f"{model.id}: heads silenced")
    control = pair_control(model, pairs, ablate, run.seed, store)
    run.step(f"{model.id}: random weights")
    by_stack = [run[ATTENTION][stack.name].attentions for stack in PAIR]
    attentions = [PairAttention(*three) for three in zip(*by_stack, strict=True)]
    named = name_pair_heads(
        model, pairs, attentions, repeats, sweeps, ablate, control.values, store
    )
    run.step(f"{model.id}: roles of heads")
    found = []
    for place, heads in enumerate(heads_of(model)):
        stack, name, ablation = heads.stack, heads.stack.name, sweeps[place]
        statistics = stack_statistics(model, stack, pairs, by_stack[place], repeats)
        effects = () if ablation.reason else (ablation.statistic("text"),)
        found.append(
            MeasuredStack(
                **vars(heads),
                inputs=tuple(pair.text for pair in pairs),
                measure=TARGET,
                statistics=(*statistics, *effects),
                control=RandomControl(
                    control.seed, control.values[name], control.asked[name], control.labelled[name]
                ),
                ablation=ablation,
                rules=rules_of(stack),
                named=named[place],
                likeness=alike_heads(by_stack[place]),
                attentions=by_stack[place],
            )
        )
    return tuple(found)
