"""What the weights and further runs tell of the heads of a transformer of one stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.exhibit import Choices
from generator.findings.stack import StackFindings
from generator.inputs.texts import CuratedText
from generator.models.model import Encoding, LanguageModel
from generator.models.stacks import ONLY
from generator.probes.ablation import Ablation
from generator.probes.attention import Attention
from generator.probes.circuits import (
    Circuits,
    Copying,
    curated_words,
    measure_circuits,
    measure_copying,
)
from generator.probes.head_control import random_control
from generator.probes.heads import Statistic, repeated_sequences
from generator.probes.likeness import alike_heads
from generator.probes.naming import name_heads, role_inputs, sweep_heads
from generator.probes.queries import Queries
from generator.probes.recipes import RecipeScores, measure_recipes
from generator.probes.roles import RULES
from generator.probes.stability import Stability, measure_stability
from generator.probes.stack_statistics import defined, text_statistics
from generator.store import Store

Step = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class HeadFindings:
    """What is read off the weights of heads, and how their scores hold under other draws and conditions.

    `stability` is None where fewer than two draws were asked for; `recipes` are induction scores under other
    conditions. Where a part could not be measured, it says why.
    """

    copying: Copying
    circuits: Circuits
    stability: Stability | None
    recipes: RecipeScores


def measure_heads(
    model: LanguageModel,
    encodings: Mapping[str, Encoding],
    choices: Choices,
    seed: int,
    store: Store,
    step: Step,
) -> HeadFindings:
    """Circuits and the copying score of all heads, and their scores under other random tokens."""
    copying = measure_copying(model, store)
    circuits = measure_circuits(model, curated_words(model, encodings, choices.words), store)
    step(f"{model.id}: circuits")
    stability = None
    if choices.runs > 1:
        stability = measure_stability(model, seed, store, runs=choices.runs)
    recipes = measure_recipes(model, seed, store)
    step(f"{model.id}: other random tokens")
    return HeadFindings(copying, circuits, stability, recipes)


def measure_stack(
    model: LanguageModel,
    texts: Sequence[CuratedText],
    held_out: Sequence[CuratedText],
    encodings: Mapping[str, Encoding],
    attentions: tuple[Attention, ...],
    queries: tuple[Queries, ...],
    copying: Copying,
    choices: Choices,
    seed: int,
    store: Store,
    step: Step,
) -> StackFindings:
    """The heads of a transformer of one stack: where they look, what silencing them costs, their roles.

    `held_out` are texts on which effects are tested, beside the curated ones that the sweep leaves.
    """
    repeated = repeated_sequences(model, seed, store)
    step(f"{model.id}: repeated sequences")
    more = {text.id: model.encode(text) for text in held_out}
    inputs = role_inputs(model, encodings, more, choices.ablate, seed)
    sweep = sweep_heads(model, inputs, store)
    step(f"{model.id}: heads silenced")
    special = [_special(model, encodings[text.id]) for text in texts]
    control = random_control(model, texts, special, inputs, seed, store)
    step(f"{model.id}: random weights")
    named = name_heads(
        model, attentions, special, repeated, inputs, sweep, control.values, seed, store
    )
    step(f"{model.id}: roles of heads")
    on_texts = text_statistics(attentions, special, repeated).values()
    statistics = [*on_texts, *_of_weights(copying), *_of_effects(sweep.texts)]
    return StackFindings(
        model=model,
        stack=ONLY,
        layers=model.layers,
        heads=model.heads,
        kv_groups=model.kv_groups,
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
        queries=queries,
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
