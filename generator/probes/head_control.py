"""The same statistics on the same network with random weights: what training did not make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.inputs.texts import CuratedText
from generator.models.model import LanguageModel
from generator.models.stacks import ONLY
from generator.models.twin import random_twin
from generator.probes.attention import measure_attention
from generator.probes.circuits import measure_copying
from generator.probes.head_statistics import versions_of
from generator.probes.heads import repeated_sequences
from generator.probes.naming import RoleInputs, name_heads, sweep_heads
from generator.probes.stack_statistics import text_statistics
from generator.store import Store, digest_of_value

VERSION = 3


@dataclass(frozen=True)
class RandomControl:
    """Each statistic of all heads of the random twin, (layers, heads), by name.

    Heads of two networks do not correspond: compare a head with all heads of the twin, by their mean
    and their largest value. A statistic that cannot be had is missing. `labelled` of the twin's heads get
    a role by the same rules, `asked` were tested for one; its own highest heads are no bar.
    """

    seed: int
    values: Mapping[str, np.ndarray]
    asked: int = 0
    labelled: int = 0

    def mean(self, name: str) -> float:
        """Mean over the twin's heads; NaN if the statistic is missing."""
        return float(self.values[name].mean()) if name in self.values else float("nan")

    def highest(self, name: str) -> float:
        """The largest value among the twin's heads; NaN if the statistic is missing."""
        return float(self.values[name].max()) if name in self.values else float("nan")


def random_control(
    model: LanguageModel,
    texts: Sequence[CuratedText],
    special: Sequence[frozenset[int]],
    inputs: RoleInputs,
    seed: int,
    store: Store,
) -> RandomControl:
    """All statistics of heads on the random twin, and roles as `name_heads` gives them."""

    def make() -> RandomControl:
        twin = random_twin(model, seed)
        attentions = [measure_attention(twin, text, store) for text in texts]
        repeated = repeated_sequences(twin, seed, store)
        found = text_statistics(attentions, special, repeated)
        values = {name: one.mean for name, one in found.items()}
        copying = measure_copying(twin, store)
        if not copying.reason:
            values["copying"] = copying.values
        sweep = sweep_heads(twin, inputs, store)
        if not sweep.texts.reason:
            values["ablation_delta_loss"] = sweep.texts.statistic("text").mean
        named = name_heads(twin, attentions, special, repeated, inputs, sweep, {}, seed, store)
        return RandomControl(seed, values, named.asked, named.labelled)

    parts = {
        "model": model.key,
        "texts": {text.id: list(model.encode(text).ids) for text in texts},
        "seed": seed,
        "inputs": digest_of_value(inputs),
        "statistics": versions_of(ONLY),
    }
    return store.result("random_control", VERSION, parts, RandomControl, make)
