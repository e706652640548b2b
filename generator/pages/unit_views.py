"""What a unit's page shows beside its exemplars: back in pixels, and its effect on classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Figure
from generator.figures.mosaic import CONTACT_COLUMNS
from generator.findings import VisionFindings
from generator.models.layer import Layer
from generator.pages.environment import Pages
from generator.probes.deconvolution import TILE
from generator.probes.exemplars import LayerExemplars


@dataclass(frozen=True)
class Tile:
    """One tile of a layer's sprite: its corner and side in the sprite's pixels."""

    sprite: Figure
    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Back:
    """A unit's best exemplar sent back to pixels, and where the response depends on the picture.

    `tiles` holds, for each rule, those of the exemplars that were sent back: the first, or all.
    `effective` is left, top, width and height in pixels of what the network saw. `strip` shows all
    exemplars under every rule, for a featured unit.
    """

    tiles: tuple[tuple[str, tuple[Tile, ...]], ...]
    responds: bool
    effective: tuple[int, int, int, int]
    strip: Figure | None


@dataclass(frozen=True)
class Effects:
    """Classes whose logit a unit raises and lowers most on its best picture, and by how much."""

    up: list[tuple[str, float]]
    down: list[tuple[str, float]]


def back(
    findings: VisionFindings, layer: Layer, exemplars: LayerExemplars, unit: int, pages: Pages
) -> Back | None:
    """None where no signal can be sent back through the network."""
    searched = findings.searched
    found = searched.deconvolutions.of(layer.name) if searched else None
    if searched is None or found is None:
        return None
    folder = f"models/{findings.model.id}/layers/{layer.name}"
    left, top, width, height = (int(edge) for edge in found.effective[unit])
    strip = f"{folder}/units/{unit}-rules.webp"
    return Back(
        tiles=(
            ("deconvolution", _tiles(f"{folder}/deconvolutions", found.tiles, layer, unit, pages)),
            (
                "guided backpropagation",
                _tiles(f"{folder}/guided", found.guided, layer, unit, pages),
            ),
        ),
        responds=exemplars.neuron[unit, 0] >= 0 and float(exemplars.neuron_value[unit, 0]) > 0,
        effective=(left, top, width, height),
        strip=pages.figure(strip, _strip_text(unit)) if pages.has(strip) else None,
    )


def _tiles(name: str, drawn: np.ndarray, layer: Layer, unit: int, pages: Pages) -> tuple[Tile, ...]:
    """One tile from the sprite of each rank; `drawn` is (units, ranks, ...)."""
    paths = [f"{name}-{rank}.webp" if rank else f"{name}.webp" for rank in range(drawn.shape[1])]
    return tuple(_tile(path, layer, unit, pages) for path in paths)


def _tile(path: str, layer: Layer, unit: int, pages: Pages) -> Tile:
    sprite = pages.figure(path, "")
    row, column = divmod(unit, CONTACT_COLUMNS)
    return Tile(sprite, column * TILE, row * TILE, TILE)


def _strip_text(unit: int) -> str:
    return (
        f"The exemplars of unit {unit} in a row; below each its deconvolution, guided backpropagation "
        "and plain gradient, around mid grey."
    )


def effects(findings: VisionFindings, layer: Layer, unit: int) -> Effects | None:
    """None where it was not measured."""
    found = findings.searched.effects_of(layer.name) if findings.searched else None
    if found is None or found.up[unit, 0] < 0:
        return None
    labels = findings.model.labels

    def named(classes: np.ndarray, values: np.ndarray, sign: int) -> list[tuple[str, float]]:
        pairs = zip(classes, values, strict=True)
        return [(labels[int(c)], float(value)) for c, value in pairs if sign * value > 0]

    return Effects(
        named(found.up[unit], found.up_value[unit], 1),
        named(found.down[unit], found.down_value[unit], -1),
    )
