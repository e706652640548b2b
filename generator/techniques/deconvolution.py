"""Deconvolution and guided backpropagation: what goes back to pixels from a unit's exemplars."""

from __future__ import annotations

from generator.probes.deconvolution import Deconvolutions, measure_deconvolution
from generator.run import PICTURES, Run, Technique
from generator.techniques.exemplars import EXEMPLARS, needs_pool
from generator.techniques.features import featured


def measure(run: Run) -> Deconvolutions:
    """The best exemplar of every unit sent back to pixels, and all exemplars of the featured ones."""
    return measure_deconvolution(
        run.vision,
        run.pool_images,
        run[EXEMPLARS],
        featured(run),
        full=run.full,
        store=run.store,
        step=run.step,
    )


DECONVOLUTION = Technique(
    name="deconvolution",
    title="Deconvolution",
    search="deconvolution guided backpropagation",
    reads=PICTURES,
    measure=measure,
    why_not=needs_pool,
)
