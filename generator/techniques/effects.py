"""Effects of units: what the logits lose where a unit is silenced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.models.layer import Layer
from generator.probes.effects import LayerEffects, measure_effects
from generator.run import PICTURES, Run, Technique
from generator.techniques.exemplars import EXEMPLARS, needs_pool
from generator.techniques.neuron_choice import chosen_neurons
from generator.techniques.signal import SIGNAL


@dataclass(frozen=True)
class UnitEffects:
    """Classes whose logit a unit raises and lowers most on its best picture, and by how much."""

    up: tuple[tuple[str, float], ...]
    down: tuple[tuple[str, float], ...]


def measure(run: Run) -> tuple[LayerEffects, ...]:
    """The classes that each unit raises and lowers most on its best picture."""
    exemplars, signal = run[EXEMPLARS], run[SIGNAL]
    chosen = {name: one.units for name, one in chosen_neurons(run).items()}
    return measure_effects(
        run.vision, run.pool_images, exemplars, signal, run.store, run.step, chosen
    )


def effects_of(run: Run, layer: Layer, unit: int) -> UnitEffects | None:
    """The effects of one unit; None where they were not measured."""
    by_layer = run.once("effects by layer", lambda: {one.layer: one for one in run[EFFECTS]})
    effects = by_layer.get(layer.name)
    if effects is None or effects.up[unit, 0] < 0:
        return None
    labels = run.vision.labels

    def named(classes: np.ndarray, values: np.ndarray, sign: int) -> tuple[tuple[str, float], ...]:
        pairs = zip(classes, values, strict=True)
        return tuple((labels[int(c)], float(value)) for c, value in pairs if sign * value > 0)

    return UnitEffects(
        named(effects.up[unit], effects.up_value[unit], 1),
        named(effects.down[unit], effects.down_value[unit], -1),
    )


EFFECTS = Technique(
    name="effects",
    title="Effects of units",
    search="ablation causal logit",
    reads=PICTURES,
    measure=measure,
    why_not=needs_pool,
)
