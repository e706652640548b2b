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


def why_no_pictures(run: Run) -> str:
    """Why no unit of a large network is drawn, in sentences; "" where some are, or none was asked for."""
    stated = "features" in run.budget.model_fields_set
    if run.share == 1 or run.budget.features or stated:
        return ""
    return (
        f"{why_fewer(run)} No unit and no class is drawn by feature visualisation, unless a number of "
        "features is stated: --features, or features under make."
    )


FLOPS = Technique(
    name="flops",
    title="Floating-point operations",
    search="flops multiply-adds cost",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
)
