"""What is measured of heads that are held against each other: a value for each input in both models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress

import numpy as np

from generator.models.stacks import CROSS, PATCHES, Stack
from generator.probes.attention import Attention
from generator.probes.change import FEWEST, Measured
from generator.probes.head_statistic import ABLATIONS, HeadStatistic, along, over_patches
from generator.probes.head_writes import Writes
from generator.probes.map_distance import patch_profile, profile
from generator.probes.positions import positional, positional_by_text
from generator.probes.repeated_sequences import random_sequences, why_no_repeats
from generator.run import PAIRS, Run
from generator.techniques.attention import ATTENTION
from generator.techniques.head_writes import PATCH_WEIGHTS
from generator.techniques.measured_stack import StackScores, heads_of
from generator.techniques.patch_maps import grid_of

LENGTH, PROFILE, COPYING, POSITIONAL = "written_length", "profile", "copying", "positional"
ON_RANDOM_TOKENS = ("induction", "duplicate_token")
# The column of what silencing a head changes, by what that is measured by.
EFFECT = {measure: one.column for measure, one in ABLATIONS.items()}
WRITTEN = HeadStatistic(
    LENGTH,
    "Length of what it writes",
    "mean over tokens of the norm of `z W_O`, what the head adds to the stream; of `z`, its mixed values, "
    "where the matrix behind them is not known",
    "each input",
    "Kobayashi et al. 2020, of what is written in all",
    lambda _: True,
)
SPREAD = HeadStatistic(
    PROFILE,
    "Attention by distance",
    "mean over queries of the weight on the first token (or on each special one), and on the keys at each "
    "distance: 0, 1, 2, 3 to 4, 5 to 8 and so on, back and ahead; its change is the length of the difference "
    "of these numbers",
    "each input",
    "after Vig & Belinkov 2019",
    lambda stack: along(stack) or over_patches(stack),
)
APART = HeadStatistic(
    "maps_apart",
    "Maps apart",
    "mean over queries `i` of `½ Σⱼ |A[i, j] − B[i, j]|`, the maps of both models on the same input: from 0 "
    "to 1",
    "each input",
    "total variation distance",
    lambda _: True,
)
MOVED = HeadStatistic(
    "writes_moved",
    "Writes moved",
    "norm of the difference of what the head writes in both models, mean over some tokens of each input, "
    "divided by the mean norm of what it wrote before",
    "each input",
    "Cutaway",
    lambda _: True,
)


def statistics(
    before: Run,
    after: Run,
    place: int,
    own: StackScores,
    other: StackScores,
    same: Sequence[bool],
) -> Iterator[Measured]:
    """Every statistic that both have, each with a value for every input, of heads in a row.

    `same` says of each input whether both read the same: what is of all at once is measured on those.
    """
    later = {one.name: one for one in other.statistics}
    for one in own.statistics:
        if one.name not in later or one.name == COPYING:
            continue
        if one.name in ON_RANDOM_TOKENS and not same_random_tokens(before, after):
            continue
        values = one.values, later[one.name].values
        if one.name == EFFECT.get(own.ablation.measure):
            if own.ablation.measure != other.ablation.measure:
                continue
            both = silenced_on(own, other)
            at = [[each.ablation.inputs.index(name) for name in both] for each in (own, other)]
            values = values[0][at[0]], values[1][at[1]]
        if one.name == POSITIONAL:
            if any(same):
                name = heads_of(before.model)[place].stack.name
                each = [run[ATTENTION][name].attentions for run in (before, after)]
                found = _positional(*(list(compress(maps, same)) for maps in each))
                if np.isfinite(found.before + found.after).any():
                    yield found
            continue
        # On texts of one token, without punctuation or with no word in common, some have no value.
        known = all(np.isfinite(each).any() for each in values)
        if known and values[0].shape == values[1].shape:
            yield Measured(one.name, *(_in_a_row(each) for each in values))


def same_random_tokens(before: Run, after: Run) -> bool:
    """Whether both were given the same random tokens: a tokenizer that knows one more draws others."""
    pair = [run.pair if run.reads == PAIRS else run.language for run in (before, after)]
    if any(why_no_repeats(one) for one in pair):
        return False
    made = [random_sequences(one, run.seed) for one, run in zip(pair, (before, after), strict=True)]
    return made[0] == made[1]


def silenced_on(own: StackScores, other: StackScores) -> list[str]:
    """The inputs on which heads were silenced in both models."""
    return [name for name in own.ablation.inputs if name in other.ablation.inputs]


def _positional(before: Sequence[Attention], after: Sequence[Attention]) -> Measured:
    """`positional` over all texts at once, and what each adds to it, from which the noise is."""
    how = before[0].causal, before[0].windows
    maps = [[one.weights for one in each] for each in (before, after)]
    by_text = [_in_a_row(positional_by_text(each, *how)) for each in maps]
    whole = np.stack([positional(each, *how).ravel() for each in maps])
    return Measured(POSITIONAL, by_text[0], by_text[1], whole)


def lengths(before: Sequence[Writes], after: Sequence[Writes]) -> Iterator[Measured]:
    """How long what heads write is, where the same was measured in both models."""
    if before and after and before[0].projected == after[0].projected:
        values = (np.stack([one.length for one in each]) for each in (before, after))
        yield Measured(LENGTH, *(_in_a_row(each) for each in values))


def profiles(
    before: Run, after: Run, stack: Stack, own: Sequence[np.ndarray], other: Sequence[np.ndarray]
) -> Iterator[Measured]:
    """How maps spread over distances, a vector for each input."""
    if stack is CROSS:
        return
    made = [
        [_profile(run, stack, one) for one in maps] for run, maps in ((before, own), (after, other))
    ]
    values = [np.stack(each) for each in made]
    yield Measured(PROFILE, *(each.reshape(len(each), -1, each.shape[-1]) for each in values))


def _profile(run: Run, stack: Stack, weights: np.ndarray) -> np.ndarray:
    if stack is not PATCHES:
        return profile(weights)
    block = next(iter(run[PATCH_WEIGHTS].values())).block
    return patch_profile(weights, grid_of(run), block)


def _in_a_row(values: np.ndarray) -> np.ndarray:
    """Values (inputs, layers, heads) as (inputs, heads)."""
    return values.reshape(len(values), -1)


def halves(measures: Sequence[Measured]) -> list[Measured]:
    """Halves of the inputs of the model before, held against each other, where they are large enough."""
    return [_halved(one) for one in measures if len(one.before) >= 2 * FEWEST]


def _halved(measured: Measured) -> Measured:
    """Every second input, held against the others."""
    values = measured.before
    half = len(values) // 2
    return Measured(measured.name, values[0::2][:half], values[1::2][:half])


def where_same(
    measured: Measured, same: Sequence[bool], inputs: Sequence[str], silenced: Sequence[str]
) -> Measured:
    """Without the inputs on which the decoders read targets of their own, which are not the same.

    Heads were silenced on the inputs `silenced` alone. Random tokens are read by both, and `positional` was
    measured without such inputs.
    """
    if all(same) or measured.name in (*ON_RANDOM_TOKENS, POSITIONAL):
        return measured
    names = silenced if measured.name in EFFECT.values() else inputs
    known = dict(zip(inputs, same, strict=True))
    gone = np.array([0.0 if known[name] else np.nan for name in names])
    gone = gone.reshape(-1, *[1] * (measured.before.ndim - 1))
    return Measured(measured.name, measured.before + gone, measured.after + gone)
