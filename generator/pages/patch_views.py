"""What the pages of a vision transformer share: maps laid over pictures, and names of tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Figure
from generator.findings import PatchFindings, VisionFindings
from generator.formatting import number, percent
from generator.inputs.images import CuratedImage
from generator.models.patches import PatchGrid
from generator.pages.environment import Pages
from generator.plates.patches import over_patches, sprite_name


@dataclass(frozen=True)
class Overlay:
    """A map laid over a picture: the part of a sprite that shows it, in dots, and what it says.

    `wide` and `high` are the shares of the picture that the patches cover.
    """

    photo: Figure
    sprite: Figure
    left: int
    top: int
    columns: int
    rows: int
    wide: float
    high: float
    alt: str


def token_name(name: str) -> str:
    """A token that stands for no patch, in words."""
    return f"{name} token" if name in {"class", "distillation"} else name


def photo(findings: VisionFindings, image: CuratedImage, pages: Pages) -> Figure:
    """A curated picture as the network sees it."""
    return pages.figure(f"models/{findings.model.id}/pictures/{image.id}.webp", image.alt)


def overlay(
    findings: VisionFindings,
    image: CuratedImage,
    what: str,
    place: tuple[int, int],
    alt: str,
    pages: Pages,
) -> Overlay:
    """The map at a `place` (down, across) of the sprite of `what` on a picture."""
    grid, size = grid_of(findings), findings.model.preprocessing.size
    path = f"models/{findings.model.id}/{sprite_name(what, image.id)}"
    return Overlay(
        photo=photo(findings, image, pages),
        sprite=pages.figure(path, alt),
        left=place[1] * grid.columns,
        top=place[0] * grid.rows,
        columns=grid.columns,
        rows=grid.rows,
        wide=grid.columns * grid.width / size,
        high=grid.rows * grid.height / size,
        alt=alt,
    )


def patches_of(findings: VisionFindings) -> PatchFindings:
    """The attention of a model that has these pages."""
    assert findings.patches is not None
    return findings.patches


def grid_of(findings: VisionFindings) -> PatchGrid:
    """Its patches."""
    return patches_of(findings).attention.grid


@dataclass(frozen=True)
class Peak:
    """Where a map over patches is largest, how large, and the share of all weight that is on patches."""

    row: int
    column: int
    weight: float
    patches: float

    @property
    def words(self) -> str:
        """The same in words."""
        return (
            f"most on the patch in row {self.row}, column {self.column} ({number(self.weight)}), "
            f"{percent(self.patches)} on patches in all"
        )


def peak_of(weights: np.ndarray, grid: PatchGrid) -> Peak:
    """The peak of one token's weights (tokens)."""
    over = over_patches(weights, grid)
    row, column = (int(i) for i in np.unravel_index(int(over.argmax()), over.shape))
    return Peak(row, column, float(over[row, column]), float(over.sum()))
