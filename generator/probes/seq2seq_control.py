"""What the heads of an encoder-decoder with random weights show, stack by stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import PAIR
from generator.models.twin import random_twin
from generator.probes.head_statistics import versions_of
from generator.probes.seq2seq import Pair, measure_pair_attention
from generator.probes.seq2seq_heads import measure_pair_repeats, stack_statistics
from generator.probes.seq2seq_naming import name_pair_heads, sweep_pairs
from generator.store import Store

VERSION = 3


@dataclass(frozen=True)
class PairControl:
    """Each statistic of all heads of the random twin, by stack and name, (layers, heads).

    `asked` and `labelled` count, by stack, the twin's heads that were tested for a role and that got one.
    """

    seed: int
    values: Mapping[str, Mapping[str, np.ndarray]]
    asked: Mapping[str, int]
    labelled: Mapping[str, int]


def pair_control(
    model: Seq2SeqModel, pairs: Sequence[Pair], count: int, seed: int, store: Store
) -> PairControl:
    """The same statistics on the same texts, targets included, and roles, for random weights.

    Heads are silenced on the first `count` short pairs, as the model's are.
    """

    def make() -> PairControl:
        twin = random_twin(model, seed)
        repeats = measure_pair_repeats(twin, seed, store).by_stack
        attentions = [measure_pair_attention(twin, pair, store) for pair in pairs]
        sweeps = sweep_pairs(twin, pairs, count, store)
        named = name_pair_heads(twin, pairs, attentions, repeats, sweeps, count, {}, store)
        values = {}
        for stack, sweep in zip(PAIR, sweeps, strict=True):
            shown = [one.of(stack) for one in attentions]
            found = list(stack_statistics(twin, stack, pairs, shown, repeats))
            found += [] if sweep.reason else [sweep.statistic("text")]
            values[stack.name] = {one.name: one.mean for one in found}
        names = [stack.name for stack in PAIR]
        asked = dict(zip(names, (one.asked for one in named), strict=True))
        labelled = dict(zip(names, (one.labelled for one in named), strict=True))
        return PairControl(seed, values, asked, labelled)

    inputs = {
        pair.text: [list(one.ids) for one in (pair.source, pair.read, pair.written)]
        for pair in pairs
    }
    parts = {
        "model": model.key,
        "texts": inputs,
        "seed": seed,
        "count": count,
        "statistics": versions_of(*PAIR),
    }
    return store.result("pair_control", VERSION, parts, PairControl, make)
