"""The heads of a transformer of one stack: where they look, what silencing them costs, their roles."""

from __future__ import annotations

import numpy as np

from generator.models.model import Encoding, LanguageModel
from generator.models.stacks import ONLY
from generator.probes.ablation import Ablation
from generator.probes.circuits import Copying, measure_copying
from generator.probes.head_control import random_control
from generator.probes.heads import Statistic, repeated_sequences
from generator.probes.likeness import alike_heads
from generator.probes.naming import name_heads, role_inputs, sweep_heads
from generator.probes.roles import RULES
from generator.probes.stack_statistics import defined, text_statistics
from generator.run import Run
from generator.techniques.attention import ATTENTION
from generator.techniques.measured_stack import MeasuredStack, heads_of


def text_stack(run: Run) -> MeasuredStack:
    """All heads, on the curated texts and on random tokens; effects are tested on held-out inputs too."""
    model, texts, store, seed = run.language, run.inputs.texts, run.store, run.seed
    attentions = run[ATTENTION][ONLY.name].attentions
    copying = measure_copying(model, store)
    repeated = repeated_sequences(model, seed, store)
    run.step(f"{model.id}: repeated sequences")
    held_out = {text.id: model.encode(text) for text in run.inputs.held_out}
    inputs = role_inputs(model, run.encodings, held_out, run.budget.ablate, seed)
    sweep = sweep_heads(model, inputs, store)
    run.step(f"{model.id}: heads silenced")
    special = [_special(model, run.encodings[text.id]) for text in texts]
    control = random_control(model, texts, special, inputs, seed, store)
    run.step(f"{model.id}: random weights")
    named = name_heads(
        model, attentions, special, repeated, inputs, sweep, control.values, seed, store
    )
    run.step(f"{model.id}: roles of heads")
    on_texts = text_statistics(attentions, special, repeated).values()
    statistics = [*on_texts, *_of_weights(copying), *_of_effects(sweep.texts)]
    (heads,) = heads_of(model)
    return MeasuredStack(
        **vars(heads),
        inputs=tuple(text.id for text in texts),
        measure="loss" if model.causal else "representation",
        statistics=defined(statistics),
        control=control,
        ablation=sweep.texts,
        repeats=sweep.repeats,
        rules=RULES,
        named=named,
        likeness=alike_heads(attentions),
        attentions=attentions,
    )


def _special(model: LanguageModel, encoding: Encoding) -> frozenset[int]:
    special = set(model.tokenizer.all_special_ids)
    return frozenset(place for place, one in enumerate(encoding.ids) if one in special)


def _of_weights(copying: Copying) -> list[Statistic]:
    """Copying as a statistic. It is read off the weights, so an even spread of attention has none."""
    if copying.reason:
        return []
    return [Statistic("copying", copying.values[None], np.array([np.nan]))]


def _of_effects(ablation: Ablation) -> list[Statistic]:
    return [] if ablation.reason else [ablation.statistic("text")]
