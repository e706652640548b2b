"""Which figures a vision transformer's attention is drawn as."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from generator.figures.figure import Drawing
from generator.findings import VisionFindings
from generator.models.patches import PatchGrid
from generator.plates.stacks import grids_drawing, scatter_drawing

ROLLED = 4  # blocks behind which the rollout is drawn


def patch_drawings(findings: VisionFindings) -> Iterator[Drawing]:
    """A sprite of all heads for each picture and reader, one of its rollouts, and the statistics."""
    found = findings.patches
    if found is None:
        return
    folder, grid = f"models/{findings.model.id}", found.attention.grid
    for number, (picture, maps) in enumerate(found.maps.items()):
        for place, reader in enumerate(grid.readers):
            looks = over_patches(maps.looks[:, :, place], grid)
            yield _sprite(folder, sprite_name(reader, picture), looks, grid)
        rolled = maps.rollout[list(rolled_blocks(len(maps.rollout)))]
        both = np.concatenate([rolled, found.control.rollout[number][None]])
        over = over_patches(both.transpose(1, 0, 2), grid)
        yield _sprite(folder, sprite_name("rollout", picture), over, grid)
    yield grids_drawing(found.stack)
    yield scatter_drawing(found.stack)


def _sprite(folder: str, name: str, maps: np.ndarray, grid: PatchGrid) -> Drawing:
    return Drawing("patch_sprite", {"maps": maps, "tokens": grid.tokens}, (f"{folder}/{name}",))


def sprite_name(what: str, picture: str) -> str:
    """The file of a sprite below its model's folder."""
    return f"patches/{what.replace(' ', '-')}-{picture}.webp"


def over_patches(weights: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """The weights (..., tokens) on patches, as maps (..., rows, columns)."""
    return weights[..., len(grid.special) :].reshape(*weights.shape[:-1], grid.rows, grid.columns)


def rolled_blocks(blocks: int) -> tuple[int, ...]:
    """The blocks behind which the rollout is drawn: evenly spread, the last one among them."""
    spread = np.linspace(0, blocks - 1, min(ROLLED, blocks)).round().astype(int)
    return tuple(sorted({int(block) for block in spread}))
