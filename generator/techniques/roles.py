"""Roles of heads in words: the badge, its evidence, and the leaders of each role."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.addresses import Link
from generator.formatting import number
from generator.probes.head_statistic import TARGET
from generator.probes.head_statistics import BY_COLUMN
from generator.probes.roles import UNLABELLED, Evidence, HeadRole
from generator.probes.significance import FEWEST
from generator.techniques.measured_stack import MeasuredStack

LEADERS = 6
_PATTERNS = {
    "induction": "looks at what came after the same token before",
    "duplicate token": "looks at earlier copies of the same token",
    "previous token": "looks at the token before",
    "next token": "looks at the token after",
    "delimiter": "looks at punctuation and special tokens",
    "positional": "looks by distance alone",
    "broad": "spreads its attention widely",
    "attention sink": "rests on the first token on ordinary text",
    "written token": "looks at the source token that is written next",
    "read token": "looks at the source token that was just read",
}


@dataclass(frozen=True)
class Badge:
    """A head's role with its evidence, and what else is seen in its attention.

    `looks` and `acts` are sentences on the attention statistic and on the effect, empty where no pattern
    is met that a role could be made of. `patterns` are what its attention does beyond its role.
    """

    role: str
    labelled: bool
    near: str
    looks: str
    acts: str
    patterns: tuple[str, ...]


# What silencing a head changes.
_CHANGED = {
    "loss": "the loss in nats a token",
    TARGET: "the loss on the target in nats a token",
    "representation": "the final states (1 − cosine)",
}


def badge(stack: MeasuredStack, layer: int, head: int) -> Badge | None:
    """The role of one head with both numbers; None where roles have no meaning."""
    if stack.named is None:
        return None
    found = stack.roles[layer][head]
    labelled = found.role != UNLABELLED
    patterns = tuple(_PATTERNS[name] for name in found.patterns if name != found.role)
    evidence = found.deciding
    if evidence is None or not evidence.rule.effects:
        return Badge(found.role, labelled, "", "", "", patterns)
    acts = _acts(stack.measure, evidence, _why_not_tested(stack, evidence, (layer, head)))
    return Badge(found.role, labelled, evidence.rule.role, _looks(evidence), acts, patterns)


def _looks(evidence: Evidence) -> str:
    name = BY_COLUMN[evidence.rule.statistic].name
    return (
        f"{name} {number(evidence.value)}, surely {number(evidence.value_low)} or more, where "
        f"{number(evidence.threshold)} is needed"
    )


def _why_not_tested(stack: MeasuredStack, evidence: Evidence, head: tuple[int, int]) -> str:
    """Why a head with a pattern was not silenced on held-out inputs, as the end of a sentence."""
    if not stack.sweep.silenced(head):
        return "the effect of silencing it was not measured: its estimate is not among the largest"
    if stack.sweep.spares(evidence.rule.effects, head):
        return "it was not silenced on held-out inputs, as in the sweep it cost no more than the median head"
    return "the effect of silencing it was not measured"


def _acts(measure: str, evidence: Evidence, why_not_tested: str) -> str:
    effect, encoder = evidence.effect, measure == "representation"
    if not effect.inputs:
        return why_not_tested
    where = _WHERE[evidence.probe].format(count=effect.inputs)
    what = (
        f"silencing it on {where} changes {_CHANGED[measure]} by {number(effect.mean)} (95 % "
        f"{number(effect.low)} to {number(effect.high)})"
    )
    if np.isnan(evidence.adjusted):
        return what
    wanted = _WANTED[encoder, evidence.probe].format(bar=number(effect.bar))
    p = "p < 0.001" if evidence.adjusted < 0.001 else f"p = {evidence.adjusted:.3f}"
    if np.isnan(effect.p_value):
        return f"{what}; {FEWEST} inputs are needed to test whether that is {wanted}"
    verdict = "" if evidence.acts else "not shown to be "
    return f"{what}, {verdict}{wanted} ({p} after Holm)"


_WHERE = {
    "text": "{count} held-out texts",
    "second": "the second copy in {count} held-out sequences of repeated random tokens",
}
_WANTED = {
    (False, "text"): "more than the median head’s {bar}",
    (False, "second"): "more than the median head’s {bar} and more than on the first copy",
    (True, "text"): "more than an equal push in random directions",
    (True, "second"): "more than an equal push in random directions",
}


@dataclass(frozen=True)
class RoleRow:
    """One role: how many heads have it or only its pattern, and those whose statistic is highest."""

    role: str
    statistic: str
    threshold: float
    effect: str
    count: int
    near: int
    leaders: tuple[tuple[Link, float, float], ...]


_EFFECTS = {
    ("text",): "loss on the texts rises",
    ("second",): "loss on the second copy rises, by more than on the first",
    ("text", "second"): "loss rises on the texts, or on the second copy by more than on the first",
    (): "a pattern, no role",
}
_MOVES = {
    ("text",): "final states move more than by an equal push",
    ("second",): "final states of the second copy move more than by an equal push",
    (
        "text",
        "second",
    ): "final states of texts, or of the second copy, move more than by an equal push",
    (): "a pattern, no role",
}


def role_rows(stack: MeasuredStack) -> list[RoleRow]:
    """A row for each role whose statistic was measured, in the order in which roles are tried."""
    flat = [role for row in stack.roles for role in row]
    predicts = stack.measure != "representation"
    found = []
    for place, rule in enumerate(stack.rules):
        if rule.statistic not in stack.known:
            continue
        having = [role for role in flat if role.role == rule.role]
        best = sorted(having, key=lambda role: -round(role.evidence[place].value, 6))[:LEADERS]
        found.append(
            RoleRow(
                role=rule.role,
                statistic=BY_COLUMN[rule.statistic].name,
                threshold=flat[0].evidence[place].threshold,
                effect=(_EFFECTS if predicts else _MOVES)[rule.effects],
                count=len(having),
                near=sum(rule.role in role.patterns and role.role != rule.role for role in flat),
                leaders=tuple(_leader(stack, role, place) for role in best),
            )
        )
    return found


def _leader(stack: MeasuredStack, role: HeadRole, place: int) -> tuple[Link, float, float]:
    evidence = role.evidence[place]
    return stack.link(role.layer, role.head), evidence.value, evidence.effect.mean
