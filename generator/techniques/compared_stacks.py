"""The heads of two models with the same stacks, measured: how far each changed, over what chance makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from generator.comparison import other_kind, sides
from generator.models.stacks import ENCODER, PATCHES, Stack
from generator.probes.change import Changes, Measured, changes
from generator.probes.head_statistic import HeadStatistic
from generator.probes.head_statistics import definitions_of
from generator.probes.head_writes import Writes, relative_change
from generator.probes.map_distance import total_variation
from generator.probes.patch_attention import UNIT
from generator.run import PAIRS, PICTURES, Run, why_not
from generator.techniques.answers import pairs_of
from generator.techniques.attention import ATTENTION
from generator.techniques.compared_measures import (
    APART,
    COPYING,
    MOVED,
    ON_RANDOM_TOKENS,
    SPREAD,
    WRITTEN,
    halves,
    lengths,
    profiles,
    silenced_on,
    statistics,
    where_same,
)
from generator.techniques.head_writes import HEAD_WRITES, PATCH_WEIGHTS
from generator.techniques.heads import SCORES
from generator.techniques.measured_stack import StackHeads, StackScores, heads_of
from generator.techniques.patch_maps import PATCH_MAPS, grid_of


@dataclass(frozen=True, eq=False)
class ComparedStack:
    """All heads of one stack in two models.

    `before` and `after` are the heads of each, `inputs` the names of the texts or pictures. `changes` are
    those of heads in a row, `control` those between two halves of the inputs of the model before, by the
    measures that have FEWEST inputs in either; None where none has.
    `apart` (inputs, heads) is how far maps lie apart on each input, `moved` (heads,) how far what is written
    moved, `copying` (2, heads) the copying score of both, which no input has a part in; NaN where it has
    none. `left_out` are measures of both that could not be compared.
    """

    before: StackHeads
    after: StackHeads
    measure: str
    inputs: tuple[str, ...]
    changes: Changes
    control: Changes | None
    apart: np.ndarray
    moved: np.ndarray
    copying: np.ndarray
    left_out: tuple[str, ...] = ()

    @property
    def stack(self) -> Stack:
        """Which one it is of the model's."""
        return self.after.stack

    @property
    def things(self) -> str:
        """What it looks at."""
        return "pictures" if self.stack is PATCHES else "texts"

    @cached_property
    def definitions(self) -> Mapping[str, HeadStatistic]:
        """What each measure is, by its name."""
        own = {one.column: one for one in (WRITTEN, SPREAD, APART, MOVED)}
        return {**definitions_of(self.stack, self.measure), **own}

    def at(self, thing: int) -> tuple[int, int]:
        """Layer and head of one of the heads in a row."""
        return divmod(int(thing), self.after.heads)

    def name(self, thing: int) -> str:
        """The name of one of the heads in a row."""
        return self.after.head(*self.at(thing))

    def farthest(self, thing: int) -> str:
        """The input on which the maps of a head lie farthest apart; the first of several."""
        apart = self.apart[:, thing]
        return self.inputs[int(np.where(np.isfinite(apart), apart, -1).argmax())]


def reason(run: Run) -> str:
    """Why the heads of two models are not compared; "" where they are."""
    before, after = sides(run)
    if other_kind(run):
        return other_kind(run)
    for one in (before, after):
        if why_not(SCORES, one):
            return f"{one.title}: {why_not(SCORES, one)}"
    pairs = [(one.model, heads_of(one.model)) for one in (before, after)]
    shapes = [[(one.stack.name, len(one.layers), one.heads) for one in heads] for _, heads in pairs]
    if shapes[0] != shapes[1]:
        said = " and ".join(f"{model.title} has {_sizes(heads)}" for model, heads in pairs)
        return f"{said}: no head of one is a head of the other."
    return _other_inputs(before, after)


def _sizes(stacks: Sequence[StackHeads]) -> str:
    return ", ".join(f"{len(one.layers)} {one.layer_words}s of {one.heads} heads" for one in stacks)


def _other_inputs(before: Run, after: Run) -> str:
    """Why maps of two models do not lie over the same tokens or patches; "" where they do."""
    if before.reads == PICTURES:
        shown = [(list(run.pixels), digests_of(run)) for run in (before, after)]
        if shown[0] != shown[1]:
            return "they were not shown the same pictures."
        same = grid_of(before) == grid_of(after)
        return "" if same else "they cut pictures into other patches, which heads look at."
    if other_texts(before, after):
        return other_texts(before, after)
    if read_ids(before) != read_ids(after):
        return (
            "they cut texts into other tokens, so that their heads do not look at the same things."
        )
    return ""


