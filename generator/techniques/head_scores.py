"""Statistics of heads on pages: of one, of a layer's and of a model's, each beside its controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link
from generator.figures.figure import Figure
from generator.models.layer import Layer
from generator.models.stacks import CROSS, DECODER, ENCODER, PATCHES
from generator.probes.ablation import Ablation
from generator.probes.naming import NamedHeads
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique
from generator.techniques.atlas import grids_figure
from generator.techniques.heads import HEADS, measured, reason
from generator.techniques.measured_stack import MeasuredStack, StackHeads, stack_of
from generator.techniques.roles import Badge, RoleRow, badge, role_rows
from generator.techniques.stack_tables import stack_tables
from generator.techniques.standings import Leader, Standing, leaders, standings

LEFT_OUT = (
    "Not made for an encoder-decoder: OV and QK circuits with the copying score, the logit lens and direct "
    "logit attribution, norm-weighted maps, and the page that works through one token. They "
    "follow one stream from the token embeddings to the logits. Here a head of the encoder reaches the "
    "logits only through cross attention, and a head of cross attention reads what the encoder has made of "
    "the source, so that the direct way which these methods read off does not exist for two of the three "
    "stacks."
)
# What the heads of each stack of an encoder-decoder do.
ABOUT = {
    ENCODER.name: "how the source is read: each of its tokens looks at all others",
    DECODER.name: "how the target is written: each of its tokens looks at those before it",
    CROSS.name: "where the target finds the source: its tokens look across",
}


@dataclass(frozen=True)
class HeadView:
    """One head among all of its stack; `keys` are what an even spread looks at alike."""

    stack: MeasuredStack
    standings: tuple[Standing, ...]
    keys: str
    whose: str
    alike: tuple[tuple[Link, float], ...]
    left_out: str


@dataclass(frozen=True)
class HeadRow:
    """A head in the table of its layer."""

    link: Link
    group: int
    standings: tuple[Standing, ...]
    badge: Badge | None


@dataclass(frozen=True)
class LayerView:
    """The heads of a layer."""

    stack: MeasuredStack
    rows: tuple[HeadRow, ...]
    whose: str


@dataclass(frozen=True)
class StackView:
    """All heads of a stack at a glance, and those that lead."""

    stack: MeasuredStack
    about: str
    figure: Figure
    leaders: tuple[Leader, ...]
    roles: tuple[RoleRow, ...]


@dataclass(frozen=True)
class RolesView:
    """How roles are named, and who has one; `left_out` says which methods have no meaning here."""

    stack: MeasuredStack
    named: NamedHeads
    silenced: Ablation
    roles: tuple[RoleRow, ...]
    left_out: str


def head_view(run: Run, of: StackHeads, layer: int, head: int) -> HeadView:
    """The section on a head's page."""
    stack = measured(run, of)
    return HeadView(
        stack,
        standings(stack, layer, head),
        "tokens" if stack.stack is PATCHES else "visible keys",
        _whose(stack),
        tuple(_alike(stack, layer, head)),
        LEFT_OUT if run.reads == PAIRS else "",
    )


def _whose(stack: MeasuredStack) -> str:
    """Among which heads one is ranked."""
    return "heads of this stack" if stack.several else "heads of the model"


def _alike(stack: MeasuredStack, layer: int, head: int) -> Iterator[tuple[Link, float]]:
    """The heads whose maps resemble this one's most, with the correlation."""
    likeness = stack.likeness
    if likeness is None:
        return
    pairs = zip(likeness.others[layer, head], likeness.correlation[layer, head], strict=True)
    for (one, other), value in pairs:
        if np.isfinite(value):
            yield stack.link(int(one), int(other)), float(value)


def layer_view(run: Run, layer: Layer) -> LayerView | None:
    """The section on a layer's page; None of a layer without heads."""
    if not layer.heads:
        return None
    stack = measured(run, stack_of(run.model, layer))
    place = stack.place_of(layer)
    rows = (
        HeadRow(
            stack.link(place, head),
            stack.group(head),
            standings(stack, place, head),
            badge(stack, place, head),
        )
        for head in range(stack.heads)
    )
    return LayerView(stack, tuple(rows), _whose(stack))


def model_view(run: Run) -> StackView | None:
    """The section on the page of a model of one stack that reads texts."""
    return _stack(run[HEADS][0]) if run.reads == TEXTS else None


def stacks_view(run: Run) -> tuple[StackView, ...]:
    """The sections on the page of an encoder-decoder, one for each of its three stacks."""
    return tuple(_stack(one) for one in run[HEADS]) if run.reads == PAIRS else ()


def _stack(stack: MeasuredStack) -> StackView:
    about = ABOUT.get(stack.stack.name, "")
    rows = tuple(role_rows(stack))
    return StackView(stack, about, grids_figure(stack), tuple(leaders(stack)), rows)


def roles_view(run: Run) -> RolesView | None:
    """How roles are named, on the page of a model that reads texts."""
    stack = run[HEADS][0]
    if stack.named is None:
        return None
    pairs = run.reads == PAIRS
    rows = () if pairs else tuple(role_rows(stack))
    return RolesView(stack, stack.named, stack.ablation, rows, LEFT_OUT if pairs else "")


HEAD_SCORES = Technique(
    name="head_scores",
    title="Heads in numbers",
    search="entropy induction previous token role",
    reads=(PICTURES, TEXTS, PAIRS),
    why_not=reason,
    measure=HEADS.asked_of,
    tables=lambda run: stack_tables(run[HEADS]),
    sections=(
        Section("model", "heads", "heads.html", model_view),
        Section("model", "stacks", "stacks.html", stacks_view),
        Section("model", "roles", "roles.html", roles_view),
        Section("layer", "statistics", "head_rows.html", layer_view),
        Section("head", "statistics", "head_scores.html", head_view),
    ),
)
