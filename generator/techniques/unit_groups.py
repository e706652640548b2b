"""What units answer to: the group that their strongest pictures share, where that is no chance."""

from __future__ import annotations

from collections.abc import Mapping

from generator.models.layer import Layer
from generator.probes.exemplars import searched_units
from generator.probes.unit_groups import LayerGroups, unit_groups
from generator.run import PICTURES, Run, Technique
from generator.techniques.exemplars import exemplars_of, needs_pool


def measure(run: Run) -> Mapping[str, LayerGroups]:
    """The units of every layer whose exemplars were searched, tested, by its name."""
    pool = run.inputs.pool
    groups, subjects = [one.group for one in pool], [one.subject for one in pool]
    found = {}
    for units in searched_units(run.vision):
        exemplars = exemplars_of(run, units.layer.name)
        tested = exemplars and unit_groups(units.layer.name, exemplars.neuron, groups, subjects)
        if tested:
            found[units.layer.name] = tested
    return found


def groups_of(run: Run, layer: Layer) -> LayerGroups | None:
    """The tested units of a layer; None where nothing was tested."""
    return None if needs_pool(run) else run[UNIT_GROUPS].get(layer.name)


UNIT_GROUPS = Technique(
    name="unit_groups",
    title="What units answer to",
    search="selectivity class of units",
    reads=PICTURES,
    measure=measure,
    why_not=needs_pool,
)
