"""Every unit of every layer in one table: how active it is, and what the pool says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from generator.models.layer import Layer
from generator.probes.effective_field import UNKNOWN
from generator.probes.exemplars import LayerExemplars
from generator.run import PICTURES, Run, Technique
from generator.table import Table
from generator.techniques.deconvolution import DECONVOLUTION
from generator.techniques.effects import effects_of
from generator.techniques.exemplars import exemplars_of, known
from generator.techniques.features import visualised
from generator.techniques.signal import SIGNAL
from generator.techniques.unit_groups import groups_of

_ACTIVE = ("layer", "unit", "active_share", "mean", "maximum", "minimum")
_POOL = ("pool_excited", "pool_pictures", "pool_maximum", "most_alike", "alike_r")
_BACK = ("effective_left", "effective_top", "effective_width", "effective_height")
_EFFECT = ("raises", "raises_by", "lowers", "lowers_by")
_TIES = ("pool_maximum_pre", "pool_tied", "pool_undecided")
_GROUP = ("group", "group_hits", "group_things", "group_expected", "group_p")
_ON_POOL = (*_POOL, *_BACK, *_EFFECT, "visualised_peak", *_TIES, *_GROUP)


def tables(run: Run) -> Iterator[Table]:
    """A row a unit; cells of what was not searched are empty."""
    yield Table("units.csv", lambda: ((*_ACTIVE, *_ON_POOL), _rows(run)))


def _rows(run: Run) -> Iterator[Sequence[Any]]:
    for layer in run.model.layers:
        signal, exemplars = run[SIGNAL].of(layer.name), exemplars_of(run, layer.name)
        columns = (signal.active, signal.mean, signal.maximum, signal.minimum)
        for unit, values in enumerate(zip(*columns, strict=True)):
            on_pool = ("",) * len(_ON_POOL)
            if exemplars is not None:
                on_pool = _on_pool(run, layer, exemplars, unit)
            yield (layer.name, unit, *values, *on_pool)


def _on_pool(run: Run, layer: Layer, exemplars: LayerExemplars, unit: int) -> tuple[Any, ...]:
    pool = (
        int(exemplars.excited[unit]),
        exemplars.pictures,
        exemplars.neuron_value[unit, 0],
        int(exemplars.alike[unit, 0]),
        exemplars.alike_value[unit, 0],
    )
    visualisation = visualised(run, layer.name, unit)
    tied = (
        known(exemplars.neuron_pre[unit, 0]),
        int(exemplars.neuron_tied[unit, 0]),
        int(exemplars.undecided[unit]),
    )
    peak = visualisation.peak if visualisation else ""
    box, effect = _deconvolution_box(run, layer, unit), _effect(run, layer, unit)
    return (*pool, *box, *effect, peak, *tied, *_group(run, layer, unit))


def _deconvolution_box(run: Run, layer: Layer, unit: int) -> tuple[Any, ...]:
    backs = run[DECONVOLUTION].of(layer.name)
    known = backs is not None and backs.effective[unit, 0] != UNKNOWN
    return tuple(int(edge) for edge in backs.effective[unit]) if backs and known else ("",) * 4


def _group(run: Run, layer: Layer, unit: int) -> tuple[Any, ...]:
    """The group that stands out among its strongest pictures, and whether by chance."""
    groups = groups_of(run, layer)
    if groups is None:
        return ("",) * len(_GROUP)
    counts = int(groups.hits[unit]), int(groups.things[unit])
    return (groups.name(unit), *counts, groups.expected[unit], groups.p[unit])


def _effect(run: Run, layer: Layer, unit: int) -> tuple[Any, ...]:
    effects = effects_of(run, layer, unit)
    if effects is None:
        return ("",) * 4
    up, down = (one[0] if one else ("", "") for one in (effects.up, effects.down))
    return (*up, *down)


UNITS = Technique(
    name="units",
    title="Units",
    search="channels neurons",
    reads=PICTURES,
    measure=SIGNAL.asked_of,
    tables=tables,
)
