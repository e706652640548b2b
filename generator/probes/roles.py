"""What a head is for, said only where two measurements agree, the second on inputs of its own.

Attention shows where a head looks, ablation whether it matters. A head that looks at the token before
it, and whose silence costs nothing, has no role on that evidence: it has a *pattern*, and that is told
as one. A *role* needs the pattern, on all inputs that are shown, and the effect that the role would
have, on held-out inputs, by a one-sided t-test. All tests of a model are held to one level together
(Holm 1979): the chance that any role rests on noise is at most LEVEL.

A role says what a head does on these probes, not all that it does. Where a pattern leaves most weight
on the first token, no effect is asked, and no role is made of the absence of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.probes.heads import Statistic
from generator.probes.significance import (
    NOT_TESTED,
    EffectSamples,
    EffectTest,
    HeadEffect,
    effect_test,
    holm,
)

UNLABELLED = "unlabelled"
# Of what an even spread leaves, the share that a head must put there: for all masses alike.
SHARE = 1 / 3
# Of the entropy of an even spread.
EVEN = 0.9
# Chance that one pattern, or any role of a model, rests on noise; and that one replication does.
LEVEL, SURE = 0.01, 0.05


@dataclass(frozen=True)
class Rule:
    """A role: its statistic, and what silencing such a head must do, one of `effects`.

    "text": it costs more on the texts than the median head does; of an encoder, that it moves the
    final states more than an equal push in random directions. "second": it costs more on the second
    copy of repeated random tokens than the median head does, and more than on the first. A rule
    without effects is a pattern only.
    """

    role: str
    statistic: str
    effects: tuple[str, ...]

    def threshold(self, even: float, twin: float) -> float:
        """What the statistic must reach, given an even spread's and the highest of the random twin's heads.

        A third of what an even spread leaves, the same for all masses that compete; for the evenness
        itself, nine tenths of an even spread's. And never less than a head with random weights has.
        """
        start = even if np.isfinite(even) else 0.0
        least = EVEN * start if self.role == "broad" else start + SHARE * (1 - start)
        return float(np.nanmax([least, twin]))


# In the order in which they are tried: the more special first. An induction head reads what a
# previous-token head wrote (Olsson et al. 2022), so that the second copy needs both.
RULES = (
    Rule("induction", "induction", ("second",)),
    Rule("duplicate token", "duplicate_token", ("second",)),
    Rule("previous token", "previous_token", ("text", "second")),
    Rule("next token", "next_token", ("text",)),
    Rule("delimiter", "delimiter_mass", ("text",)),
    Rule("positional", "positional", ("text",)),
    Rule("broad", "relative_entropy", ("text",)),
    Rule("attention sink", "sink_mass", ()),
)

# Cross attention looks at another text: no distance, no copies of its own.
CROSS_RULES = (
    Rule("written token", "writes_same", ("text",)),
    Rule("read token", "reads_same", ("text",)),
    Rule("delimiter", "delimiter_mass", ("text",)),
    Rule("broad", "relative_entropy", ("text",)),
    Rule("attention sink", "sink_mass", ()),
)


@dataclass(frozen=True)
class Evidence:
    """One rule tried on one head.

    `value` is its statistic, `value_low` a one-sided bound of that over inputs at LEVEL; the head `looks` as
    the role asks where the bound reaches `threshold`. `effect` is that of `probe`, the one of the rule's
    effects with the least p, and `adjusted` its p held against all tests of the model: the head `acts` as
    the role asks where that is at most LEVEL. NaN where nothing was tested.
    """

    rule: Rule
    value: float
    value_low: float
    threshold: float
    probe: str
    effect: HeadEffect
    adjusted: float
    looks: bool
    acts: bool


@dataclass(frozen=True)
class HeadRole:
    """What one head is for, and the evidence of every rule, in the order in which rules are tried.

    `role` is UNLABELLED unless statistic and effect agree. `patterns` names all roles whose statistic is
    met, agreed or not.
    """

    layer: int
    head: int
    role: str
    patterns: tuple[str, ...]
    evidence: tuple[Evidence, ...]

    @property
    def near(self) -> str:
        """The first role whose statistic is met; empty if there is none."""
        return self.patterns[0] if self.patterns else ""

    @property
    def deciding(self) -> Evidence | None:
        """The evidence of the role, or of the one it came near to."""
        name = self.near if self.role == UNLABELLED else self.role
        return next((found for found in self.evidence if found.rule.role == name), None)


Roles = tuple[tuple[HeadRole, ...], ...]
Statistics = Mapping[str, Statistic]
Adjusted = Mapping[tuple[str, str, tuple[int, int]], float]
"""Adjusted p of each test, by role, probe and head."""
Bars = Mapping[str, float | np.ndarray]
"""What a statistic must reach, by role: one number, or (layers, 1) where layers see differently far."""


def thresholds(
    rules: Sequence[Rule], statistics: Statistics, twin: Mapping[str, np.ndarray]
) -> dict[str, float | np.ndarray]:
    """What each rule's statistic must reach, by role; `twin` has those of the random twin's heads."""
    found: dict[str, float | np.ndarray] = {}
    for rule in rules:
        if rule.statistic not in statistics:
            continue
        highest = float(np.max(twin[rule.statistic])) if rule.statistic in twin else np.nan
        one = statistics[rule.statistic]
        if one.control.ndim < 2:
            found[rule.role] = rule.threshold(one.uniform, highest)
        else:
            layers = range(one.control.shape[1])
            each = [rule.threshold(one.uniform_in(layer), highest) for layer in layers]
            found[rule.role] = np.array(each)[:, None]
    return found


def bar_in(bar: float | np.ndarray, layer: int) -> float:
    """What a statistic must reach in one layer."""
    return float(bar[layer, 0]) if isinstance(bar, np.ndarray) else bar


def lower_bounds(rules: Sequence[Rule], statistics: Statistics) -> dict[str, np.ndarray]:
    """What each rule's statistic surely reaches in each head (layers, heads), by role."""
    known = {rule.role: statistics.get(rule.statistic) for rule in rules}
    return {role: one.lower(LEVEL) for role, one in known.items() if one is not None}


