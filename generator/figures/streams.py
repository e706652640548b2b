"""The lines of a drawing of a network: rows below one another on one stream, and what skips rows beside it.

Each row begins with a gap above its box. In the gap of a row lines leave the stream for a lane, and lines
come back to it; what skips a row passes it in a lane. All that is drawn lies within a row, so that rows can
move apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

GAP = 10  # above the box of a row
LANE = 8  # from one lane to the next
_CURVE = 7


@dataclass(frozen=True)
class Lines:
    """The lines of one row: whether the stream enters its box and leaves it, and the lanes beside it.

    `leaving` lanes begin in the gap above it, `joining` ones end there, `passing` ones go by.
    """

    enters: bool
    leaves: bool
    leaving: tuple[int, ...]
    joining: tuple[int, ...]
    passing: tuple[int, ...]


def lines(reads: Sequence[Sequence[int]]) -> tuple[Lines, ...]:
    """The lines of every row, of the numbers of the rows that each reads; -1 is what enters the first.

    What a row makes has one lane for all rows further on that read it. Lanes are given to the shortest first,
    so that those nearest to the stream are short.
    """
    spans: dict[int, int] = {}
    for row, sources in enumerate(reads):
        for source in sources:
            if source < row - 1:
                spans[source] = max(spans.get(source, 0), row)
    taken: list[list[tuple[int, int]]] = []
    lanes: dict[int, int] = {}
    for source, last in sorted(spans.items(), key=lambda span: (span[1] - span[0], span[0])):
        reach = (source + 1, last)
        lane = next((n for n, used in enumerate(taken) if _free(used, reach)), len(taken))
        taken[lane:lane] = [[]] if lane == len(taken) else []
        taken[lane].append(reach)
        lanes[source] = lane
    return tuple(_row(row, reads, spans, lanes) for row in range(len(reads)))


def _free(used: Sequence[tuple[int, int]], reach: tuple[int, int]) -> bool:
    return all(reach[0] > last or reach[1] < first for first, last in used)


def _row(
    row: int, reads: Sequence[Sequence[int]], spans: Mapping[int, int], lanes: Mapping[int, int]
) -> Lines:
    # Of a source that several rows read, the lane goes on where the first of them joins.
    joining = tuple(lanes[one] for one in reads[row] if one < row - 1)
    leaving = (lanes[row - 1],) if row - 1 in lanes else ()
    passing = tuple(
        sorted(lanes[one] for one, last in spans.items() if one < row < last or one == row - 1)
    )
    follows = row + 1 < len(reads) and row in reads[row + 1]
    return Lines(row - 1 in reads[row], follows or row in lanes, leaving, joining, passing)


def lanes_of(rows: Sequence[Lines]) -> int:
    """How many lanes there are."""
    return max((lane + 1 for one in rows for lane in (*one.passing, *one.joining)), default=0)


def path(one: Lines, top: float, box: float, bottom: float, middle: float, left: float) -> str:
    """The lines of a row as the data of an SVG path.

    The row reaches from `top` to `bottom`, its box from GAP below `top`, `box` high. The stream is at
    `middle`, the lanes stand left of `left`.
    """
    begin, end = top + GAP, top + GAP + box
    found = [f"M{middle:g} {top:g}V{begin:g}"] if one.enters else []
    found += [f"M{middle:g} {end:g}V{bottom:g}"] if one.leaves and bottom > end else []
    for lane in one.leaving:
        x = left - LANE * (lane + 1)
        found.append(f"M{middle:g} {top:g}H{x + _CURVE:g}Q{x:g} {top:g} {x:g} {top + _CURVE:g}")
    for lane in one.joining:
        x, y = left - LANE * (lane + 1), begin - 3
        found.append(f"M{x:g} {top:g}Q{x:g} {y:g} {x + _CURVE:g} {y:g}H{middle:g}V{begin:g}")
    for lane in one.passing:
        x = left - LANE * (lane + 1)
        start = top + _CURVE if lane in one.leaving else top
        found.append(f"M{x:g} {start:g}V{bottom:g}")
    return "".join(found)


def through(one: Lines, top: float, bottom: float, left: float) -> str:
    """What passes a row in lanes, where it grows from `top` to `bottom`."""
    xs = (left - LANE * (lane + 1) for lane in one.passing)
    return "".join(f"M{x:g} {top:g}V{bottom:g}" for x in xs)
