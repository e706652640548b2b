"""The tables of attention over patches: where heads look in each picture, and the rollout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from generator.findings import PatchFindings, VisionFindings
from generator.pages.patch_views import peak_of
from generator.pages.stack_tables import stack_table_names, stack_tables
from generator.plates.patches import rolled_blocks
from generator.table import Content, Table


def patch_table_names(findings: VisionFindings) -> tuple[str, ...]:
    """The tables on the heads of a model."""
    return (
        *stack_table_names(findings.stacks),
        *(("looks.csv", "rollout.csv") if findings.stacks else ()),
    )


def patch_tables(findings: VisionFindings) -> Iterator[Table]:
    """The tables on heads; none for a network without attention over patches."""
    yield from stack_tables(findings.stacks)
    if findings.patches is not None:
        yield Table("looks.csv", partial(_looks, findings.patches))
        yield Table("rollout.csv", partial(_rollout, findings.patches))


_PEAK = ("on_patches", "strongest_row", "strongest_column", "strongest")


def _looks(found: PatchFindings) -> Content:
    """Where the tokens that the answer is read from look most, in each head and picture."""
    header = ("layer", "block", "head", "picture", "token", *_PEAK)
    names = found.attention.blocks
    rows = [
        (names[block], block, head, picture, reader, *_peak(found, maps.looks[block, head, place]))
        for picture, maps in found.maps.items()
        for block, head in found.stack.places
        for place, reader in enumerate(found.attention.grid.readers)
    ]
    return header, rows


def _rollout(found: PatchFindings) -> Content:
    """The rollouts that are drawn, with that of the random twin behind the last block."""
    header = ("weights", "layer", "block", "picture", "token", *_PEAK)
    rows: list[Sequence[Any]] = []
    names, last = found.attention.blocks, len(found.attention.blocks) - 1
    for number, (picture, maps) in enumerate(found.maps.items()):
        drawn = [("trained", block, maps.rollout[block]) for block in rolled_blocks(last + 1)]
        drawn.append(("random", last, found.control.rollout[number]))
        for weights, block, rolled in drawn:
            for place, reader in enumerate(found.attention.grid.readers):
                where = (weights, names[block], block, picture, reader)
                rows.append((*where, *_peak(found, rolled[place])))
    return header, rows


def _peak(found: PatchFindings, weights: np.ndarray) -> tuple[float, int, int, float]:
    peak = peak_of(weights, found.attention.grid)
    return peak.patches, peak.row, peak.column, peak.weight
