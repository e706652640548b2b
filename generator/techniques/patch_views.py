"""Maps over patches as pages show them: sprites of all heads, laid over pictures, and names of tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Drawing, Figure
from generator.formatting import number, percent
from generator.inputs.images import CuratedImage
from generator.models.patches import PatchGrid
from generator.probes.head_statistic import ablation_column
from generator.run import Run
from generator.techniques.first_view import best_place, far_from_even
from generator.techniques.measured_stack import MeasuredStack
from generator.techniques.naming import evenly
from generator.techniques.patch_maps import PATCH_MAPS, grid_of
from generator.techniques.pictures import photograph

ROLLED = 4  # blocks behind which the rollout is drawn


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


@dataclass(frozen=True)
class Peak:
    """Where a map over patches is largest, how large, and the share of all weight that is on patches."""

    row: int
    column: int
    weight: float
    patches: float

    @property
    def cells(self) -> tuple[float, int, int, float]:
        """The same in the columns of tables."""
        return self.patches, self.row, self.column, self.weight

    @property
    def words(self) -> str:
        """The same in words."""
        return (
            f"most on the patch in row {self.row}, column {self.column} ({number(self.weight)}), "
            f"{percent(self.patches)} on patches in all"
        )


def cut_words(grid: PatchGrid, blocks: int, heads: int) -> str:
    """How a network cuts a picture, in sentences."""
    cut = (
        f"{blocks} blocks with {heads} heads each. The picture is cut into "
        f"{grid.rows} × {grid.columns} patches of {grid.height} × {grid.width} px; each is a token."
    )
    if not grid.special:
        return cut
    count = len(grid.special)
    more = f"{count} more tokens stand" if count > 1 else "One more token stands"
    return f"{cut} {more} for no patch: {', '.join(grid.special)}."


def silenced_words(stack: MeasuredStack) -> str:
    """On which pictures heads were silenced, and how many of the random twin's, where not all."""
    count = len(stack.ablation.inputs)
    if stack.ablation.reason or count == len(stack.inputs):
        return ""
    first = f"the first {count} of the pictures" if count > 1 else "the first picture"
    values = stack.control.values.get(ablation_column(stack.measure), np.zeros(0))
    asked = int(np.isfinite(values).sum())
    drawn = f", of the random twin {asked} that were drawn at random" if asked < values.size else ""
    return f"Heads were silenced on {first}{drawn}."


def peak_of(weights: np.ndarray, grid: PatchGrid) -> Peak:
    """The peak of one token's weights (tokens)."""
    over = over_patches(weights, grid)
    row, column = (int(i) for i in np.unravel_index(int(over.argmax()), over.shape))
    return Peak(row, column, float(over[row, column]), float(over.sum()))


def telling_picture(run: Run, block: int, head: int) -> str:
    """The picture on which a head's attention to patches is furthest from even, the first of equal ones."""
    grid, images = grid_of(run), [image.id for image in run.inputs.images]
    rows = np.stack([run[PATCH_MAPS][image].looks[block, head, 0] for image in images])
    return images[best_place(far_from_even(rows[:, len(grid.special) :], 1 / rows.shape[-1]))]


def token_name(name: str) -> str:
    """A token that stands for no patch, in words."""
    return f"{name} token" if name in {"class", "distillation"} else name


def over_patches(weights: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """The weights (..., tokens) on patches, as maps (..., rows, columns)."""
    return weights[..., len(grid.special) :].reshape(*weights.shape[:-1], grid.rows, grid.columns)


def rolled_blocks(blocks: int) -> tuple[int, ...]:
    """The blocks behind which the rollout is drawn: evenly spread, the last one among them."""
    return tuple(evenly(blocks, ROLLED))


def looks_sprite(run: Run, image: str, reader: str) -> Drawing:
    """Where a token looks in every head: blocks downwards, heads to the right."""
    maps = run[PATCH_MAPS][image].looks[:, :, grid_of(run).readers.index(reader)]
    return run.once(("looks", image, reader), lambda: _sprite(run, reader, image, maps))


def rolled(run: Run, image: str) -> np.ndarray:
    """Rollouts (readers, blocks, tokens) behind a few blocks, and that of random weights behind the last."""
    maps, control = (found[PATCH_MAPS][image].rollout for found in (run, run.control))
    both = np.concatenate([maps[list(rolled_blocks(len(maps)))], control[-1:]])
    return both.transpose(1, 0, 2)


def rollout_sprite(run: Run, image: str) -> Drawing:
    """The rollouts on a picture: tokens downwards, blocks to the right."""
    return run.once(("rolled", image), lambda: _sprite(run, "rollout", image, rolled(run, image)))


def _sprite(run: Run, what: str, image: str, maps: np.ndarray) -> Drawing:
    grid = grid_of(run)
    arguments = {"maps": over_patches(maps, grid), "tokens": grid.tokens}
    path = f"{run.folder}/patches/{what.replace(' ', '-')}-{image}.webp"
    return Drawing("patch_sprite", arguments, (path,))


def overlay(
    run: Run, image: CuratedImage, sprite: Drawing, place: tuple[int, int], alt: str
) -> Overlay:
    """The map at a `place` (down, across) of a sprite, over its picture."""
    grid, size = grid_of(run), run.vision.preprocessing.size
    return Overlay(
        photo=photograph(run, image),
        sprite=Figure(sprite, alt),
        left=place[1] * grid.columns,
        top=place[0] * grid.rows,
        columns=grid.columns,
        rows=grid.rows,
        wide=grid.columns * grid.width / size,
        high=grid.rows * grid.height / size,
        alt=alt,
    )
