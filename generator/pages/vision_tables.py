"""Every number of a vision model's pages, as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from generator.findings import VisionFindings
from generator.pages.matching import match_rows, part_rows
from generator.pages.patch_tables import patch_tables
from generator.pages.sections import technique_tables
from generator.pages.unit_tables import exemplars_table, pool_table, units_table, wires_table
from generator.table import Table, filled


def vision_tables(found: VisionFindings) -> Iterator[Table]:
    """The tables that a model has. One that would be empty is left out."""
    yield Table("units.csv", partial(units_table, found))
    if found.searched is not None:
        yield Table("exemplars.csv", partial(exemplars_table, found))
        yield Table("wires.csv", partial(wires_table, found))
        yield Table("pool.csv", partial(pool_table, found))
    yield from patch_tables(found)
    yield from technique_tables(found.run)
    for name, header, rows in _others(found):
        yield from filled(name, header, rows)


def _others(found: VisionFindings) -> Iterator[tuple[str, Sequence[str], list[Sequence[Any]]]]:
    pairs = ("picture", "text", "cosine", "logit", "probability", "best")
    yield "matches.csv", pairs, match_rows(found)
    moved = ("picture", "text", "what", "row", "column", "draw", "parts", "drop")
    yield "match_patches.csv", moved, part_rows(found)
    control = ("what", "picture", "class", "trained", "random", "chance", *_SPREADS)
    yield "controls.csv", control, _controls(found)
    series = ("state", "accuracy", "judged", "layer", "unit", "picture", "response", "likeness")
    yield "checkpoints.csv", series, _checkpoints(found)
    course = ("state", "accuracy", "standard_error", "layer", "mean_likeness")
    yield "training.csv", course, _course(found)


_SPREADS = (
    *("shuffled", "shuffled_low", "shuffled_high"),
    *("trained_sd", "trained_interval", "trained_units"),
    *("random_sd", "random_interval", "random_units"),
)


def _controls(found: VisionFindings) -> list[Sequence[Any]]:
    controls = found.searched.controls if found.searched else None
    if controls is None:
        return []
    trained, random = controls.trained_purity, controls.random_purity
    spreads = [
        value for one in (trained, random) for value in (one.deviation, one.interval, one.units)
    ]
    values = (trained.mean, random.mean, controls.chance, *controls.floor, *spreads)
    purity = ("purity", "", "", *values)
    gaps = ("",) * len(_SPREADS)
    maps = [
        ("agreement", one.picture, one.label, 1, one.agreement, "", *gaps) for one in controls.maps
    ]
    return [purity, *maps]


def _checkpoints(found: VisionFindings) -> list[Sequence[Any]]:
    series = found.searched.checkpoints if found.searched else None
    if series is None:
        return []
    return [
        (
            label,
            state.accuracy,
            state.judged,
            layer.layer,
            int(unit),
            series.pool[int(layer.picture[row])],
            layer.value[row],
            layer.likeness[unit],
        )
        for label, state in zip(series.labels, series.states, strict=True)
        for layer in state.layers
        for row, unit in enumerate(layer.units)
    ]


def _course(found: VisionFindings) -> list[Sequence[Any]]:
    """How near each layer is to its final self at each state, over all of its units."""
    series = found.searched.checkpoints if found.searched else None
    if series is None:
        return []
    return [
        (label, state.accuracy, state.accuracy_error, layer.layer, layer.mean_likeness)
        for label, state in zip(series.labels, series.states, strict=True)
        for layer in state.layers
    ]
