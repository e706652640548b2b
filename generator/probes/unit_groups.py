"""Whether a unit answers to one group of the pool's pictures: the group of its strongest ones, tested.

Of the things that a unit's strongest pictures show, those of one group are counted, and held against a
draw without return from the things of the whole pool (hypergeometric). The best of all groups is chosen, and
all units of a layer are asked at once: p-values are held against both numbers (Bonferroni, Holm 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from generator.probes.significance import holm

LEVEL = 0.01  # the chance that any unit of a layer is said to answer to a group by chance


@dataclass(frozen=True)
class LayerGroups:
    """The group that stands out among the strongest pictures of each unit of a layer, arrays (units,).

    `group` is an index into `names`, `hits` of `things` are of it, `expected` would be by chance, and `p` is
    held against all groups and units: a unit answers to its group where that is at most LEVEL.
    """

    layer: str
    names: tuple[str, ...]
    group: np.ndarray
    hits: np.ndarray
    things: np.ndarray
    expected: np.ndarray
    p: np.ndarray

    @property
    def answers(self) -> np.ndarray:
        """Which units answer to their group, (units,)."""
        found: np.ndarray = self.p <= LEVEL
        return found

    def name(self, unit: int) -> str:
        """The group of a unit, whether it answers to it or not."""
        return self.names[int(self.group[unit])]


def unit_groups(
    layer: str, strongest: np.ndarray, groups: Sequence[str], subjects: Sequence[str]
) -> LayerGroups | None:
    """Test the units of a layer; `strongest` (units, pictures) are indices into the pool, -1 for none.

    Pictures of one subject are one thing. One without a group can be drawn, and is of none. None of a pool
    with fewer than two groups.
    """
    names = tuple(sorted(set(groups) - {""}))
    if len(names) < 2:
        return None
    _, first, thing = np.unique(np.asarray(subjects), return_index=True, return_inverse=True)
    of_thing = np.asarray(groups)[first][:, None] == np.array(names)
    size = of_thing.sum(0)
    drawn = [np.unique(thing[row[row >= 0]]) for row in strongest]
    hits = np.stack([of_thing[one].sum(0) for one in drawn])
    things = np.array([len(one) for one in drawn])
    chance = scipy.stats.hypergeom.sf(hits - 1, len(first), size, things[:, None])
    best = chance.argmin(1)
    rows = np.arange(len(hits))
    adjusted = np.minimum(chance[rows, best] * len(names), 1)
    return LayerGroups(
        layer=layer,
        names=names,
        group=best,
        hits=hits[rows, best],
        things=things,
        expected=things * size[best] / len(first),
        p=np.asarray(holm(adjusted.tolist())),
    )
