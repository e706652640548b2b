"""Whether roles that are given on one half of the inputs hold on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from generator.probes.roles import (
    SURE,
    UNLABELLED,
    Bars,
    HeadRole,
    Rule,
    Statistics,
    bar_in,
    head_roles,
)
from generator.probes.significance import EffectSamples, EffectTest, effect_test


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
