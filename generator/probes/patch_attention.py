"""Where the heads of a vision transformer look in a picture, and what each head is, in numbers.

Weights A[query, key] over all tokens, rows summing to 1. Entropy after Clark et al. 2019, mean distance
in two dimensions after Dosovitskiy et al. 2021, rollout after Abnar & Zuidema 2020, the weight on
registers after Darcet et al. 2024. A head has no position to look back to, so that what is said of the
heads of texts (previous token, induction) is not defined here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from generator.models.model import VisionModel
from generator.models.patches import AVERAGE, PatchGrid, VisionAttention
from generator.models.stacks import PATCHES
from generator.probes.head_statistic import Scene
from generator.probes.head_statistics import versions_of
from generator.probes.heads import Statistic, uniform_attention
from generator.probes.likeness import Likeness, nearest_heads, row_correlation
from generator.probes.norms import rolled
from generator.probes.stack_statistics import values_on
from generator.store import Store, digest_of_value

VERSION = 1
UNIT = 10_000  # weights are kept as whole ten-thousandths
SIDE = 16  # a grid with longer sides is kept in blocks of patches


@dataclass(frozen=True)
class PatchMaps:
    """Attention of every head on one picture, as seen from the tokens that the answer is read from.

    `looks` is (blocks, heads, readers, tokens), `rollout` (blocks, readers, tokens), both float32 with
    rows that sum to 1, the readers in the order of `PatchGrid.readers`. `values` holds each statistic of
    all heads, (blocks, heads).
    """

    picture: str
    looks: np.ndarray
    rollout: np.ndarray
    values: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class PatchWeights:
    """All weights of all heads on one picture: ten-thousandths, uint16 (blocks, heads, queries, keys).

    The special tokens come first, then squares of `block` x `block` patches, row by row: the mean over a
    square's queries of the sum over a square's keys.
    """

    picture: str
    block: int
    units: np.ndarray


def measure_patch_maps(
    model: VisionModel, picture: str, pixels: np.ndarray, store: Store
) -> PatchMaps:
    """Run one picture (3, H, W) through a vision transformer whose attention is known."""
    parts = {**_depends_on(model, pixels), "picture": picture, "statistics": versions_of(PATCHES)}
    return store.result(
        "patch_maps", VERSION, parts, PatchMaps, lambda: _maps(model, picture, pixels)
    )


def measure_patch_weights(
    model: VisionModel, picture: str, pixels: np.ndarray, store: Store
) -> PatchWeights:
    """All weights on one picture (3, H, W), in blocks of patches where there are very many."""

    def make() -> PatchWeights:
        grid = _attention(model).grid
        block = -(-max(grid.rows, grid.columns) // SIDE)
        found: list[np.ndarray] = []

        def take(_block: int, weights: Tensor) -> None:
            small = in_blocks(weights.float().cpu().numpy(), grid, block)
            found.append(np.rint(small * UNIT).astype(np.uint16))

        model.attend(pixels, take)
        return PatchWeights(picture, block, np.stack(found))

    parts = {**_depends_on(model, pixels), "picture": picture, "side": SIDE}
    return store.result("patch_weights", VERSION, parts, PatchWeights, make)


def alike_patch_heads(
    model: VisionModel, pixels: Mapping[str, np.ndarray], store: Store
) -> Likeness:
    """For each head the others with the most similar weights, between squares of patches, on all pictures."""

    def make() -> Likeness:
        attention = _attention(model)
        kept = [measure_patch_weights(model, name, each, store) for name, each in pixels.items()]
        heads = len(attention.blocks) * attention.heads
        maps = np.concatenate([one.units.reshape(heads, -1) for one in kept], axis=1) / UNIT
        return nearest_heads(row_correlation(maps), len(attention.blocks), attention.heads)

    parts = {
        "model": model.key,
        "pixels": {name: digest_of_value(each) for name, each in pixels.items()},
        "side": SIDE,
    }
    return store.result("patch_likeness", VERSION, parts, Likeness, make)


def patch_statistics(maps: Sequence[PatchMaps], grid: PatchGrid) -> tuple[Statistic, ...]:
    """Each statistic of all heads over the pictures, with that of an even spread as its control."""
    even = values_on(PATCHES, uniform_attention(grid.tokens, causal=False), Scene(grid=grid))
    return tuple(
        Statistic(
            name,
            np.stack([one.values[name] for one in maps]),
            np.full(len(maps), float(even[name])),
        )
        for name in maps[0].values
    )


def _attention(model: VisionModel) -> VisionAttention:
    assert model.attention is not None
    return model.attention


def _depends_on(model: VisionModel, pixels: np.ndarray) -> dict[str, object]:
    return {"model": model.key, "pixels": digest_of_value(pixels)}


def _maps(model: VisionModel, picture: str, pixels: np.ndarray) -> PatchMaps:
    grid = _attention(model).grid
    looks, rollouts, values = [], [], []
    mixed = np.eye(grid.tokens)

    def take(_block: int, live: Tensor) -> None:
        nonlocal mixed
        weights = live.float().cpu().numpy()
        mixed = rolled(weights, mixed)
        looks.append(of_readers(weights, grid))
        rollouts.append(of_readers(mixed, grid).astype(np.float32))
        values.append(values_on(PATCHES, weights, Scene(grid=grid)))

    model.attend(pixels, take)
    found = {name: np.stack([one[name] for one in values]) for name in values[0]}
    return PatchMaps(picture, np.stack(looks), np.stack(rollouts), found)


def of_readers(weights: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """The rows of the tokens that the answer is read from: (..., readers, tokens)."""
    rows = [
        weights[..., len(grid.special) :, :].mean(-2)
        if name == AVERAGE
        else weights[..., grid.special.index(name), :]
        for name in grid.readers
    ]
    return np.stack(rows, axis=-2)


def in_blocks(weights: np.ndarray, grid: PatchGrid, block: int) -> np.ndarray:
    """Weights (..., tokens, tokens) between special tokens and squares of patches; rows sum to 1 still."""
    if block == 1:
        return weights
    keys = _squares(grid, block)
    queries = keys / keys.sum(0)
    return np.asarray(queries.T @ weights @ keys)


def block_shape(grid: PatchGrid, block: int) -> tuple[int, int]:
    """How many squares of `block` x `block` patches there are, down and across."""
    return -(-grid.rows // block), -(-grid.columns // block)


def _squares(grid: PatchGrid, block: int) -> np.ndarray:
    """Which square a token belongs to, float64 (tokens, special tokens + squares) of zeros and ones."""
    first = len(grid.special)
    row, column = np.divmod(np.arange(grid.patches), grid.columns)
    rows, columns = block_shape(grid, block)
    found = np.zeros((grid.tokens, first + rows * columns))
    found[np.arange(first), np.arange(first)] = 1
    found[first + np.arange(grid.patches), first + row // block * columns + column // block] = 1
    return found
