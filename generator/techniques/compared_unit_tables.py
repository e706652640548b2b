"""The tables of units of two models side by side: every unit, and every layer of units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from generator.comparison import sides
from generator.probes.unit_change import UnitChanges
from generator.run import Run
from generator.table import Content
from generator.techniques.compared_unit_rows import effect_ratios, unit_effect

_RANKS = ("rank", "rank_low", "rank_high")
_COLUMNS = (
    "ratio", "ratio_random", "shared", "shared_random",
    "correlation", "correlation_random", "mean_before", "mean_after", "mean_low", "mean_high",
    "mean_ratio",
)  # fmt: skip
_HEADER = (
    "layer",
    "unit",
    "counterpart",
    *_RANKS,
    *_COLUMNS,
    "effect_before",
    "effect_after",
    "effect_ratio",
)
_LAYERS = (
    "layer", "units", "inputs", "correlation_in_place", "correlation_matched", "matched_shuffled",
    "matched_to_itself", "another_order", "shared", "shared_random", "correlation",
    "correlation_random",
)  # fmt: skip


def every_unit(run: Run, found: UnitChanges) -> Content:
    """A row a unit: its counterpart, ranks, what changed, and what hangs on it in both."""
    return _HEADER, _rows(run, found)


def every_layer(found: UnitChanges) -> Content:
    """A row a layer: how its units were matched, and medians over them."""
    return _LAYERS, _layer_rows(found)


def middle(values: np.ndarray) -> float:
    """The median of what is defined."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _rows(run: Run, found: UnitChanges) -> Iterator[Sequence[object]]:
    hanging = effect_ratios(run)
    ranks, columns = ([getattr(found, one) for one in names] for names in (_RANKS, _COLUMNS))
    for row, (place, unit, partner) in enumerate(
        zip(found.place.tolist(), found.unit.tolist(), found.partner.tolist(), strict=True)
    ):
        layer = found.layers[place].layer
        effects = (
            unit_effect(side, layer, one).cell
            for side, one in zip(sides(run), (unit, partner), strict=True)
        )
        standing = (int(column[row]) for column in ranks)
        numbers = (_short(column[row]) for column in columns)
        moved = _short(hanging.get((layer, unit), np.nan)) if unit == partner else ""
        yield (layer, unit, partner, *standing, *numbers, *effects, moved)


def _short(value: float) -> str:
    """Four digits: this table has a row for every unit of a network."""
    return "" if np.isnan(value) else f"{float(value):.4g}"


def _layer_rows(found: UnitChanges) -> Iterator[Sequence[object]]:
    for place, one in enumerate(found.layers):
        rows = found.of(place)
        known = (one.in_place, one.matched, one.floor, one.own)
        columns = (
            found.shared, found.shared_random, found.correlation, found.correlation_random,
        )  # fmt: skip
        medians = (_short(middle(column[rows])) for column in columns)
        yield (
            one.layer,
            one.units,
            int(found.read[place]),
            *(_short(value) for value in known),
            int(one.reordered),
            *medians,
        )
