"""Controls: exemplars and evidence for classes beside those of the same network with random weights."""

from __future__ import annotations

from generator.probes.controls import Controls, measure_controls
from generator.run import PICTURES, Run, Technique
from generator.techniques.exemplars import EXEMPLARS, needs_pool


def measure(run: Run) -> Controls | None:
    """Exemplars of one layer and maps of evidence, trained and random; None without unit pages."""
    pool = run.inputs.pool
    groups, things = [one.group for one in pool], [one.subject for one in pool]
    return measure_controls(
        run.vision,
        run.pool_images,
        groups,
        run[EXEMPLARS],
        run.pixels,
        things,
        seed=run.seed,
        store=run.store,
        step=run.step,
    )


CONTROLS = Technique(
    name="controls",
    title="Controls",
    search="random weights sanity check",
    reads=PICTURES,
    measure=measure,
    why_not=needs_pool,
)
