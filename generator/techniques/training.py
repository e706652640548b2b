"""Through training: the same units at several states of training."""

from __future__ import annotations

from generator.probes.checkpoints import CheckpointSeries, measure_checkpoints
from generator.run import PICTURES, Run, Technique
from generator.techniques.exemplars import needs_pool


def why_not(run: Run) -> str:
    """States of training and a pool are needed."""
    return needs_pool(run) or (
        "" if run.checkpoints else "the exhibit names no states of its training."
    )


def measure(run: Run) -> CheckpointSeries:
    """Exemplars, accuracy and likeness to the final units at every state."""
    return measure_checkpoints(
        run.vision,
        run.checkpoints,
        run.pool_images,
        labels=[one.group for one in run.inputs.pool],
        seed=run.seed,
        store=run.store,
        step=run.step,
    )


TRAINING = Technique(
    name="training",
    title="Through training",
    search="checkpoints epochs",
    reads=PICTURES,
    measure=measure,
    why_not=why_not,
)
