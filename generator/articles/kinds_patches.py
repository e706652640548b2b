"""Figures of a vision transformer: where a head looks in a picture, and its answer followed back."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from generator.articles.catalogue import Catalogue
from generator.articles.named_heads import NamedHeads, named_heads
from generator.errors import UsageError
from generator.figures.figure import Drawing, Figure, published
from generator.figures.patches import Cut, laid_over
from generator.figures.publication.panels import Panel
from generator.formatting import number, percent
from generator.models.patches import PatchGrid, VisionAttention
from generator.models.stacks import PATCHES
from generator.pages.patch_views import token_name
from generator.plates.patches import over_patches, rolled_blocks
from generator.probes.patch_attention import (
    UNIT,
    block_shape,
    measure_patch_control,
    measure_patch_maps,
    measure_patch_weights,
)
from generator.techniques.naming import Names, Numbers, listed, one_of

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
    catalogue: Catalogue, model: str, layer: int | str, head: int, image: str, queries: Names = ()
) -> Figure:
    """Where a head of a vision transformer looks in a picture: from the class token, or from patches.

    `queries` are tokens by name (class, distillation, "register 0", "average patch") or patches as
    row.column, counted from 0 at the top left.
    """
    catalogue.vision(model)
    heads = named_heads(catalogue, model)
    block, column = heads.layer(layer), heads.head(head)
    attention = _attention(catalogue, model)
    grid, picture = attention.grid, catalogue.image(model, image)
    asked = queries or grid.readers[:1]
    rows = [_row(catalogue, heads, (block, column), image, one) for one in asked]
    seen = catalogue.seen(model, image)
    name = heads.name(block, column)
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
        {"rows": _in_rows(panels), "widest": 240.0},
        f"The picture of {picture.label}, and over it where {name} looks: {said}.",
        f"Where {name} of {heads.title} looks in the picture of {picture.label}, cut into "
        f"{grid.rows} × {grid.columns} patches: {said}. Rows and columns are counted from 0 at the top "
        f"left; a frame marks the patch that looks.{grain} {_SCALE}",
    )


def _row(
    catalogue: Catalogue, heads: NamedHeads, place: tuple[int, int], image: str, query: str
) -> _Row:
    network = catalogue.vision(heads.model)
    grid = _attention(catalogue, heads.model).grid
    pixels = catalogue.pixels(heads.model, image)
    found = _PLACE.fullmatch(query.strip())
    known = dict.fromkeys((*grid.special, *grid.readers))
    name = query if found else one_of("token", query, known, f"{heads.model} has no")
    if name in grid.readers:
        maps = measure_patch_maps(network, image, pixels, catalogue.store)
        weights = maps.looks[place][grid.readers.index(name)]
        over = over_patches(weights, grid)
        return _Row(token_name(name), over, 1 - float(over.sum()), 1)
    kept = measure_patch_weights(network, image, pixels, catalogue.store)
    shape, first = block_shape(grid, kept.block), len(grid.special)
    matrix = kept.units[place].astype(np.float64) / UNIT
    if found is None:
        weights, who, marked = matrix[grid.special.index(name)], token_name(name), None
    else:
        row, column = int(found[1]), int(found[2])
        if row >= shape[0] or column >= shape[1]:
            raise UsageError(
                f"the rows of {heads.model} go from 0 to {shape[0] - 1} and its columns to "
                f"{shape[1] - 1}; there is no patch {query}."
            )
        weights = matrix[first + row * shape[1] + column]
        who, marked = f"patch in row {row}, column {column}", (row, column)
    over = weights[first:].reshape(shape)
    return _Row(who, over, float(weights[:first].sum()), kept.block, marked)


def patch_rollout(
    catalogue: Catalogue, model: str, image: str, layers: Numbers = (), token: str = ""
) -> Figure:
    """A vision transformer's answer followed back to the patches, block by block (attention rollout).

    Behind some blocks (`layers`), from the class token or another that the answer is read from
    (`token`); the last map is the control, the same network with random weights.
    """
    network, heads = catalogue.vision(model), named_heads(catalogue, model)
    grid = _attention(catalogue, model).grid
    reader = (
        one_of("token", token, grid.readers, f"no answer of {model} is read from a")
        if token
        else (grid.readers[0])
    )
    place, picture = grid.readers.index(reader), catalogue.image(model, image)
    known = [one.id for one in catalogue.run(model).inputs.images]
    pixels = {name: catalogue.pixels(model, name) for name in known}
    followed = measure_patch_maps(network, image, pixels[image], catalogue.store).rollout
    control = measure_patch_control(network, pixels, catalogue.seed, catalogue.store)
    chosen = [heads.layer(one) for one in layers] or list(rolled_blocks(len(followed)))
    maps = [over_patches(followed[block, place], grid) for block in chosen]
    maps.append(over_patches(control.rollout[known.index(image), place], grid))
    titles = [f"behind block {block}" for block in chosen]
    titles.append(f"random weights, behind block {len(followed) - 1}")
    seen, cut = catalogue.seen(model, image), cut_of(grid)
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
        {"rows": _in_rows(panels), "widest": 200.0},
        f"Attention rollout from the {token_name(reader)} over the picture of {picture.label} "
        f"{listed([one.who for one in rows[:-1]])}, and with random weights; {last.who} most comes from "
        f"{last.best}.",
        f"Attention rollout (Abnar & Zuidema 2020) of {heads.title}: how much of each patch of the "
        f"picture of {picture.label} would be in the {token_name(reader)} if blocks did nothing but mix. "
        f"{last.who[:1].upper()}{last.who[1:]} most comes from {last.best}. The last map is the control. "
        f"{_SCALE}",
    )


def head_preview(
    catalogue: Catalogue, model: str, place: tuple[int, int], image: str, folder: str
) -> Drawing:
    """Where a head (block, head) looks from the token that the answer is read from, as a small picture."""
    grid, pixels = _attention(catalogue, model).grid, catalogue.pixels(model, image)
    looks = measure_patch_maps(catalogue.vision(model), image, pixels, catalogue.store).looks
    arguments = {
        "picture": catalogue.seen(model, image),
        "weights": over_patches(looks[place][0], grid),
        "cut": cut_of(grid),
        "tokens": grid.tokens,
    }
    path = f"{folder}/{model}-{PATCHES.head(*place)}.webp"
    return Drawing("patch_preview", arguments, (path,))


def cut_of(grid: PatchGrid, block: int = 1) -> Cut:
    """Where a picture is cut into squares of `block` x `block` patches."""
    return Cut(_edges(grid.rows, block, grid.height), _edges(grid.columns, block, grid.width))


def _edges(count: int, block: int, size: int) -> tuple[int, ...]:
    """Pixels at which squares begin, and where the last one ends: it may be cut by the edge of the grid."""
    return (*(place * size for place in range(0, count, block)), count * size)


def _attention(catalogue: Catalogue, model: str) -> VisionAttention:
    found = catalogue.vision(model).attention
    assert found is not None  # its heads were named
    return found


def _in_rows(panels: list[Panel]) -> tuple[tuple[Panel, ...], ...]:
    """At most four in a row, in rows of even length."""
    across = -(-len(panels) // -(-len(panels) // 4))
    return tuple(tuple(panels[start : start + across]) for start in range(0, len(panels), across))
