"""The table of what speaks for the roles of heads, roles.csv."""

from __future__ import annotations

from collections.abc import Iterable

from generator.probes.roles import HeadRole
from generator.table import Content


def role_table(roles: Iterable[tuple[int | str, HeadRole]]) -> Content:
    """The evidence of every rule on every head; each role comes with what its layer is called."""
    rows = [
        (
            layer, role.head, role.role, one.rule.role, one.rule.statistic, one.value,
            one.threshold, int(one.looks), one.probe, one.effect.mean, one.effect.error,
            one.effect.bar, int(one.acts), one.value_low, one.effect.low, one.effect.high,
            one.effect.inputs, one.effect.p_value, one.adjusted,
        )
        for layer, role in roles
        for one in role.evidence
    ]  # fmt: skip
    header = (
        "layer", "head", "role", "rule", "statistic", "value", "threshold", "looks", "probe",
        "effect", "standard_error", "median_effect", "acts", "value_low", "low", "high", "n", "p_value",
        "p_holm",
    )  # fmt: skip
    return header, rows
