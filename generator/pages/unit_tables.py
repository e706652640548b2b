"""Every number of the unit pages, as CSV."""

from __future__ import annotations

from typing import Any

import numpy as np

from generator.findings import VisionFindings
from generator.models.layer import Layer
from generator.pages.csv_text import as_csv
from generator.pages.unit_views import effects
from generator.probes.exemplars import unit_layers
from generator.probes.wires import feeds, listens, strongest


def units_table(found: VisionFindings) -> str:
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
    return as_csv((*header, *_POOL, *_BACK, *_EFFECT, "visualised_peak"), rows)


_POOL = ("pool_excited", "pool_pictures", "pool_maximum", "most_alike", "alike_r")
_BACK = ("effective_left", "effective_top", "effective_width", "effective_height")
_EFFECT = ("raises", "raises_by", "lowers", "lowers_by")


def _on_pool(found: VisionFindings, layer: Layer) -> list[tuple[Any, ...]]:
    """What the pool says of each unit of a layer; empty cells where it was not searched."""
    exemplars = found.exemplars.of(layer.name) if found.exemplars else None
    if found.searched is None or exemplars is None:
        return [("",) * (len(_POOL) + len(_BACK) + len(_EFFECT) + 1)] * layer.units
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
        rows.append((*pool, *_back(found, layer, unit), *_effect(found, layer, unit), peak))
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


def exemplars_table(found: VisionFindings) -> str:
    """Every exemplar: the picture, the position of the neuron, the response."""
    rows: list[tuple[Any, ...]] = []
    for exemplars in found.exemplars.layers if found.exemplars else ():
        width = next(x.shape[-1] for x in found.model.layers if x.name == exemplars.layer)
        for unit, place in np.ndindex(exemplars.neuron.shape):
            picture = int(exemplars.neuron[unit, place])
            row, column = divmod(int(exemplars.place[unit, place]), width)
            response = exemplars.neuron_value[unit, place]
            shown = found.pool[picture].id
            rows.append((exemplars.layer, unit, "neuron", place + 1, shown, row, column, response))
        for unit, place in np.ndindex(exemplars.channel.shape):
            shown = found.pool[int(exemplars.channel[unit, place])].id
            response = exemplars.channel_value[unit, place]
            rows.append((exemplars.layer, unit, "channel", place + 1, shown, "", "", response))
    header = ("layer", "unit", "variant", "place", "picture", "row", "column", "response")
    return as_csv(header, [row for row in rows if row[4]])


def pool_table(found: VisionFindings) -> str:
    """The pictures that units are shown with: what each is, whose it is, and under which licence."""
    rows = [
        (one.id, one.label, one.group, one.licence, one.origin, one.sha256) for one in found.pool
    ]
    return as_csv(("picture", "label", "group", "licence", "origin", "sha256"), rows)


def wires_table(found: VisionFindings) -> str:
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
    return as_csv(("layer", "unit", "direction", "other_layer", "other_unit", "weight"), rows)
