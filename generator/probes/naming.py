"""Names the roles of a model's heads: patterns on what is shown, effects on what is held out.

Every head is silenced on a few inputs, the *sweep*, which says what the median head costs. Heads with a
pattern that cost more are then silenced on inputs that the sweep did not see, with their means taken over
the sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.models.text_model import LanguageModel
from generator.probes.ablation import (
    Ablation,
    Heads,
    ablate,
    not_ablated,
)
from generator.probes.attention import Attention
from generator.probes.repeated_sequences import RepeatedSequences
from generator.probes.roles import (
    RULES,
    SURE,
    UNLABELLED,
    Bars,
    HeadRole,
    Roles,
    Rule,
    Statistics,
    bar_in,
    head_roles,
    thresholds,
    with_pattern,
)
from generator.probes.significance import (
    EffectSamples,
    EffectTest,
    effect_test,
    tested_repeats,
    tested_texts,
)
from generator.probes.stack_statistics import text_statistics
from generator.probes.sweep import RoleInputs, Sweep
from generator.store import Store

VERSION = 2  # of which heads are asked


@dataclass(frozen=True)
class Half:
    """One half of the inputs: statistics by name, and effects by probe."""

    statistics: Statistics
    effects: Mapping[str, EffectSamples]


@dataclass(frozen=True)
class Replication:
    """Of the roles given on one half of the inputs, how many hold on the other; both ways together."""

    labelled: int
    held: int

    @property
    def share(self) -> float:
        """From 0 to 1; NaN where no half gave a role."""
        return self.held / self.labelled if self.labelled else float("nan")


def replicate(first: Half, second: Half, bars: Bars, rules: Sequence[Rule]) -> Replication:
    """Give roles on each half by the rules, and ask of each on the other half two things.

    The mean of its statistic must reach the threshold, and its effect must be there again, by a test of
    that head alone at SURE.
    """
    labelled = held = 0
    for given, other in ((first, second), (second, first)):
        tests = {name: effect_test(one) for name, one in other.effects.items()}
        for row in head_roles(given.statistics, bars, given.effects, rules):
            for role in (one for one in row if one.role != UNLABELLED):
                labelled += 1
                held += _holds(role, other.statistics, bars, tests)
    return Replication(labelled, held)


def _holds(
    role: HeadRole,
    statistics: Statistics,
    bars: Bars,
    tests: Mapping[str, EffectTest],
) -> bool:
    evidence, at = role.deciding, (role.layer, role.head)
    assert evidence is not None
    name = evidence.rule.statistic
    reaches = name in statistics and statistics[name].mean[at] >= bar_in(
        bars[role.role], role.layer
    )
    return bool(reaches and tests[evidence.probe].p[at] <= SURE)


# Heads that are asked again though they have no pattern, as their silence costs most on a second copy.
MISSED = 4
NOTHING_TESTED = "No head has a pattern whose effect could be tested."


@dataclass(frozen=True)
class HeldOut:
    """The effect of silencing heads that could have a role on held-out inputs; NaN for all others.

    `turned_texts` and `turned_repeats` are, for an encoder, the effects of an equal push in random
    directions; None for a decoder.
    """

    texts: Ablation
    repeats: Ablation
    turned_texts: Ablation | None = None
    turned_repeats: Ablation | None = None


@dataclass(frozen=True)
class NamedHeads:
    """The role of every head, what was tested for it, and how far such roles replicate.

    `asked` is the number of heads that were tested for a role.
    """

    roles: Roles
    held_out: HeldOut
    replication: Replication
    asked: int

    @property
    def labelled(self) -> int:
        """How many heads have a role."""
        return sum(bool(one.role in one.patterns) for row in self.roles for one in row)


def name_heads(
    model: LanguageModel,
    attentions: Sequence[Attention],
    special: Sequence[frozenset[int]],
    repeated: RepeatedSequences | None,
    inputs: RoleInputs,
    sweep: Sweep,
    twin: Mapping[str, np.ndarray],
    seed: int,
    store: Store,
) -> NamedHeads:
    """Give roles by RULES. `twin` has the statistics of the random twin's heads, where there is one."""
    whole = text_statistics(attentions, special, repeated)
    halves = [
        text_statistics(
            attentions[at::2], special[at::2], repeated and repeated.part(slice(at, None, 2))
        )
        for at in (0, 1)
        if len(attentions) > 1
    ]

    def silence(asked: Mapping[str, Heads]) -> HeldOut:
        return _silence(model, asked, inputs, sweep, seed, store)

    return name_by(RULES, whole, halves, twin, sweep, silence)


