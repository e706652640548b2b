"""Figures of a vision transformer: where a head looks in a picture, and its answer followed back."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from generator.errors import UsageError
from generator.figures.figure import Drawing, Figure, published
from generator.figures.panels import Panel, even_rows
from generator.figures.patches import Cut, laid_over
from generator.formatting import number, percent
from generator.models.patches import PatchGrid
from generator.models.stacks import PATCHES
from generator.probes.patch_attention import (
    UNIT,
    block_shape,
    measure_patch_maps,
    measure_patch_weights,
)
from generator.run import Run
from generator.techniques.measured_stack import stack_named
from generator.techniques.naming import Names, Numbers, listed, one_of
from generator.techniques.patch_maps import PATCH_MAPS, grid_of
from generator.techniques.patch_views import over_patches, rolled_blocks, token_name

_PLACE = re.compile(r"(\d{1,3})\.(\d{1,3})")
_SCALE = (
    "Colours go up to the largest weight of a map, but no weight is drawn more strongly than four times "
    "an even spread."
)


@dataclass(frozen=True)
class _Row:
    """What one token looks at: weights over patches (rows, columns), and on all other tokens together.

    `block` is the side of the squares of patches that they stand for; `marked` the square that looks.
    """

    who: str
    over: np.ndarray
    others: float
    block: int
    marked: tuple[int, int] | None = None

    @property
    def peak(self) -> tuple[int, int]:
        """Row and column of the largest weight."""
        row, column = np.unravel_index(int(self.over.argmax()), self.over.shape)
        return int(row), int(column)

    @property
    def best(self) -> str:
        """The same in words."""
        row, column = self.peak
        return f"row {row}, column {column} ({number(float(self.over[row, column]))})"


def patch_attention(
    run: Run, layer: int | str, head: int, image: str, queries: Names = ()
) -> Figure:
    """Where a head of a vision transformer looks in a picture: from the class token, or from patches.

    `queries` are tokens by name (class, distillation, "register 0", "average patch") or patches as
    row.column, counted from 0 at the top left.
    """
    heads = stack_named(run.model)
    block, column = heads.layer_named(layer), heads.head_numbered(head)
    grid, picture = grid_of(run), run.image(image)
    asked = queries or grid.readers[:1]
    rows = [_row(run, (block, column), image, one) for one in asked]
    seen = run.seen[image]
    name = heads.head(block, column)
    panels = [Panel(seen, picture.label)]
    for one in rows:
        cut = cut_of(grid, one.block)
        pixels = laid_over(seen, one.over, cut, one.over.size + len(grid.special), one.marked)
        panels.append(Panel(pixels, one.who, f"most on {one.best}"))
    outside = ", {} of its weight on tokens without a patch" if grid.special else ""
    said = "; ".join(
        f"the {one.who} looks most at {one.best}{outside.format(percent(one.others))}"
        for one in rows
    )
    squares = rows[0].block
    grain = (
        f" Weights are those of squares of {squares} × {squares} patches." if squares > 1 else ""
    )
    return published(
        "panels",
        {"rows": even_rows(panels, 4), "widest": 240.0},
        f"The picture of {picture.label}, and over it where {name} looks: {said}.",
        f"Where {name} of {run.model.title} looks in the picture of {picture.label}, cut into "
        f"{grid.rows} × {grid.columns} patches: {said}. Rows and columns are counted from 0 at the top "
        f"left; a frame marks the patch that looks.{grain} {_SCALE}",
    )


def _row(run: Run, place: tuple[int, int], image: str, query: str) -> _Row:
    network, grid, pixels = run.vision, grid_of(run), run.pixels[image]
    found = _PLACE.fullmatch(query.strip())
    known = dict.fromkeys((*grid.special, *grid.readers))
    name = query if found else one_of("token", query, known, f"{network.id} has no")
    if name in grid.readers:
        maps = measure_patch_maps(network, image, pixels, run.store)
        weights = maps.looks[place][grid.readers.index(name)]
        over = over_patches(weights, grid)
        return _Row(token_name(name), over, 1 - float(over.sum()), 1)
    kept = measure_patch_weights(network, image, pixels, run.store)
    shape, first = block_shape(grid, kept.block), len(grid.special)
    matrix = kept.units[place].astype(np.float64) / UNIT
    if found is None:
        weights, who, marked = matrix[grid.special.index(name)], token_name(name), None
    else:
        row, column = int(found[1]), int(found[2])
        if row >= shape[0] or column >= shape[1]:
            raise UsageError(
                f"the rows of {network.id} go from 0 to {shape[0] - 1} and its columns to "
                f"{shape[1] - 1}; there is no patch {query}."
            )
        weights = matrix[first + row * shape[1] + column]
        who, marked = f"patch in row {row}, column {column}", (row, column)
    over = weights[first:].reshape(shape)
    return _Row(who, over, float(weights[:first].sum()), kept.block, marked)


def patch_rollout(run: Run, image: str, layers: Numbers = (), token: str = "") -> Figure:
    """A vision transformer's answer followed back to the patches, block by block (attention rollout).

    Behind some blocks (`layers`), from the class token or another that the answer is read from
    (`token`); the last map is the control, the same network with random weights.
    """
    network, heads, grid = run.vision, stack_named(run.model), grid_of(run)
    reader = (
        one_of("token", token, grid.readers, f"no answer of {network.id} is read from a")
        if token
        else (grid.readers[0])
    )
    place, picture, pixels = grid.readers.index(reader), run.image(image), run.pixels
    followed = measure_patch_maps(network, image, pixels[image], run.store).rollout
    control = run.control[PATCH_MAPS][image].rollout[-1]
    chosen = [heads.layer_named(one) for one in layers] or list(rolled_blocks(len(followed)))
    maps = [over_patches(followed[block, place], grid) for block in chosen]
    maps.append(over_patches(control[place], grid))
    titles = [f"after block {block}" for block in chosen]
    titles.append(f"random weights, after block {len(followed) - 1}")
    seen, cut = run.seen[image], cut_of(grid)
    rows = [
        _Row(title, over, 1 - float(over.sum()), 1)
        for title, over in zip(titles, maps, strict=True)
    ]
    panels = [Panel(seen, picture.label)]
    panels += [
        Panel(laid_over(seen, one.over, cut, grid.tokens), one.who, f"most from {one.best}")
        for one in rows
    ]
    last = rows[-2]
    return published(
        "panels",
        {"rows": even_rows(panels, 4), "widest": 200.0},
        f"Attention rollout from the {token_name(reader)} over the picture of {picture.label} "
        f"{listed([one.who for one in rows[:-1]])}, and with random weights; {last.who} most comes from "
        f"{last.best}.",
        f"Attention rollout (Abnar & Zuidema 2020) of {run.model.title}: how much of each patch of the "
        f"picture of {picture.label} would be in the {token_name(reader)} if blocks did nothing but mix. "
        f"{last.who[:1].upper()}{last.who[1:]} most comes from {last.best}. The last map is the control. "
        f"{_SCALE}",
    )


def head_preview(run: Run, place: tuple[int, int], folder: str) -> Drawing:
    """Where a head (block, head) looks in the first picture, from the token that the answer is read from."""
    grid, image = grid_of(run), run.image(run.inputs.images[0].id).id
    looks = measure_patch_maps(run.vision, image, run.pixels[image], run.store).looks
    arguments = {
        "picture": run.seen[image],
        "weights": over_patches(looks[place][0], grid),
        "cut": cut_of(grid),
        "tokens": grid.tokens,
    }
    path = f"{folder}/{run.model.id}-{PATCHES.head(*place)}.webp"
    return Drawing("patch_preview", arguments, (path,))


def cut_of(grid: PatchGrid, block: int = 1) -> Cut:
    """Where a picture is cut into squares of `block` x `block` patches."""
    return Cut(_edges(grid.rows, block, grid.height), _edges(grid.columns, block, grid.width))


def _edges(count: int, block: int, size: int) -> tuple[int, ...]:
    """Pixels at which squares begin, and where the last one ends: it may be cut by the edge of the grid."""
    return (*(place * size for place in range(0, count, block)), count * size)
