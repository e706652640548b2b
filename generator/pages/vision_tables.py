"""Every number of a vision model's pages, as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from generator.findings import VisionFindings
from generator.pages.matching import match_rows, part_rows
from generator.pages.patch_tables import patch_tables
from generator.pages.sections import technique_tables
from generator.table import Table, filled


def vision_tables(found: VisionFindings) -> Iterator[Table]:
    """The tables that a model has. One that would be empty is left out."""
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