def name_by(
    rules: Sequence[Rule],
    whole: Statistics,
    halves: Sequence[Statistics],
    twin: Mapping[str, np.ndarray],
    sweep: Sweep,
    silence: Callable[[Mapping[str, Heads]], HeldOut],
) -> NamedHeads:
    """Give roles by any rules, from the statistics on all inputs and on two halves of them.

    `silence` measures, for each effect, the heads that are asked of it.
    """
    bars = thresholds(rules, whole, twin)
    asked = _asked(rules, [whole, *halves], bars, sweep)
    # Of a network without a control, which is one itself, no more than names is asked.
    second = tuple(sorted({*asked["second"], *(_missed_most(sweep) if twin else ())}))
    held_out = silence({**asked, "second": second})
    effects = _tested(held_out, sweep)
    replication = Replication(0, 0)
    if halves:
        parts = [
            Half(one, {name: tested.half(at) for name, tested in effects.items()})
            for at, one in enumerate(halves)
        ]
        replication = replicate(parts[0], parts[1], bars, rules)
    every = {head for heads in asked.values() for head in heads}
    return NamedHeads(head_roles(whole, bars, effects, rules), held_out, replication, len(every))


def _asked(
    rules: Sequence[Rule],
    every: Sequence[Statistics],
    bars: Bars,
    sweep: Sweep,
) -> dict[str, Heads]:
    """The heads to silence for each effect: with its pattern, on all inputs or on a half.

    Only those whose silence cost more than the median head's in the sweep: no other is likely to pass.
    """
    found: dict[str, set[tuple[int, int]]] = {"text": set(), "second": set()}
    costly = {effect: sweep.costly(effect) for effect in found}
    for statistics in every:
        looks = with_pattern(rules, statistics, bars)
        for rule in (rule for rule in rules if rule.role in looks):
            for effect in rule.effects:
                mask = costly[effect]
                if mask is not None:
                    heads = np.argwhere(looks[rule.role] & mask)
                    found[effect] |= {(int(layer), int(head)) for layer, head in heads}
    return {name: tuple(sorted(heads)) for name, heads in found.items()}


def _missed_most(sweep: Sweep) -> set[tuple[int, int]]:
    """The heads without which a second copy loses most in the sweep: few rows can mislead."""
    if sweep.repeats.reason:
        return set()
    mean = sweep.repeats.statistic("second").mean
    largest = np.argsort(-mean.round(6), axis=None, kind="stable")[:MISSED]
    places = [np.unravel_index(place, mean.shape) for place in largest]
    return {(int(layer), int(head)) for layer, head in places}


def _silence(
    model: LanguageModel,
    asked: Mapping[str, Heads],
    inputs: RoleInputs,
    sweep: Sweep,
    seed: int,
    store: Store,
) -> HeldOut:
    if sweep.texts.reason:
        return HeldOut(sweep.texts, sweep.repeats)

    def on(effect: str, turned: int | None = None) -> Ablation:
        text = effect == "text"
        scored = inputs.held_out if text else inputs.held_out_repeats
        reference = inputs.sweep if text else inputs.sweep_repeats
        if not asked[effect] or not scored:
            return not_ablated(NOTHING_TESTED)
        return ablate(model, scored, store, heads=asked[effect], reference=reference, turned=turned)

    if model.causal:
        return HeldOut(on("text"), on("second"))
    return HeldOut(on("text"), on("second"), on("text", seed), on("second", seed))


def _tested(held_out: HeldOut, sweep: Sweep) -> dict[str, EffectSamples]:
    found = {}
    if not held_out.texts.reason:
        bar = sweep.median("text")
        found["text"] = tested_texts(held_out.texts, held_out.turned_texts, bar)
    if not held_out.repeats.reason:
        bar = sweep.median("second")
        found["second"] = tested_repeats(held_out.repeats, held_out.turned_repeats, bar)
    return found
