"""How each neuron of a vision transformer's MLPs responds over a pool's patches, and which are looked at.

An MLP has thousands of neurons, and a page for each is no site. In turn one is taken that writes much, one
that is sparse, one that is dense and one at random, so that what is seen of a layer is no choice of the
beautiful. What a neuron *writes* is the length of the vector that it adds to the stream for each unit of its
response, times the standard deviation of its responses. Sparse is the highest kurtosis, the fourth moment
about the mean over the squared variance (3 for a normal distribution), dense the lowest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from generator.models.model import VisionModel
from generator.models.unit_layer import UnitLayer, neuron_layers, neurons, observe
from generator.probes.controls import spread
from generator.probes.exemplars import BATCH, PoolImage
from generator.probes.exemplars import batches as batches_of
from generator.probes.layer_weights import feeds
from generator.store import Store

VERSION = 1
COUNTED = 256  # pictures at most, evenly spread over the pool
# Why a neuron is looked at, in the order in which they are taken.
WRITES, SPARSE, DENSE, RANDOM = "writes", "sparse", "dense", "random"


@dataclass(frozen=True)
class NeuronStatistics:
    """Responses of the neurons of one MLP at the patches of some pictures, arrays (units,).

    `share` is that of patches at which a neuron is above zero; `kurtosis` is nan for one that never changes.
    `length` is that of the vector which it adds for each unit of its response.
    """

    layer: str
    pictures: int
    share: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    kurtosis: np.ndarray
    length: np.ndarray

    @property
    def writes(self) -> np.ndarray:
        """How much each neuron writes, (units,)."""
        return self.length * self.deviation


@dataclass(frozen=True)
class _Statistics:
    layers: tuple[NeuronStatistics, ...]


class _Tally:
    """Sums of the first four powers of the responses, and how many are above zero."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: Tensor | float = 0.0
        self.active: Tensor | float = 0.0

    def add(self, responses: Tensor) -> None:
        values = responses.flatten(0, 1).double()
        self.count += len(values)
        self.active = self.active + (values > 0).sum(0)
        squares = values.square()
        powers = (values, squares, squares * values, squares.square())
        self.sums = self.sums + torch.stack([each.sum(0) for each in powers])

    def finish(self, model: VisionModel, units: UnitLayer, pictures: int) -> NeuronStatistics:
        assert isinstance(self.sums, Tensor) and isinstance(self.active, Tensor)
        mean, second, third, fourth = (self.sums / self.count).cpu().numpy()
        variance = np.clip(second - mean**2, 0, None)
        about = fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4
        varies = variance > 1e-9 * np.maximum(second, 1e-30)
        kurtosis = np.divide(about, variance**2, out=np.full_like(mean, np.nan), where=varies)
        wires = feeds(model, units.layer)
        length = (
            np.full(len(mean), np.nan) if wires is None else np.linalg.norm(wires.weights, axis=1)
        )
        share = (self.active.double() / self.count).cpu().numpy()
        return NeuronStatistics(
            units.name, pictures, share, mean, np.sqrt(variance), kurtosis, length
        )


def measure_neurons(
    model: VisionModel, pool: Sequence[PoolImage], store: Store, step: Callable[[str], None]
) -> tuple[NeuronStatistics, ...]:
    """The statistics of the neurons of all MLPs, over at most COUNTED pictures of a pool."""
    observed = [neurons(model, layer) for layer in neuron_layers(model)]
    counted = spread(pool, COUNTED)
    parts = {
        "model": model.key,
        "layers": [units.name for units in observed],
        "pictures": [image.key for image in counted],
    }

    def make() -> _Statistics:
        tallies = {units.name: _Tally() for units in observed}
        for batch in batches_of(counted, BATCH):
            pixels = torch.from_numpy(np.stack(batch))
            observe(observed, pixels, lambda units, found: tallies[units.name].add(found))
        step(f"{model.id}: neurons of {len(observed)} MLPs on {len(counted)} pictures")
        return _Statistics(
            tuple(tallies[units.name].finish(model, units, len(counted)) for units in observed)
        )

    return store.result("patch_neurons", VERSION, parts, _Statistics, make).layers


def choose(found: NeuronStatistics, count: int, seed: int) -> dict[int, str]:
    """At most `count` neurons of an MLP, each with why it is looked at."""
    orders = {
        WRITES: _order(np.where(found.writes > 0, -found.writes, np.nan)),
        SPARSE: _order(-found.kurtosis),
        DENSE: _order(found.kurtosis),
        RANDOM: np.random.default_rng(seed).permutation(len(found.share)),
    }
    waiting = {why: iter(order.tolist()) for why, order in orders.items()}
    chosen: dict[int, str] = {}
    while waiting and len(chosen) < count:
        for why in list(waiting):
            unit = next((one for one in waiting[why] if one not in chosen), None)
            if unit is None:
                del waiting[why]
            elif len(chosen) < count:
                chosen[unit] = why
    return chosen


def _order(values: np.ndarray) -> np.ndarray:
    """The neurons whose value is known, the smallest first."""
    # Threads add up in their own order: the last bits must not decide.
    order = np.argsort(np.array([float(f"{value:.5g}") for value in values]), kind="stable")
    return order[np.isfinite(values[order])]
