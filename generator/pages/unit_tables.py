"""Every number of the unit pages, as CSV."""

from __future__ import annotations

from typing import Any

import numpy as np

from generator.findings import VisionFindings
from generator.models.layer import Layer
from generator.pages.unit_views import effects
from generator.probes.exemplars import unit_layers
from generator.probes.wires import feeds, listens, strongest
from generator.table import Content


def units_table(found: VisionFindings) -> Content:
    """How active every unit of every layer is, and what the pool says of those that were searched."""
    rows = []
    for layer in found.model.layers:
        signal = found.signal.of(layer.name)
        columns = (signal.active, signal.mean, signal.maximum, signal.minimum)
        pool = _on_pool(found, layer)
        rows += [
            (layer.name, unit, *values, *pool[unit])
            for unit, values in enumerate(zip(*columns, strict=True))
        ]
    header = ("layer", "unit", "active_share", "mean", "maximum", "minimum")
    return (*header, *_POOL, *_BACK, *_EFFECT, "visualised_peak", *_TIES), rows


_POOL = ("pool_excited", "pool_pictures", "pool_maximum", "most_alike", "alike_r")
_BACK = ("effective_left", "effective_top", "effective_width", "effective_height")
_EFFECT = ("raises", "raises_by", "lowers", "lowers_by")
_TIES = ("pool_maximum_pre", "pool_tied", "pool_undecided")


def _on_pool(found: VisionFindings, layer: Layer) -> list[tuple[Any, ...]]:
    """What the pool says of each unit of a layer; empty cells where it was not searched."""
    exemplars = found.exemplars.of(layer.name) if found.exemplars else None
    if found.searched is None or exemplars is None:
        return [("",) * (len(_POOL) + len(_BACK) + len(_EFFECT) + 1 + len(_TIES))] * layer.units
    rows: list[tuple[Any, ...]] = []
    for unit in range(layer.units):
        pool = (
            int(exemplars.excited[unit]),
            exemplars.pictures,
            exemplars.neuron_value[unit, 0],
            int(exemplars.alike[unit, 0]),
            exemplars.alike_value[unit, 0],
        )
        made = found.feature(layer.name, unit)
        peak = made.peak if made else ""
        tied = (
            _known(exemplars.neuron_pre[unit, 0]),
            int(exemplars.neuron_tied[unit, 0]),
            int(exemplars.undecided[unit]),
        )
        shown = (*_back(found, layer, unit), *_effect(found, layer, unit), peak)
        rows.append((*pool, *shown, *tied))
    return rows


def _back(found: VisionFindings, layer: Layer, unit: int) -> tuple[Any, ...]:
    backs = found.searched.deconvolutions.of(layer.name) if found.searched else None
    return ("",) * 4 if backs is None else tuple(int(edge) for edge in backs.effective[unit])


def _effect(found: VisionFindings, layer: Layer, unit: int) -> tuple[Any, ...]:
    effect = effects(found, layer, unit)
    if effect is None:
        return ("",) * 4
    return (
        *(effect.up[0] if effect.up else ("", "")),
        *(effect.down[0] if effect.down else ("", "")),
    )


def exemplars_table(found: VisionFindings) -> Content:
    """Every exemplar: the picture, the position of the neuron, the response, and what it ties with.

    `response_pre` is the pre-activation that ranks pictures of one response, `tied` how many pictures of the
    pool have that response.
    """
    rows: list[tuple[Any, ...]] = []
    for one in found.exemplars.layers if found.exemplars else ():
        width = next(x.shape[-1] for x in found.model.layers if x.name == one.layer)
        for unit, rank in np.argwhere(one.neuron >= 0).tolist():
            position = divmod(int(one.place[unit, rank]), width)
            columns = (one.neuron, one.neuron_value, one.neuron_pre, one.neuron_tied)
            values = [column[unit, rank] for column in columns]
            rows.append((one.layer, unit, "neuron", rank + 1, *_exemplar(found, position, *values)))
        for unit, rank in np.argwhere(one.channel >= 0).tolist():
            columns = (one.channel, one.channel_value, one.channel_pre, one.channel_tied)
            values = [column[unit, rank] for column in columns]
            rows.append(
                (one.layer, unit, "channel", rank + 1, *_exemplar(found, ("", ""), *values))
            )
    header = ("layer", "unit", "variant", "place", "picture", "row", "column", "response")
    return (*header, "response_pre", "tied"), rows


def _exemplar(
    found: VisionFindings, position: tuple[Any, Any], picture: Any, value: Any, pre: Any, tied: Any
) -> tuple[Any, ...]:
    return found.pool[int(picture)].id, *position, value, _known(pre), int(tied)


def _known(value: Any) -> Any:
    """An empty cell for what a layer does not have."""
    return value if np.isfinite(value) else ""


def pool_table(found: VisionFindings) -> Content:
    """The pictures that units are shown with: what each is, whose it is, and under which licence."""
    rows = [
        (one.id, one.label, one.group, one.licence, one.origin, one.sha256) for one in found.pool
    ]
    return ("picture", "label", "group", "licence", "origin", "sha256"), rows


def wires_table(found: VisionFindings) -> Content:
    """The strongest weights of every unit that has a page."""
    rows: list[tuple[Any, ...]] = []
    for layer in unit_layers(found.model):
        for direction, wires in (
            ("listens", listens(found.model, layer)),
            ("feeds", feeds(found.model, layer)),
        ):
            if wires is None:
                continue
            for unit in range(layer.units):
                for other in [
                    *strongest(wires.weights[unit])[0],
                    *strongest(wires.weights[unit])[1],
                ]:
                    weight = wires.weights[unit, other]
                    rows.append((layer.name, unit, direction, wires.layer, other, weight))
    return ("layer", "unit", "direction", "other_layer", "other_unit", "weight"), rows
