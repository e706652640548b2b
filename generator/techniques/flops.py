"""What each layer costs to compute."""

from __future__ import annotations

from generator.formatting import number
from generator.probes.flops import Flops, measure_flops
from generator.run import PAIRS, PICTURES, TEXTS, Run, Technique


def measure(run: Run) -> Flops:
    """The floating-point operations of every layer, for one input."""
    return measure_flops(run.model, run.store)


def why_fewer(run: Run) -> str:
    """Why less than usual is made of a network by default, in a sentence; "" where all is made."""
    if run.share == 1:
        return ""
    billions = number(run[FLOPS].network / 1e9)
    return (
        f"One pass of this network takes {billions} billion operations: by default less of this is made than "
        "of a small one. The build’s option --full makes all."
    )


FLOPS = Technique(
    name="flops",
    title="Floating-point operations",
    search="flops multiply-adds cost",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
)
