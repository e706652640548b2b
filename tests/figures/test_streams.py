"""The lines of a drawing of a network: nothing overlaps, nothing is lost."""

from __future__ import annotations

import random
import re

import pytest

from generator.figures.streams import lanes_of, lines, path


@pytest.mark.parametrize("seed", range(40))
def test_every_wire_is_drawn_and_no_two_share_a_lane(seed):
    drawn = random.Random(seed)
    count = drawn.randint(1, 14)
    reads = [sorted({drawn.randint(-1, row - 1) for _ in range(3)}) for row in range(count)]
    rows = lines(reads)
    lanes: dict[int, int] = {}  # lane: the row whose response it carries
    for row, one in enumerate(rows):
        assert one.enters == (row - 1 in reads[row])
        lanes |= dict.fromkeys(one.leaving, row - 1)
        assert sorted(lanes[lane] for lane in one.joining) == [n for n in reads[row] if n < row - 1]
        for lane in set(one.joining) - set(one.passing):
            del lanes[lane]  # free from the next row on
        assert sorted(lanes) == sorted(one.passing)
    assert not lanes
    assert lanes_of(rows) <= count


def test_a_chain_has_no_lanes_and_a_shortcut_has_one():
    assert lanes_of(lines([(-1,), (0,), (1,)])) == 0
    chain = lines([(-1,), (0,), (0, 1)])
    assert lanes_of(chain) == 1
    assert [one.leaving for one in chain] == [(), (0,), ()]
    assert [one.joining for one in chain] == [(), (), (0,)]


def test_what_nothing_is_known_to_enter_has_no_line():
    assert path(lines([()])[0], 0, 18, 28, 10, 0) == ""
    drawn = path(lines([(-1,), (0,)])[1], 0, 18, 28, 10, 0)
    assert re.fullmatch(r"M10 0V10", drawn)
