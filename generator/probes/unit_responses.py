"""Responses of the units of one model to each input of a pool, from what the search for exemplars kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from generator.models.model import VisionModel
from generator.probes.exemplars import Exemplars, PoolImage, chunks, searched_units, things_of
from generator.probes.ranking import Ranking
from generator.probes.unit_pass import Scope
from generator.probes.unit_search import values_of
from generator.store import Store

VERSION = 1


@dataclass(frozen=True)
class Responses:
    """Responses of the units of one layer of one model, (inputs, units): the largest, and the mean.

    `top` (units, at most 9) are the inputs that excite each most, strongest first, -1 for none.
    """

    layer: str
    peak: np.ndarray
    mean: np.ndarray
    top: np.ndarray

    def on(self, inputs: np.ndarray) -> Responses:
        """The same on some of the inputs, (inputs,) of bool; exemplars stay those of all."""
        return replace(self, peak=self.peak[inputs], mean=self.mean[inputs])


def picture_responses(
    model: VisionModel, pool: Sequence[PoolImage], exemplars: Exemplars, store: Store
) -> tuple[Responses, ...]:
    """Responses of all units that were searched in the pool, from what the search kept of it."""
    searched = searched_units(model)
    things = things_of(pool)
    names = {thing: number for number, thing in enumerate(dict.fromkeys(things))}
    of = np.array([names[thing] for thing in things])
    peaks, means = (
        {one.name: np.empty((len(pool), one.units), np.float32) for one in searched}
        for _ in range(2)
    )
    for places, layers in chunks(model, pool, store, lambda _: None):
        for found in layers:
            peaks[found.layer][places], means[found.layer][places] = found.peak, found.mean
    tops = {one.layer: np.where(one.neuron >= 0, of[one.neuron], -1) for one in exemplars.layers}
    return tuple(
        Responses(one.name, peaks[one.name], means[one.name], tops[one.name]) for one in searched
    )


def token_responses(scope: Scope, rankings: Sequence[Ranking]) -> tuple[Responses, ...]:
    """Values of all neurons on the passages, from what the search kept of them.

    Those of a passage without a token that counts are not finite.
    """
    parts = list(values_of(scope))
    made = []
    for number, (units, top) in enumerate(zip(scope.layers, rankings, strict=True)):
        peak = np.concatenate([part[number].peak for part in parts])
        mean = np.concatenate([part[number].mean for part in parts])
        made.append(Responses(units.name, peak, mean, top.picture))
    return tuple(made)
