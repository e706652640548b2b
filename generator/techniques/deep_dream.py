"""Deep Dream: a picture changed to excite a layer."""

from __future__ import annotations

from generator.probes.deep_dream import Dream, dream, dream_layers
from generator.run import PICTURES, Run, Technique


def dreamt(run: Run) -> str:
    """The picture to dream from: a named one, or the first where pictures of units are made; "" for none."""
    if run.budget.dream is None:
        return run.inputs.images[0].id if run.budget.features else ""
    return run.budget.dream


def measure(run: Run) -> tuple[Dream, ...]:
    """The dreams of a few layers from one picture; none where none was asked for."""
    if not dreamt(run):
        return ()
    found, picture = [], run.seen[dreamt(run)]
    for layer in dream_layers(run.vision):
        found.append(dream(run.vision, picture, layer, seed=run.seed, store=run.store))
        run.step(f"{run.model.id}: dream of {layer.name}")
    return tuple(found)


DEEP_DREAM = Technique(
    name="deep_dream",
    title="Deep Dream",
    search="DeepDream inceptionism",
    reads=PICTURES,
    measure=measure,
)
