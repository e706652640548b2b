"""The heads of every stack of a model, measured: statistics, effects, roles, likeness, random control."""

from __future__ import annotations

from generator.run import PAIRS, PICTURES, TEXTS, Run, Technique, why_not
from generator.techniques.measured_stack import MeasuredStack, StackHeads
from generator.techniques.pair_stacks import pair_stacks
from generator.techniques.patch_maps import PATCH_MAPS
from generator.techniques.patch_stack import patch_stack
from generator.techniques.text_stack import text_stack

Stacks = tuple[MeasuredStack, ...]


def reason(run: Run) -> str:
    """Why a model's heads are not measured; "" where they are."""
    return why_not(PATCH_MAPS, run) if run.reads == PICTURES else ""


def measure(run: Run) -> Stacks:
    """The stacks of a model, each with all that was measured of its heads."""
    if run.reads == PAIRS:
        return pair_stacks(run)
    return (patch_stack(run) if run.reads == PICTURES else text_stack(run),)


def measured(run: Run, stack: StackHeads) -> MeasuredStack:
    """What was measured of the heads of a stack."""
    return next(one for one in run[HEADS] if one.stack is stack.stack)


def stacks_of(run: Run) -> Stacks:
    """All that was measured of heads; nothing where there are none."""
    return () if why_not(HEADS, run) else run[HEADS]


HEADS = Technique(
    name="heads",
    title="Attention heads",
    search="heads",
    reads=(PICTURES, TEXTS, PAIRS),
    why_not=reason,
    measure=measure,
)
