"""The heads of every stack of a model, measured: statistics, effects, roles, likeness, random control."""

from __future__ import annotations

from dataclasses import dataclass

from generator.models.model import VisionModel
from generator.probes.head_statistic import TARGET
from generator.probes.head_statistics import versions_of
from generator.probes.heads import RandomControl
from generator.probes.likeness import Likeness, alike_heads
from generator.probes.naming import NamedHeads
from generator.probes.patch_ablation import measure_of
from generator.probes.patch_attention import alike_patch_heads
from generator.probes.repeated_sequences import why_no_repeats
from generator.probes.seq2seq_naming import rules_of
from generator.probes.stack_statistics import defined
from generator.run import PAIRS, PICTURES, TEXTS, Run, Technique, why_not
from generator.techniques.attention import ATTENTION
from generator.techniques.measured_stack import (
    Bars,
    MeasuredStack,
    Scores,
    StackHeads,
    StackScores,
    heads_of,
)
from generator.techniques.patch_maps import PATCH_MAPS
from generator.techniques.stack_scores import (
    NO_ROLES,
    pair_names,
    pair_scores,
    patch_scores,
    text_names,
    text_scores,
)

Stacks = tuple[MeasuredStack, ...]
_KINDS = (PICTURES, TEXTS, PAIRS)


@dataclass(frozen=True)
class Tested:
    """How many heads of a stack were tested for a role, and how many got one."""

    asked: int
    labelled: int


def reason(run: Run) -> str:
    """Why a model's heads are not measured; "" where they are."""
    return why_not(PATCH_MAPS, run) if run.reads == PICTURES else ""


def scores(run: Run) -> Scores:
    """The statistics and effects of all heads, stack by stack."""
    made = {PICTURES: patch_scores, TEXTS: text_scores, PAIRS: pair_scores}
    return made[run.reads](run)


def _names(run: Run, bars: Bars) -> tuple[NamedHeads, ...]:
    """The roles of all heads, stack by stack; none where roles have no meaning."""
    made = {TEXTS: text_names, PAIRS: pair_names}
    return made[run.reads](run, run[SCORES], bars) if run.reads in made else ()


def tested(run: Run) -> tuple[Tested, ...]:
    """How many heads get a role by the same rules where no control is a bar: asked of random weights."""
    named = _names(run, [{} for _ in run[SCORES]])
    return tuple(Tested(one.asked, one.labelled) for one in named)


def measure(run: Run) -> Stacks:
    """The stacks of a model, each with all that was measured of its heads."""
    control = run.control[SCORES]
    run.step(f"{run.model.id}: random weights")
    named = _names(run, [one.means for one in control])
    counted = run.control[TESTED] if named else ()
    return tuple(
        _stack(
            run,
            heads,
            run[SCORES][place],
            RandomControl(
                run.seed,
                control[place].means,
                *((counted[place].asked, counted[place].labelled) if named else (0, 0)),
                control[place].drawn,
            ),
            named[place] if named else None,
        )
        for place, heads in enumerate(heads_of(run.model))
    )


def _stack(
    run: Run,
    heads: StackHeads,
    own: StackScores,
    control: RandomControl,
    named: NamedHeads | None,
) -> MeasuredStack:
    seen = run.reads == PICTURES
    attentions = () if seen else run[ATTENTION][heads.stack.name].attentions
    inputs = run.pixels if seen else (text.id for text in run.inputs.texts)
    return MeasuredStack(
        **vars(heads),
        inputs=tuple(inputs),
        measure=_measure_of(run),
        # On texts of one token, or with no word in common, some have no value.
        statistics=defined(own.statistics) if run.reads == TEXTS else own.statistics,
        control=control,
        ablation=own.ablation,
        repeats=own.repeats,
        choice=own.choice,
        rules=rules_of(heads.stack) if named else (),
        named=named,
        why_no_roles="" if named else NO_ROLES,
        why_no_repeats="" if isinstance(run.model, VisionModel) else why_no_repeats(run.model),
        likeness=_likeness(run) if seen else alike_heads(attentions),
        attentions=attentions,
    )


def _measure_of(run: Run) -> str:
    """What silencing a head changes."""
    if run.reads == PICTURES:
        return measure_of(run.vision)
    return TARGET if run.reads == PAIRS else "loss" if run.language.causal else "representation"


def _likeness(run: Run) -> Likeness:
    found = alike_patch_heads(run.vision, run.pixels, run.store)
    run.step(f"{run.model.id}: heads that look alike")
    return found


def measured(run: Run, stack: StackHeads) -> MeasuredStack:
    """What was measured of the heads of a stack."""
    return next(one for one in run[HEADS] if one.stack is stack.stack)


def stacks_of(run: Run) -> Stacks:
    """All that was measured of heads; nothing where there are none."""
    return () if why_not(HEADS, run) else run[HEADS]


def _versions(run: Run) -> dict[str, int]:
    return versions_of(*(one.stack for one in heads_of(run.model)))


SCORES = Technique(
    name="head_statistics",
    title="Statistics of heads",
    search="heads",
    reads=_KINDS,
    why_not=reason,
    measure=scores,
    versions=_versions,
)
TESTED = Technique(
    name="tested_heads",
    title="Heads tested for roles",
    search="roles",
    reads=(TEXTS, PAIRS),
    measure=tested,
    versions=_versions,
)
HEADS = Technique(
    name="heads",
    title="Attention heads",
    search="heads",
    reads=_KINDS,
    why_not=reason,
    measure=measure,
)
