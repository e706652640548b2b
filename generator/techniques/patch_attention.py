"""Attention over patches: where every head looks in every picture, and the answer followed back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from generator.addresses import Link, head_address, part_address, relative
from generator.figures.figure import Figure
from generator.inputs.images import CuratedImage
from generator.models.layer import Layer
from generator.models.patches import PatchGrid
from generator.run import PICTURES, Run, Section, Technique
from generator.table import Content, Table
from generator.techniques.atlas import grids_figure
from generator.techniques.flops import why_fewer
from generator.techniques.heads import HEADS
from generator.techniques.measured_stack import StackHeads, heads_of, stack_of
from generator.techniques.patch_figures import patch_attention, patch_rollout
from generator.techniques.patch_maps import PATCH_MAPS, grid_of, weights_of, why_not
from generator.techniques.patch_views import (
    Overlay,
    Peak,
    cut_words,
    looks_sprite,
    overlay,
    peak_of,
    rolled,
    rolled_blocks,
    rollout_sprite,
    silenced_words,
    telling_picture,
    token_name,
)
from generator.techniques.patch_widget import head_data, patch_files, patch_view
from generator.techniques.pictures import Shown, shown
from generator.techniques.standings import Standing, standings


@dataclass(frozen=True)
class Laid:
    """Where one token looks in a picture, or the rollout of one behind some block."""

    name: str
    peak: Peak
    overlay: Overlay


@dataclass(frozen=True)
class PatchMap(Shown):
    """A head on one picture, the page's first if it `opens`, from each token that the answer is read from."""

    views: tuple[Laid, ...]
    opens: bool


@dataclass(frozen=True)
class HeadView:
    """A head on every picture; `played` pictures have the weights of every patch, in `script`."""

    maps: tuple[PatchMap, ...]
    grid: PatchGrid
    readers: tuple[str, ...]
    played: int
    script: Markup


@dataclass(frozen=True)
class Item(Shown):
    """All heads on one picture, and its rollouts, by the token that looks."""

    sheets: tuple[tuple[str, Figure], ...]
    rollouts: tuple[tuple[str, tuple[Laid, ...]], ...]


@dataclass(frozen=True)
class ModelView:
    """All heads on every picture, and in numbers.

    `spread` has the lowest and the mean relative entropy of heads, `twin` that of random weights.
    `silenced` says on which pictures heads are silenced, where not on all, and `fewer` why on fewer.
    """

    blocks: int
    heads: int
    grid: PatchGrid
    readers: tuple[str, ...]
    items: tuple[Item, ...]
    rows: tuple[tuple[Link, tuple[Standing, ...]], ...]
    statistics: Figure
    spread: tuple[float, float]
    twin: float
    atlas: str
    silenced: str
    fewer: str

    @property
    def lead(self) -> str:
        """How the network cuts a picture, in sentences for the head of the page."""
        return cut_words(self.grid, self.blocks, self.heads)


def head_view(run: Run, stack: StackHeads, block: int, head: int) -> HeadView:
    """For each picture the map of each token that the answer is read from."""
    grid, layer = grid_of(run), stack.layers[block].name
    return HeadView(
        tuple(_map(run, image, stack, block, head) for image in run.inputs.images),
        grid,
        tuple(token_name(reader) for reader in grid.readers),
        len(weights_of(run)),
        head_data(run, block, head, partial(relative, head_address(run.model.id, layer, head))),
    )


def _map(run: Run, image: CuratedImage, stack: StackHeads, block: int, head: int) -> PatchMap:
    maps, grid, views = run[PATCH_MAPS][image.id], grid_of(run), []
    for place, reader in enumerate(grid.readers):
        peak = peak_of(maps.looks[block, head, place], grid)
        alt = (
            f"Where the {token_name(reader)} looks in the picture of {image.label} in "
            f"{stack.head(block, head)}: {peak.words}."
        )
        over = overlay(run, image, looks_sprite(run, image.id, reader), (block, head), alt)
        views.append(Laid(token_name(reader), peak, over))
    opens = image.id == telling_picture(run, block, head)
    return PatchMap(**vars(shown(run, image)), views=tuple(views), opens=opens)


def layer_view(run: Run, layer: Layer) -> tuple[tuple[Link, Overlay], ...]:
    """The heads of a transformer block with their maps on the first picture; none of another layer."""
    if not layer.heads:
        return ()
    stack, image, reader = stack_of(run.model, layer), run.inputs.images[0], grid_of(run).readers[0]
    place, sprite, maps = stack.place_of(layer), looks_sprite(run, image.id, reader), []
    for head in range(stack.heads):
        link = stack.link(place, head)
        alt = f"Where the {token_name(reader)} looks in the picture of {image.label}, {link.text}"
        maps.append((link, overlay(run, image, sprite, (place, head), alt)))
    return tuple(maps)


