"""One candidate for each thing that a pool shows, while the pool is searched chunk by chunk.

Pictures of one thing (crops of one photograph, views of one drawing) answer alike: nine of them among a
unit's exemplars would say no more than one. Of each thing only the strongest picture stands for a place. The
pictures of a thing come one after the other; a thing that a chunk breaks off is held until it is whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from generator.probes.ranking import Ranking, Standing, joined, ranked, stronger_first


@dataclass(frozen=True)
class Candidates:
    """Pictures that stand for a place, arrays (rows, units); what they mean is said in `ranking.Standing`."""

    picture: np.ndarray
    value: np.ndarray
    pre: np.ndarray
    place: np.ndarray

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        """The arrays, in the order of the fields."""
        return self.picture, self.value, self.pre, self.place

    def rows(self, chosen: slice | list[int]) -> Candidates:
        """Some of the rows."""
        return Candidates(*(column[chosen] for column in self.columns))

    def best(self) -> tuple[np.ndarray, ...]:
        """The columns of each unit's strongest row, the first of those that are alike; (units,)."""
        first = stronger_first(self.value.T, self.pre.T)[:, 0]
        return tuple(column[first, np.arange(len(first))] for column in self.columns)


class Exemplary:
    """The strongest pictures of every unit so far, one a thing. Pictures come in, whole things stand."""

    def __init__(self) -> None:
        self.things = 0
        self._standing: Standing | None = None
        self._held: Candidates | None = None
        self._name = ""

    def add(self, pictures: Candidates, names: Sequence[str]) -> None:
        """Add pictures with the names of their things; the last thing is held, as it may go on."""
        if self._held is not None:
            pairs = zip(self._held.columns, pictures.columns, strict=True)
            pictures = Candidates(*(np.concatenate(pair) for pair in pairs))
            names = [self._name, *names]
        starts = [n for n, name in enumerate(names) if n == 0 or name != names[n - 1]]
        found = pictures.rows(starts)
        for row, (start, stop) in enumerate(pairwise([*starts, len(names)])):
            if stop - start > 1:
                best = pictures.rows(slice(start, stop)).best()
                for column, values in zip(found.columns, best, strict=True):
                    column[row] = values
        self._stand(found.rows(slice(0, -1)))
        self._held, self._name = found.rows(slice(-1, None)), names[-1]

    def ranking(self) -> Ranking:
        """The ranking at the end of the pool."""
        assert self._held is not None, "the pool has no picture"
        self._stand(self._held)
        assert self._standing is not None
        return ranked(self._standing)

    def _stand(self, things: Candidates) -> None:
        if len(things.value):
            self.things += len(things.value)
            self._standing = joined(self._standing, *things.columns)


def in_order(names: Sequence[str]) -> list[int]:
    """An order of the pictures in which those of one thing are neighbours; else theirs is kept."""
    first: dict[str, int] = {}
    return sorted(range(len(names)), key=lambda n: first.setdefault(names[n], n))
