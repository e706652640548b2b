"""The same statistics on the same network with random weights: what training did not make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.inputs.texts import CuratedText
from generator.models.model import Encoding, LanguageModel
from generator.models.twin import random_twin
from generator.probes.ablation import ablate_texts
from generator.probes.attention import measure_attention
from generator.probes.circuits import measure_copying
from generator.probes.heads import head_statistics, repeated_sequences
from generator.probes.roles import extra_statistics
from generator.store import Store

VERSION = 1
TEXTS = 2  # that the twin's heads are silenced on: its losses hardly differ from text to text


@dataclass(frozen=True)
class RandomControl:
    """Each statistic of all heads of the random twin, (layers, heads), by name.

    Heads of two networks do not correspond: compare a head with all heads of the twin, by their mean
    and their largest value. A statistic that cannot be had is missing.
    """

    seed: int
    values: Mapping[str, np.ndarray]

    def mean(self, name: str) -> float:
        """Mean over the twin's heads; NaN if the statistic is missing."""
        return float(self.values[name].mean()) if name in self.values else float("nan")

    def highest(self, name: str) -> float:
        """The largest value among the twin's heads; NaN if the statistic is missing."""
        return float(self.values[name].max()) if name in self.values else float("nan")


def random_control(
    model: LanguageModel,
    texts: Sequence[CuratedText],
    encodings: Mapping[str, Encoding],
    seed: int,
    store: Store,
    ablated: int = TEXTS,
) -> RandomControl:
    """All statistics of heads on the random twin; ablation on the first `ablated` texts only."""

    def make() -> RandomControl:
        twin = random_twin(model, seed)
        special = set(model.tokenizer.all_special_ids)
        places = [
            frozenset(at for at, one in enumerate(encodings[text.id].ids) if one in special)
            for text in texts
        ]
        attentions = [measure_attention(twin, text, store) for text in texts]
        found = list(head_statistics(attentions, repeated_sequences(twin, seed, store)))
        found += extra_statistics(attentions, places).values()
        values = {one.name: one.mean for one in found}
        copying = measure_copying(twin, store)
        if not copying.reason:
            values["copying"] = copying.values
        few = {text.id: encodings[text.id] for text in texts[:ablated]}
        if few and not (ablation := ablate_texts(twin, few, store)).reason:
            values["ablation_delta_loss"] = ablation.statistic("text").mean
        return RandomControl(seed, values)

    inputs = {text.id: list(encodings[text.id].ids) for text in texts}
    parts = {"model": model.key, "texts": inputs, "seed": seed, "ablated": ablated}
    return store.result("random_control", VERSION, parts, RandomControl, make)