def model_view(run: Run, _: StackHeads) -> ModelView:
    """All heads on every picture."""
    grid, (stack,) = grid_of(run), run[HEADS]
    relative = stack.statistic("relative_entropy")
    rows = ((stack.link(*at), standings(stack, *at)) for at in stack.places)
    return ModelView(
        blocks=len(stack.layers),
        heads=stack.heads,
        grid=grid,
        readers=tuple(token_name(reader) for reader in grid.readers),
        items=tuple(_item(run, image) for image in run.inputs.images),
        rows=tuple(rows),
        statistics=grids_figure(stack),
        spread=(float(relative.mean.min()), float(relative.mean.mean())),
        twin=stack.control.mean("relative_entropy"),
        atlas=part_address(run.model.id, stack.stack.page("atlas")),
        silenced=silenced_words(stack),
        fewer=why_fewer(run),
    )


def _item(run: Run, image: CuratedImage) -> Item:
    readers = grid_of(run).readers
    return Item(
        **vars(shown(run, image)),
        sheets=tuple((token_name(one), _sheet(run, image, one)) for one in readers),
        rollouts=tuple((token_name(one), tuple(_rollouts(run, image, one))) for one in readers),
    )


def _sheet(run: Run, image: CuratedImage, reader: str) -> Figure:
    (stack,) = heads_of(run.model)
    alt = (
        f"Small maps of {len(stack.layers)} blocks with {stack.heads} heads each: where the "
        f"{token_name(reader)} looks in the picture of {image.label}."
    )
    return Figure(looks_sprite(run, image.id, reader), alt, pixelated=True)


def _rollouts(run: Run, image: CuratedImage, reader: str) -> Iterator[Laid]:
    """The rollout of one token behind a few blocks, and that of the random twin behind the last."""
    grid = grid_of(run)
    blocks, place = rolled_blocks(len(run[HEADS][0].layers)), grid.readers.index(reader)
    names = [f"after block {block}" for block in blocks]
    names.append(f"random weights, after block {blocks[-1]}")
    for column, (name, weights) in enumerate(zip(names, rolled(run, image.id)[place], strict=True)):
        peak = peak_of(weights, grid)
        alt = f"Rollout of the {token_name(reader)} over the picture of {image.label}, {name}: {peak.words}."
        over = overlay(run, image, rollout_sprite(run, image.id), (place, column), alt)
        yield Laid(name, peak, over)


def tables(run: Run) -> Iterator[Table]:
    """Where heads look in each picture, and the rollout."""
    yield Table("looks.csv", lambda: _looks(run))
    yield Table("rollout.csv", lambda: _rollout_rows(run))


_PEAK = ("on_patches", "strongest_row", "strongest_column", "strongest")


def _looks(run: Run) -> Content:
    """Where the tokens that the answer is read from look most, in each head and picture."""
    header = ("layer", "block", "head", "picture", "token", *_PEAK)
    (stack,), grid = heads_of(run.model), grid_of(run)
    names = [layer.name for layer in stack.layers]
    rows = [
        (names[at[0]], *at, picture, reader, *peak_of(maps.looks[(*at, place)], grid).cells)
        for picture, maps in run[PATCH_MAPS].items()
        for at in stack.places
        for place, reader in enumerate(grid.readers)
    ]
    return header, rows


def _rollout_rows(run: Run) -> Content:
    """The rollouts that are drawn, with that of the random twin behind the last block."""
    header = ("weights", "layer", "block", "picture", "token", *_PEAK)
    (stack,), grid = heads_of(run.model), grid_of(run)
    blocks = rolled_blocks(len(stack.layers))
    of = [*(("trained", block) for block in blocks), ("random", blocks[-1])]
    rows = [
        (
            weights,
            stack.layers[block].name,
            block,
            picture,
            reader,
            *peak_of(one[place], grid).cells,
        )
        for picture in run[PATCH_MAPS]
        for (weights, block), one in zip(of, rolled(run, picture).swapaxes(0, 1), strict=True)
        for place, reader in enumerate(grid.readers)
    ]
    return header, rows


PATCH_ATTENTION = Technique(
    name="patch_attention",
    title="Attention over patches",
    search="attention maps rollout vision transformer",
    reads=PICTURES,
    why_not=why_not,
    measure=PATCH_MAPS.asked_of,
    figures={"patch_attention": patch_attention, "patch_rollout": patch_rollout},
    widgets={"patch_view": patch_view},
    tables=tables,
    sections=(
        Section("attention", "heads", "patch_attention.html", model_view),
        Section("layer", "heads", "patch_layer.html", layer_view),
        Section("head", "maps", "patch_head.html", head_view),
    ),
    scripts=patch_files,
)
