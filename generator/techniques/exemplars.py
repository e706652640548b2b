"""Exemplars: the pictures of the pool that excite each unit most."""

from __future__ import annotations

from generator.probes.exemplars import Exemplars, find_exemplars
from generator.run import PICTURES, Run, Technique


def needs_pool(run: Run) -> str:
    """Why what is searched in a pool does not apply; "" where there is one."""
    return "" if run.inputs.pool else "the exhibit names no pool of pictures."


def measure(run: Run) -> Exemplars:
    """The strongest pictures of every unit of the layers that have unit pages."""
    return find_exemplars(run.vision, run.pool_images, run.store, run.step)


EXEMPLARS = Technique(
    name="exemplars",
    title="Exemplars and responses",
    search="maximally activating images top pictures units",
    reads=PICTURES,
    measure=measure,
    why_not=needs_pool,
)
