"""What was found out about each attention head beyond where it looks: effect, role, circuits, control."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.exhibit import Choices
from generator.inputs.texts import CuratedText
from generator.models.model import Encoding, LanguageModel
from generator.probes.ablation import Ablation
from generator.probes.attention import Attention
from generator.probes.circuits import (
    Circuits,
    Copying,
    curated_words,
    measure_circuits,
    measure_copying,
)
from generator.probes.head_control import RandomControl, random_control
from generator.probes.heads import RepeatedSequences, Statistic
from generator.probes.likeness import Likeness, alike_heads
from generator.probes.naming import NamedHeads, name_heads, role_inputs, sweep_heads
from generator.probes.positions import extra_statistics
from generator.probes.recipes import RecipeScores, measure_recipes
from generator.probes.roles import Roles
from generator.probes.stability import Stability, measure_stability
from generator.store import Store


@dataclass(frozen=True, eq=False)
class HeadFindings:
    """What all heads of a model do, what they are for, and what random weights would show.

    `texts` and `repeats` are the sweep: ablations of every head, on some of the curated texts and on
    repeated random tokens; `named` are the roles, tested on other inputs. `stability` is None where fewer
    than two draws were asked for; `recipes` are induction scores under other conditions. Where a part could
    not be measured, it says why.
    """

    copying: Copying
    circuits: Circuits
    texts: Ablation
    repeats: Ablation
    named: NamedHeads
    control: RandomControl
    stability: Stability | None
    recipes: RecipeScores
    likeness: Likeness

    @property
    def roles(self) -> Roles:
        """The role of each head, by layer."""
        return self.named.roles


def measure_heads(
    model: LanguageModel,
    texts: Sequence[CuratedText],
    held_out: Sequence[CuratedText],
    encodings: Mapping[str, Encoding],
    attentions: Sequence[Attention],
    repeated: RepeatedSequences,
    choices: Choices,
    seed: int,
    store: Store,
    step: Callable[[str], None],
) -> tuple[HeadFindings, tuple[Statistic, ...]]:
    """The findings, and the statistics that they add to those of attention alone, those with a value.

    `held_out` are texts on which effects are tested, beside the curated ones that the sweep leaves.
    """
    copying = measure_copying(model, store)
    circuits = measure_circuits(model, curated_words(model, encodings, choices.words), store)
    step(f"{model.id}: circuits")
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
    stability = None
    if choices.runs > 1:
        stability = measure_stability(model, seed, store, runs=choices.runs)
    recipes = measure_recipes(model, seed, store)
    step(f"{model.id}: other random tokens")
    found = HeadFindings(
        copying=copying,
        circuits=circuits,
        texts=sweep.texts,
        repeats=sweep.repeats,
        named=named,
        control=control,
        stability=stability,
        recipes=recipes,
        likeness=alike_heads(attentions),
    )
    extra = extra_statistics(attentions, special)
    added = [*extra.values(), *_of_weights(copying), *_of_effects(sweep.texts)]
    return found, tuple(one for one in added if np.isfinite(one.mean).all())


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
