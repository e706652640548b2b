"""Every number of the pages on attention over patches, as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from generator.findings import PatchFindings, VisionFindings
from generator.pages.patch_views import BY_STATISTIC, order_heads, peak_of
from generator.plates.patches import rolled_blocks
from generator.table import Content, Table

TABLES = ("heads.csv", "heads_by_picture.csv", "statistics.csv", "looks.csv", "rollout.csv")


def patch_tables(findings: VisionFindings) -> Iterator[Table]:
    """The tables on heads; none for a network without attention over patches."""
    found = findings.patches
    if found is None:
        return
    contents = (_heads, _by_picture, _statistics, _looks, _rollout)
    for name, content in zip(TABLES, contents, strict=True):
        yield Table(name, partial(content, found))


def _each(found: PatchFindings) -> Iterator[tuple[str, int, int]]:
    """Name and number of the block, and head, of every head."""
    for block, name in enumerate(found.attention.blocks):
        for head in range(found.attention.heads):
            yield name, block, head


def _heads(found: PatchFindings) -> Content:
    header = ["layer", "block", "head", "kv_group"]
    for statistic in found.statistics:
        header += [f"{statistic.name}{end}" for end in ("", "_sd", "_rank", "_percentile")]
    order = order_heads(found)
    rows: list[Sequence[Any]] = []
    for name, block, head in _each(found):
        row: list[Any] = [name, block, head, head]
        for statistic in found.statistics:
            row += [statistic.mean[block, head], statistic.spread[block, head]]
            row.append(int(order.ranks[statistic.name][block, head]))
            row.append(order.percentiles[statistic.name][block, head])
        rows.append(row)
    return header, rows


def _by_picture(found: PatchFindings) -> Content:
    header = ("layer", "block", "head", "picture", *(one.name for one in found.statistics))
    rows = [
        (name, block, head, picture, *(one.values[n, block, head] for one in found.statistics))
        for n, picture in enumerate(found.maps)
        for name, block, head in _each(found)
    ]
    return header, rows


def _statistics(found: PatchFindings) -> Content:
    """What each column of heads.csv means, and its controls: an even spread, and random weights."""
    header = (
        "statistic", "definition", "source", "probe", "probes", "uniform_attention",
        "random_twin_mean", "random_twin_highest",
    )  # fmt: skip
    control = found.control.control
    rows: list[Sequence[Any]] = []
    for one in found.statistics:
        said = BY_STATISTIC[one.name]
        twin = control.mean(one.name), control.highest(one.name)
        rows.append(
            (one.name, said.formula, said.source, said.probe, one.probes, one.uniform, *twin)
        )
    return header, rows


_PEAK = ("on_patches", "strongest_row", "strongest_column", "strongest")


def _looks(found: PatchFindings) -> Content:
    """Where the tokens that the answer is read from look most, in each head and picture."""
    header = ("layer", "block", "head", "picture", "token", *_PEAK)
    rows = [
        (name, block, head, picture, reader, *_peak(found, maps.looks[block, head, place]))
        for picture, maps in found.maps.items()
        for name, block, head in _each(found)
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
