"""Names of units that were tested: the class that a unit selects, on inputs that were not used to choose it.

On every second input of each kind the class is chosen that the unit tells best from the rest, by the area
under the curve, AUROC: the probability that the unit answers more strongly to an input of the class than to
one of the others (Hanley & McNeil 1982; ties count half). On the other inputs that one class is tested: its
AUROC there has to exceed LEAST and what the best of all units and classes reaches when labels are permuted,
in all but ALPHA of the permutations (Westfall & Young 1993). Labels are permuted within blocks: of the inputs
themselves, or of the tokens of one passage, so that a unit that answers to code is not named after the
brackets that code is full of. A class needs FEWEST inputs in each half.

Whether such names mean that something was learned is another question: units of a network of random weights
are put to the same test (Heap et al. 2025).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

VERSION = 1
LEAST, ALPHA, PERMUTATIONS, FEWEST = 0.8, 0.05, 100, 5
SLAB = 4096  # units at a time: ranks of all would take eight times the memory of their values


@dataclass(frozen=True)
class Labels:
    """What inputs are. `classes` (inputs, classes) are 0 and 1, `half` says which inputs choose.

    `blocks` (inputs,) numbers what labels are permuted within.
    """

    names: tuple[str, ...]
    classes: np.ndarray
    half: np.ndarray
    blocks: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """The classes that have enough inputs, and enough others, in both halves."""
        sizes = [
            np.minimum(self.classes[half].sum(0), (~self.classes[half]).sum(0))
            for half in (self.half, ~self.half)
        ]
        return np.flatnonzero(np.minimum(*sizes) >= FEWEST)


@dataclass(frozen=True)
class Names:
    """The class of each unit of some layers, and how well it holds: (units,) a layer.

    `best` is an index into `names`, `chosen` its AUROC where it was chosen, `tested` where it was not; a unit
    has that name where `named`. `bar` is what the null exceeds in ALPHA of the permutations; `sizes` are how
    many inputs of each class were tested.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    inputs: int
    bar: float
    best: tuple[np.ndarray, ...]
    chosen: tuple[np.ndarray, ...]
    tested: tuple[np.ndarray, ...]
    reason: str = ""

    def named(self, layer: int) -> np.ndarray:
        """The units of a layer that have a name, strongest first."""
        held = self.tested[layer]
        order = np.argsort(-held, kind="stable")
        return order[held[order] > max(self.bar, LEAST)]

    @property
    def share(self) -> float:
        """The share of all units that have one."""
        units = sum(map(len, self.tested))
        return sum(len(self.named(layer)) for layer in range(len(self.tested))) / max(units, 1)


def name_units(values: Sequence[np.ndarray], labels: Labels, seed: int) -> Names:
    """Test the units of some layers, each (inputs, units)."""
    usable = labels.usable
    names = tuple(labels.names[one] for one in usable)
    if not len(usable):
        return Names(
            (), (), 0, float("nan"), (), (), (), "no class has enough inputs to be tested on."
        )
    classes = labels.classes[:, usable]
    choosing, testing = labels.half, ~labels.half
    shuffled = _permutations(labels.blocks[testing], seed)
    kept: tuple[list[np.ndarray], ...] = ([], [], [])
    null = np.zeros(PERMUTATIONS)
    for layer in values:
        of_layer = [
            _slab(layer[:, start : start + SLAB], classes, choosing, shuffled, null)
            for start in range(0, layer.shape[1], SLAB)
        ]
        for into, columns in zip(kept, zip(*of_layer, strict=True), strict=True):
            into.append(np.concatenate(columns))
    return Names(
        names,
        tuple(int(one) for one in classes[testing].sum(0)),
        int(testing.sum()),
        float(np.quantile(null, 1 - ALPHA, method="higher")),
        *map(tuple, kept),  # type: ignore[arg-type]
    )


def _slab(
    values: np.ndarray,
    classes: np.ndarray,
    choosing: np.ndarray,
    shuffled: np.ndarray,
    null: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best class, its AUROC in both halves; `null` is raised to the largest of each permutation."""
    every = auroc(values[choosing], classes[choosing])
    best = every.argmax(1)
    ranks, held = _ranks(values[~choosing]), classes[~choosing]
    tested = np.empty(len(best))
    for one in np.unique(best):  # of each unit only the class that it chose is asked
        units, labels = best == one, held[:, one]
        areas = _areas(ranks[:, units], np.vstack([labels, labels[shuffled]]).T)
        tested[units] = areas[:, 0]
        np.maximum(null, areas[:, 1:].max(0), out=null)
    return best, every[np.arange(len(best)), best], tested


def auroc(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """AUROC (units, classes) of values (inputs, units) for classes (inputs, classes); ties count half."""
    return _areas(_ranks(values), classes)


def _ranks(values: np.ndarray) -> np.ndarray:
    return scipy.stats.rankdata(values, axis=0).astype(np.float32)


def _areas(ranks: np.ndarray, classes: np.ndarray) -> np.ndarray:
    # Float32 holds sums of ranks of some thousand inputs to 1e-7 of them.
    within = classes.sum(0).astype(np.float64)
    sums = (ranks.T @ classes.astype(np.float32)).astype(np.float64)
    return (sums - within * (within + 1) / 2) / np.maximum(within * (len(classes) - within), 1)


def _permutations(blocks: np.ndarray, seed: int) -> np.ndarray:
    """Orders of inputs (PERMUTATIONS, inputs) that move each within its block."""
    random = np.random.default_rng(seed)
    home = np.argsort(blocks, kind="stable")
    found = np.empty((PERMUTATIONS, len(blocks)), dtype=np.int64)
    for row in found:
        row[home] = np.lexsort((random.random(len(blocks)), blocks))
    return found


def halves(kinds: Sequence[str]) -> np.ndarray:
    """Which inputs choose: of each kind the first, the third and so on."""
    seen: Counter[str] = Counter()
    found = []
    for kind in kinds:
        found.append(seen[kind] % 2 == 0)
        seen[kind] += 1
    return np.array(found, dtype=bool)


def one_hot(labels: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """The classes of labelled inputs in order, and which input is of which; "" is of none."""
    names = tuple(dict.fromkeys(label for label in labels if label))
    return names, np.array([[label == name for name in names] for label in labels], dtype=bool)
