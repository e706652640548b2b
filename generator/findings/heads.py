"""What was found out about each attention head beyond where it looks: effect, role, circuits, control."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.exhibit import Choices
from generator.inputs.texts import CuratedText
from generator.models.model import Encoding, LanguageModel
from generator.probes.ablation import Ablation, ablate_repeats, ablate_texts
from generator.probes.attention import Attention
from generator.probes.circuits import (
    Circuits,
    Copying,
    curated_words,
    measure_circuits,
    measure_copying,
)
from generator.probes.head_control import TEXTS as CONTROL_TEXTS
from generator.probes.head_control import RandomControl, random_control
from generator.probes.heads import Statistic
from generator.probes.likeness import Likeness, alike_heads
from generator.probes.roles import HeadRole, extra_statistics, head_roles
from generator.probes.stability import Stability, measure_stability
from generator.store import Store

# A sweep runs the network once for each head: on longer texts it would cost more than all else.
LONGEST_SILENCED = 64
# Silencing on random tokens needs a spread, so two sequences at least, and each costs a sweep.
REPEATS = 2


@dataclass(frozen=True, eq=False)
class HeadFindings:
    """What all heads of a model do, what they are for, and what random weights would show.

    `texts` and `repeats` are ablations on curated texts and on repeated random tokens; `stability` is
    None where fewer than two draws were asked for. Where a part could not be measured, it says why.
    """

    copying: Copying
    circuits: Circuits
    texts: Ablation
    repeats: Ablation
    control: RandomControl
    stability: Stability | None
    likeness: Likeness
    roles: tuple[tuple[HeadRole, ...], ...]


def measure_heads(
    model: LanguageModel,
    texts: Sequence[CuratedText],
    encodings: Mapping[str, Encoding],
    attentions: Sequence[Attention],
    statistics: Sequence[Statistic],
    choices: Choices,
    seed: int,
    store: Store,
    step: Callable[[str], None],
) -> tuple[HeadFindings, tuple[Statistic, ...]]:
    """The findings, and the statistics that they add to `statistics`, those with a value."""
    copying = measure_copying(model, store)
    circuits = measure_circuits(model, curated_words(model, encodings, choices.words), store)
    step(f"{model.id}: circuits")
    silenced, repeats = _ablations(model, encodings, choices, seed, store)
    step(f"{model.id}: heads silenced")
    ablated = min(CONTROL_TEXTS, choices.ablate)
    control = random_control(model, texts, encodings, seed, store, ablated=ablated)
    step(f"{model.id}: random weights")
    stability = None
    if choices.runs > 1:
        stability = measure_stability(model, seed, store, runs=choices.runs)
        step(f"{model.id}: other random tokens")
    extra = extra_statistics(attentions, [_special(model, encodings[text.id]) for text in texts])
    known = {statistic.name: statistic for statistic in statistics} | extra
    found = HeadFindings(
        copying=copying,
        circuits=circuits,
        texts=silenced,
        repeats=repeats,
        control=control,
        stability=stability,
        likeness=alike_heads(attentions),
        roles=head_roles(known, silenced, repeats),
    )
    more = [*extra.values(), *_of_weights(copying), *_of_effects(silenced)]
    return found, tuple(one for one in more if np.isfinite(one.mean).all())


def _special(model: LanguageModel, encoding: Encoding) -> frozenset[int]:
    special = set(model.tokenizer.all_special_ids)
    return frozenset(place for place, one in enumerate(encoding.ids) if one in special)


def _ablations(
    model: LanguageModel,
    encodings: Mapping[str, Encoding],
    choices: Choices,
    seed: int,
    store: Store,
) -> tuple[Ablation, Ablation]:
    short = [name for name, one in encodings.items() if len(one.ids) <= LONGEST_SILENCED]
    chosen = {name: encodings[name] for name in short[: choices.ablate]}
    if not choices.ablate:
        return (
            _not_measured("No head was silenced: the exhibit asks for none (make.ablate)."),
        ) * 2
    if not chosen:
        reason = f"No head was silenced: every text has more than {LONGEST_SILENCED} tokens."
        return (_not_measured(reason),) * 2
    return ablate_texts(model, chosen, store), ablate_repeats(model, seed, store, REPEATS)


def _not_measured(reason: str) -> Ablation:
    return Ablation("none", (), (), np.zeros((0, 0)), np.zeros((0, 0, 0, 0)), reason)


def _of_weights(copying: Copying) -> list[Statistic]:
    """Copying as a statistic. It is read off the weights, so an even spread of attention has none."""
    if copying.reason:
        return []
    return [Statistic("copying", copying.values[None], np.array([np.nan]))]


def _of_effects(ablation: Ablation) -> list[Statistic]:
    return [] if ablation.reason else [ablation.statistic("text")]
