"""The signal through the layers: how many activations are zero or near it, and how often units are active."""

from __future__ import annotations

from generator.probes.signal import Signal, measure_vision_signal
from generator.run import PICTURES, Run, Technique


def measure(run: Run) -> Signal:
    """The activity of every layer on the curated pictures."""
    return measure_vision_signal(run.vision, run.pixels, run.store)


SIGNAL = Technique(
    name="signal",
    title="Signal and sparsity",
    search="sparsity zeros activations histogram dead units",
    reads=PICTURES,
    measure=measure,
)
