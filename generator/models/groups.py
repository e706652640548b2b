"""How many groups of keys and values the heads of a layer share, as seen where keys meet queries."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from generator.models.meetings import Meeting


def shared_groups(meetings: Sequence[Meeting]) -> int:
    """The number of groups, the same in every layer; the number of heads where none are shared.

    Heads of a group stand in a row and are given the same keys and the same values (Ainslie et al. 2023).
    Where heads are alike in any other way, each counts as one with keys and values of its own.
    """
    heads = len(meetings[0].query)
    counts = {_groups(one) for one in meetings}
    return counts.pop() if len(counts) == 1 else heads


def _groups(one: Meeting) -> int:
    heads = len(one.query)
    alike = [_given_the_same(one, head - 1, head) for head in range(1, heads)]
    groups = heads - sum(alike)
    if heads % groups:
        return heads
    size = heads // groups
    in_rows = [head % size != 0 for head in range(1, heads)]
    return groups if alike == in_rows else heads


def _given_the_same(one: Meeting, first: int, second: int) -> bool:
    return _same(one.key, first, second) and _same(one.value, first, second)


def _same(parts: Tensor, first: int, second: int) -> bool:
    """Whether two heads' vectors are the same numbers; zeros say nothing."""
    return bool(parts[first].any()) and bool((parts[first] == parts[second]).all())
