"""Building blocks: what one layer says of each cell of a picture, and what that does to the classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from generator.probes.building_blocks import (
    BuildingBlocks,
    blocks_layer,
    measure_building_blocks,
)
from generator.probes.feature_visualisation import Visualised, visualise_features
from generator.probes.optvis.wants import want_direction
from generator.run import PICTURES, Run, Technique

PICTURES_TAKEN = 3  # where the exhibit names none


def measure(run: Run) -> Mapping[str, BuildingBlocks]:
    """Some curated pictures taken apart, by their ids."""
    layer, found = blocks_layer(run.vision), {}
    for name in run.budget.blocks or tuple(run.pixels)[:PICTURES_TAKEN]:
        found[name] = measure_building_blocks(run.vision, name, run.pixels[name], layer, run.store)
        run.step(f"{run.model.id}: building blocks of {name}")
    return found


def measure_groups(run: Run) -> Mapping[tuple[str, int], Visualised]:
    """A picture for each group of channels of the building blocks, by picture and group."""
    layer = blocks_layer(run.vision)
    if layer is None or not run.budget.features:
        return {}
    wants = {
        (picture, g): want_direction(run.vision, layer, weights, f"group-{picture}-{g}")
        for picture, found in run[BUILDING_BLOCKS].items()
        for g, weights in enumerate(found.groups.weights if found.groups else ())
    }
    # They are shown small.
    steps = max(1, round(160 * run.budget.steps))
    small = [replace(want, size=min(128, want.size), steps=steps) for want in wants.values()]
    made = visualise_features(run.vision, small, seed=run.seed, store=run.store, step=run.step)
    return dict(zip(wants, made, strict=True))


BUILDING_BLOCKS = Technique(
    name="building_blocks",
    title="Building blocks",
    search="NMF semantic dictionary groups of channels",
    reads=PICTURES,
    measure=measure,
)
GROUPS = Technique(
    name="groups",
    title="Groups of channels, visualised",
    search="NMF groups",
    reads=PICTURES,
    measure=measure_groups,
)