def with_pattern(
    rules: Sequence[Rule], statistics: Statistics, bars: Bars
) -> dict[str, np.ndarray]:
    """Which heads (layers, heads) surely have the pattern of each role, by role."""
    lows = lower_bounds(rules, statistics)
    return {role: low >= bars[role] for role, low in lows.items()}  # false for NaN


def head_roles(
    statistics: Statistics,
    bars: Bars,
    effects: Mapping[str, EffectSamples],
    rules: Sequence[Rule] = RULES,
) -> Roles:
    """The role of each head, by layer.

    `statistics` are by name; one that is missing meets no rule. `bars` are those of `thresholds`,
    `effects` those of the probes that were run: without any, no head has a role.
    """
    lows = lower_bounds(rules, statistics)
    shape = next(iter(statistics.values())).mean.shape
    tests = {name: effect_test(one) for name, one in effects.items()}
    asked = [
        (rule.role, probe, (int(layer), int(head)))
        for rule in rules
        for probe in rule.effects
        if probe in tests and rule.role in lows
        for layer, head in np.argwhere(
            (lows[rule.role] >= bars[rule.role]) & np.isfinite(tests[probe].mean)
        )
    ]
    adjusted = dict(zip(asked, holm([tests[probe].p[at] for _, probe, at in asked]), strict=True))
    return tuple(
        tuple(
            _role((layer, head), rules, statistics, lows, bars, tests, adjusted)
            for head in range(shape[1])
        )
        for layer in range(shape[0])
    )


def _role(
    at: tuple[int, int],
    rules: Sequence[Rule],
    statistics: Statistics,
    lows: Mapping[str, np.ndarray],
    bars: Bars,
    tests: Mapping[str, EffectTest],
    adjusted: Adjusted,
) -> HeadRole:
    evidence = []
    for rule in rules:
        value = low = bar = np.nan
        if rule.role in lows:
            value, low = statistics[rule.statistic].mean[at], lows[rule.role][at]
            bar = bar_in(bars[rule.role], at[0])
        held, probe = _nearest(rule, at, tests, adjusted)
        evidence.append(
            Evidence(
                rule=rule,
                value=float(value),
                value_low=float(low),
                threshold=bar,
                probe=probe,
                effect=tests[probe].at(at) if probe else NOT_TESTED,
                adjusted=held,
                looks=bool(low >= bar),  # false for NaN
                acts=held <= LEVEL,
            )
        )
    agreed = [one.rule.role for one in evidence if one.acts]
    patterns = tuple(one.rule.role for one in evidence if one.looks)
    return HeadRole(*at, agreed[0] if agreed else UNLABELLED, patterns, tuple(evidence))


def _nearest(
    rule: Rule, at: tuple[int, int], tests: Mapping[str, EffectTest], adjusted: Adjusted
) -> tuple[float, str]:
    """The least adjusted p of a rule's effects, and which that is; NaN and "" without a test."""
    known = [probe for probe in rule.effects if probe in tests]
    asked = [(adjusted.get((rule.role, probe, at), np.nan), probe) for probe in known]
    return min(asked, key=lambda one: np.nan_to_num(one[0], nan=2.0), default=(np.nan, ""))
