"""Roles of heads in words: the badge, its evidence, the leaders of each role, and how stable they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from generator.findings import TextFindings
from generator.pages.definitions import BY_COLUMN
from generator.pages.environment import number
from generator.pages.page import Link, head_address
from generator.probes.roles import RULES, UNLABELLED, Evidence, HeadRole, Rule
from generator.probes.stability import agreement, leaders

LEADERS = 6
STABLE = 4
_PROBES = {
    "text": "on the curated texts",
    "second": "on the second copy of repeated random tokens",
    "rest": "on the curated texts",
}


@dataclass(frozen=True)
class Badge:
    """A head's role and the two numbers behind it, or why it has none.

    `looks` and `acts` are sentences on the attention statistic and on the effect; empty where no
    statistic comes near a role.
    """

    role: str
    labelled: bool
    near: str
    looks: str
    acts: str


def head_link(findings: TextFindings, layer: int, head: int) -> Link:
    """A link to a head's page."""
    name = findings.model.layers[layer].name
    return Link(head_address(findings.model.id, name, head), f"L{layer}H{head}")


def badge(findings: TextFindings, layer: int, head: int) -> Badge:
    """The role of one head with both numbers."""
    decoder = findings.model.causal
    measure = "the loss in nats a token" if decoder else "its final states (1 − cosine)"
    return badge_of(findings.heads.roles[layer][head], measure)


def badge_of(found: HeadRole, measure: str) -> Badge:
    """A role with both numbers; `measure` says what silencing the head changes."""
    evidence = found.deciding
    labelled = found.role != UNLABELLED
    if evidence is None:
        return Badge(found.role, labelled, "", "", "")
    return Badge(found.role, labelled, found.near, _looks(evidence), _acts(measure, evidence))


def _looks(evidence: Evidence) -> str:
    name = BY_COLUMN[evidence.rule.statistic].name
    return f"{name} {number(evidence.value)}, at least {number(evidence.rule.threshold)} needed"


def _acts(measure: str, evidence: Evidence) -> str:
    if not np.isfinite(evidence.effect):
        return "the effect of silencing it was not measured"
    where = _PROBES[evidence.probe]
    effect = f"{number(evidence.effect)} ± {number(evidence.error, 2)}"
    what = f"silencing it changes {measure} by {effect} (mean ± standard error) {where}"
    if evidence.probe == "rest":
        wanted = f"no more than the median head’s {number(evidence.bar)} is asked of a sink"
    else:
        wanted = f"more than {number(evidence.bar)}, the median head’s, and two errors is needed"
        if evidence.probe == "second":
            wanted += ", and more than on the first copy"
    return f"{what}; {wanted}"


@dataclass(frozen=True)
class RoleRow:
    """One role: how many heads have it or only look like it, and those whose statistic is highest."""

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
    ("rest",): "the texts feel it no more than they feel the median head",
}


def role_rows(findings: TextFindings) -> list[RoleRow]:
    """A row for each role, in the order in which roles are tried."""
    link = partial(head_link, findings)
    return rows_of(findings.heads.roles, RULES, link, predicts=findings.model.causal)


def rows_of(
    roles: Sequence[Sequence[HeadRole]],
    rules: Sequence[Rule],
    link: Callable[[int, int], Link],
    *,
    predicts: bool,
) -> list[RoleRow]:
    """The same for any heads; `predicts` says that silencing was measured as a loss."""
    flat = [role for row in roles for role in row]
    found = []
    for place, rule in enumerate(rules):
        having = [role for role in flat if role.role == rule.role]
        best = sorted(having, key=lambda role: -round(role.evidence[place].value, 6))[:LEADERS]
        found.append(
            RoleRow(
                role=rule.role,
                statistic=BY_COLUMN[rule.statistic].name,
                threshold=rule.threshold,
                effect=_EFFECTS[rule.effects]
                if predicts
                else _EFFECTS[rule.effects].replace("loss", "distance"),
                count=len(having),
                near=sum(role.role == UNLABELLED and role.near == rule.role for role in flat),
                leaders=tuple(_leader(link, role, place) for role in best),
            )
        )
    return found


def _leader(
    link: Callable[[int, int], Link], role: HeadRole, place: int
) -> tuple[Link, float, float]:
    evidence = role.evidence[place]
    return link(role.layer, role.head), evidence.value, evidence.effect


@dataclass(frozen=True)
class StableRow:
    """The heads that lead in one statistic over several draws, and in how many draws each leads."""

    statistic: str
    runs: int
    heads: tuple[tuple[Link, float, int], ...]
    agreement: float


def stable_rows(findings: TextFindings) -> list[StableRow]:
    """How stable the best induction and previous-token heads are; empty where it was not asked."""
    stability = findings.heads.stability
    if stability is None:
        return []
    names = ("induction", "previous_token", "duplicate_token")
    return [_stable(findings, name, getattr(stability, name)) for name in names]


def _stable(findings: TextFindings, name: str, scores: np.ndarray) -> StableRow:
    mean: Sequence[Sequence[float]] = scores.mean(0)
    heads = tuple(
        (head_link(findings, layer, head), float(mean[layer][head]), among)
        for (layer, head), among in leaders(scores, STABLE)
    )
    return StableRow(BY_COLUMN[name].name, len(scores), heads, agreement(scores))
