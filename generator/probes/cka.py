"""How alike two layers are in what they make of the same inputs: linear centred kernel alignment, debiased.

CKA(K, L) = <U(K), U(L)> / (|U(K)| |U(L)|) for Gram matrices K, L of the two layers over the same n inputs
(Kornblith et al. 2019). U leaves the diagonal out and takes from each product its row's and column's sum over
n - 2, and adds that of all over (n - 1)(n - 2): the estimate of HSIC without bias (Song et al. 2012, eq. 5;
Szekely & Rizzo 2014). With the usual centring two unrelated layers of many units look alike, the more so with
fewer inputs (Murphy et al. 2024). It is 1 where one layer is the other turned, scaled or with its units in
another order, 0 on average where they have nothing in common, and says nothing of what a single unit does.
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
    """U(K) / |U(K)| in a row for each matrix, in float64."""
    rows = []
    for each in products:
        centred = u_centred(each)
        length = float(np.sqrt(np.square(centred).sum()))
        # Of a constant layer rounding leaves a little.
        known = length > 1e-9 * len(each) * max(1e-30, float(np.abs(each).max()))
        rows.append(centred.ravel() / length if known else np.full(centred.size, np.nan))
    return np.stack(rows)


def u_centred(products: np.ndarray) -> np.ndarray:
    """U(K) of a Gram matrix (n, n), with a diagonal of zeros, in float64; all zero of too few rows."""
    count = len(products)
    if count < LEAST // 2:
        return np.zeros((count, count))
    exact = products.astype(np.float64)
    np.fill_diagonal(exact, 0)
    sums, whole = exact.sum(0), float(exact.sum())
    centred = exact - (sums[:, None] + sums) / (count - 2) + whole / (count - 1) / (count - 2)
    np.fill_diagonal(centred, 0)
    return np.asarray(centred)


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
