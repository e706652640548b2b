"""What each layer costs to compute."""

from __future__ import annotations

from generator.probes.flops import Flops, measure_flops
from generator.run import PAIRS, PICTURES, TEXTS, Run, Technique


def measure(run: Run) -> Flops:
    """The floating-point operations of every layer, for one input."""
    return measure_flops(run.model, run.store)


FLOPS = Technique(
    name="flops",
    title="Floating-point operations",
    search="flops multiply-adds cost",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
)
