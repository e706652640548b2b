"""Effects of units: what the logits lose where a unit is silenced."""

from __future__ import annotations

from generator.probes.effects import LayerEffects, measure_effects
from generator.run import PICTURES, Run, Technique
from generator.techniques.exemplars import EXEMPLARS, needs_pool
from generator.techniques.signal import SIGNAL


def measure(run: Run) -> tuple[LayerEffects, ...]:
    """The classes that each unit raises and lowers most on its best picture."""
    exemplars, signal = run[EXEMPLARS], run[SIGNAL]
    return measure_effects(run.vision, run.pool_images, exemplars, signal, run.store, run.step)


EFFECTS = Technique(
    name="effects",
    title="Effects of units",
    search="ablation causal logit",
    reads=PICTURES,
    measure=measure,
    why_not=needs_pool,
)