def digests_of(run: Run) -> list[tuple[str, str]]:
    """The curated pictures by name, with the digests of their files."""
    return [(one.id, one.sha256) for one in run.inputs.images]


def other_texts(before: Run, after: Run) -> str:
    """Why nothing can be held against each other on texts: there are others; "" where they are the same."""
    one, other = ([(text.id, text.text) for text in run.inputs.texts] for run in (before, after))
    return "" if one == other else "they are not shown the same texts."


def read_ids(run: Run) -> dict[str, tuple[int, ...]]:
    """The tokens of each text, of a pair the source's."""
    if run.reads == PAIRS:
        return {text.id: run.pair.encode(text).ids for text in run.inputs.texts}
    return {name: one.ids for name, one in run.encodings.items()}


def measure(run: Run) -> tuple[ComparedStack, ...] | str:
    """Every stack of two models; or why the two cannot be compared."""
    before, after = sides(run)
    why = reason(run)
    if why:
        return why
    stacks = zip(heads_of(before.model), heads_of(after.model), strict=True)
    found = tuple(_compared(before, after, at, *pair) for at, pair in enumerate(stacks))
    run.step(f"{run.id}: heads")
    return found


def _compared(
    before: Run, after: Run, place: int, own: StackHeads, other: StackHeads
) -> ComparedStack:
    stack, count = other.stack, other.count
    scores = before[SCORES][place], after[SCORES][place]
    same = _same_reading(before, after, stack)
    writes = [_writes_of(run, stack) for run in (before, after)]
    maps = [_maps_of(run, stack) for run in (before, after)]
    inputs = tuple(read_ids(before)) if before.reads != PICTURES else tuple(before.pixels)
    found = [
        *statistics(before, after, place, *scores, same),
        *lengths(*writes),
        *profiles(before, after, stack, *maps),
    ]
    silenced = silenced_on(*scores)
    measures = [where_same(one, same, inputs, silenced) for one in found]
    halved = halves(measures)
    apart = np.stack(
        [
            total_variation(one, two).ravel() if equal else np.full(count, np.nan)
            for one, two, equal in zip(*maps, same, strict=True)
        ]
    )
    kept = [tuple(w for w, equal in zip(each, same, strict=True) if equal) for each in writes]
    moved = relative_change(*kept).ravel() if all(kept) else np.full(count, np.nan)
    return ComparedStack(
        own,
        other,
        scores[0].ablation.measure,
        inputs,
        changes(measures, after.seed),
        changes(halved, after.seed) if halved else None,
        apart,
        moved,
        np.stack([one.means.get(COPYING, np.full((count,), np.nan)).ravel() for one in scores]),
        tuple(_left_out(measures, *scores)),
    )


def _left_out(measures: Sequence[Measured], own: StackScores, other: StackScores) -> Iterator[str]:
    """What both measure on random tokens, where these are not the same."""
    known = [{one.name for one in each.statistics} for each in (own, other)]
    compared = {one.name for one in measures}
    for name in ON_RANDOM_TOKENS:
        if name in known[0] & known[1] and name not in compared:
            yield name


def _same_reading(before: Run, after: Run, stack: Stack) -> list[bool]:
    """Of each input, whether the heads of a stack read the same in both models."""
    if before.reads == PICTURES:
        return [True] * len(before.pixels)
    if before.reads != PAIRS or stack is ENCODER:
        return [True] * len(before.inputs.texts)
    pairs = zip(pairs_of(before), pairs_of(after), strict=True)
    return [
        one.read.ids == other.read.ids and one.written.ids == other.written.ids
        for one, other in pairs
    ]


def _writes_of(run: Run, stack: Stack) -> tuple[Writes, ...]:
    """What the heads of a stack write on each input; nothing where it is not known of one."""
    every = [one.stacks for one in run[HEAD_WRITES].values()]
    return tuple(one[stack.name] for one in every) if all(every) else ()


def _maps_of(run: Run, stack: Stack) -> list[np.ndarray]:
    """The weights of all heads on each input, (layers, heads, queries, keys)."""
    if stack is PATCHES:
        return [one.units / UNIT for one in run[PATCH_WEIGHTS].values()]
    return [one.weights for one in run[ATTENTION][stack.name].attentions]


ASKS = (SCORES, ATTENTION, PATCH_MAPS, PATCH_WEIGHTS, HEAD_WRITES)
