"""How alike two layers are in what they make of the same inputs: linear centred kernel alignment.

CKA(K, L) = <HKH, HLH> / (|HKH| |HLH|) for Gram matrices K, L of the two layers over the same inputs and the
centring matrix H (Kornblith et al. 2019, eq. 3 and 5). It is 1 where one is the other turned, scaled or with
its units in another order, and says nothing of what a single unit does. With few inputs and many units it is
far above 0 by chance (Murphy et al. 2024), so that it has to be held against what a shuffled pairing gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generator.probes.representations import Representations

SHUFFLES = 10
LEAST = 8  # rows, below which nothing is said
DIGITS = 6  # that are kept, so that a network is exactly like itself


@dataclass(frozen=True)
class Alignment:
    """Linear CKA of the layers of two models on the same `rows` inputs.

    `every` is (layers before, layers after). `curves` (6, layers) are of the layers that have one name in
    both: on all inputs, on either half of them, with the rows of one shuffled (mean of several draws), and of
    each model with its own random twin. NaN where a layer answers all inputs alike.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    rows: int
    every: np.ndarray
    layers: tuple[str, ...]
    curves: np.ndarray

    @property
    def same(self) -> np.ndarray:
        """The likeness of layers of one name, on all inputs."""
        return np.asarray(self.curves[0])

    @property
    def random(self) -> np.ndarray:
        """The likeness of either model to its random twin, the larger one."""
        return np.asarray(np.nan_to_num(self.curves[4:]).max(0))

    @property
    def nearest(self) -> tuple[str, ...]:
        """For each of `layers` of the model before, the layer after that is most like it."""
        rows = (
            np.nan_to_num(self.every[self.before.index(name)], nan=-1.0) for name in self.layers
        )
        return tuple(self.after[int(row.argmax())] for row in rows)


def linear_cka(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> np.ndarray:
    """CKA of each of some Gram matrices (rows, rows) with each of others over the same rows.

    NaN for a layer that answers all of them alike.
    """
    return np.round(_normed(one) @ _normed(other).T, DIGITS)


def _normed(products: Sequence[np.ndarray]) -> np.ndarray:
    """HKH / |HKH| in a row for each matrix, in float64."""
    rows = []
    for each in products:
        exact = each.astype(np.float64)
        centred = exact - exact.mean(0) - exact.mean(1)[:, None] + exact.mean()
        length = float(np.sqrt(np.square(centred).sum()))
        # Of a constant layer rounding leaves a little.
        known = length > 1e-9 * len(each) * max(1e-30, float(np.abs(exact).max()))
        rows.append(centred.ravel() / length if known else np.full(centred.size, np.nan))
    return np.stack(rows)


def align(
    before: Representations,
    after: Representations,
    twins: tuple[Representations, Representations],
    seed: int,
) -> Alignment:
    """CKA of all layers of two models over the same rows; `twins` are the two with random weights."""
    shared = tuple(name for name in before.layers if name in after.layers)
    random = np.random.default_rng([seed, len(before.row)])
    orders = [random.permutation(len(before.row)) for _ in range(SHUFFLES)]

    def curve(one: Representations, other: Representations, *rows: np.ndarray) -> list[float]:
        """Layers of one name, on some rows of either."""
        own = [(_at(_of(one, name), rows[0]), _at(_of(other, name), rows[-1])) for name in shared]
        return [float(linear_cka([k], [m])[0, 0]) for k, m in own]

    every = np.arange(len(before.row))
    shuffled = [curve(before, after, every, order) for order in orders]
    curves = [
        curve(before, after, every),
        *(curve(before, after, np.flatnonzero(before.half == half)) for half in (0, 1)),
        np.mean(shuffled, axis=0),
        *(curve(one, twin, every) for one, twin in zip((before, after), twins, strict=True)),
    ]
    whole = linear_cka(before.products, after.products)
    both = before.layers, after.layers
    return Alignment(*both, len(every), whole, shared, np.array(curves).reshape(6, len(shared)))


def _of(found: Representations, layer: str) -> np.ndarray:
    return found.products[found.layers.index(layer)]


def _at(products: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return products[rows][:, rows]
