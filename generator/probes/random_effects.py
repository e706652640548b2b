"""What a neuron does to the classes where nothing was chosen for it: on pictures drawn at random.

Each neuron is set to its mean at every token, as on its best picture (`generator.probes.effects`). Of the
changes of all logits the largest is taken, up or down, and the mean of that over the pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.models.model import VisionModel
from generator.models.unit_layer import Held, neuron_layers, neurons
from generator.probes.effects import Sweep
from generator.probes.exemplars import PoolImage
from generator.probes.signal import Signal
from generator.store import Store

VERSION = 1


@dataclass(frozen=True)
class RandomEffects:
    """How far each of some neurons of a layer moves the score of some class, on average over `pictures`."""

    layer: str
    pictures: int
    units: np.ndarray
    moves: np.ndarray


@dataclass(frozen=True)
class _Moves:
    values: np.ndarray


def measure_random_effects(
    model: VisionModel,
    pool: Sequence[PoolImage],
    chosen: Mapping[str, Sequence[int]],
    signal: Signal,
    store: Store,
    *,
    count: int,
    seed: int,
) -> tuple[RandomEffects, ...]:
    """Effects of the neurons `chosen` on `count` pictures of a pool; none without classes."""
    layers = [x for x in neuron_layers(model) if x.tapped and chosen.get(x.name)]
    if not model.labels or not layers:
        return ()
    held = [
        Held(neurons(model, layer), unit, float(signal.of(layer.name).mean[unit]))
        for layer in layers
        for unit in chosen[layer.name]
    ]
    drawn = np.random.default_rng(seed).permutation(len(pool))[:count]
    pictures = [pool[place] for place in np.sort(drawn)]
    parts = {
        "model": model.key,
        "pictures": [picture.key for picture in pictures],
        "units": [[one.units.name, one.unit, one.value] for one in held],
    }

    def make() -> _Moves:
        sweep = Sweep(model, pictures[0].load(), held)
        found = [np.abs(sweep.changes(picture.load(), held)).max(1) for picture in pictures]
        return _Moves(np.mean(found, axis=0))

    moves = store.result("random_effects", VERSION, parts, _Moves, make).values
    names = np.array([one.units.name for one in held])
    return tuple(
        RandomEffects(
            layer.name, len(pictures), np.array(chosen[layer.name]), moves[names == layer.name]
        )
        for layer in layers
    )
