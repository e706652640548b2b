"""What the pages of a vision transformer share: maps laid over pictures, names of tokens, standings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.addresses import Link, head_address
from generator.figures.figure import Figure
from generator.findings import PatchFindings, VisionFindings
from generator.formatting import number, percent
from generator.inputs.images import CuratedImage
from generator.models.layer import Layer
from generator.models.patches import PatchGrid
from generator.pages.context import Strip, layer_link
from generator.pages.definitions import Definition
from generator.pages.environment import Pages
from generator.pages.heads import head_name
from generator.pages.standings import Order, Standing
from generator.plates.patches import over_patches, sprite_name
from generator.probes.heads import rank
from generator.probes.likeness import percentile

_PICTURES = "curated pictures"
_MASS = "mean over patches of the weight on {}"
PATCH_DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        "entropy_nats",
        "Entropy",
        "mean over queries i of −Σⱼ A[i, j] ln A[i, j], in nats",
        _PICTURES,
        "Clark et al. 2019",
    ),
    Definition(
        "relative_entropy",
        "Relative entropy",
        "entropy ÷ ln(number of tokens); 1 is an even spread",
        _PICTURES,
        "Clark et al. 2019",
    ),
    Definition(
        "mean_distance",
        "Mean distance",
        "mean over patches i of Σⱼ A[i, j] d(i, j) ÷ Σⱼ A[i, j] over patches j, d the straight distance in "
        "patches; small is local",
        _PICTURES,
        "Dosovitskiy et al. 2021",
    ),
    Definition(
        "class_mass",
        "Class-token mass",
        _MASS.format("the class token"),
        _PICTURES,
        "Cutaway",
    ),
    Definition(
        "distillation_mass",
        "Distillation-token mass",
        _MASS.format("the distillation token"),
        _PICTURES,
        "Cutaway",
    ),
    Definition(
        "register_mass",
        "Register mass",
        _MASS.format("all registers"),
        _PICTURES,
        "Darcet et al. 2024",
    ),
    Definition(
        "class_on_itself",
        "Class token on itself",
        "weight of the class token on itself",
        _PICTURES,
        "Cutaway",
    ),
    Definition(
        "distillation_on_itself",
        "Distillation token on itself",
        "weight of the distillation token on itself",
        _PICTURES,
        "Cutaway",
    ),
)
BY_STATISTIC = {definition.column: definition for definition in PATCH_DEFINITIONS}


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


def blocks_of(findings: VisionFindings) -> tuple[Layer, ...]:
    """The blocks of a vision transformer in order; their place is the number in the name of a head."""
    known = {layer.name: layer for layer in findings.model.layers}
    return tuple(known[name] for name in patches_of(findings).attention.blocks)


def head_links(findings: VisionFindings) -> tuple[tuple[int, int, Link], ...]:
    """Block, head and link of every head with a page: those of the blocks that have one."""
    model, heads = findings.model, range(patches_of(findings).attention.heads)
    return tuple(
        (block, head, Link(head_address(model.id, layer.name, head), head_name(block, head)))
        for block, layer in enumerate(blocks_of(findings))
        for head in heads
        if layer.name in model.paged
    )


def head_strip(findings: VisionFindings, block: int, current: int) -> Strip:
    """All heads of a block as a strip; `current` is the page's own head or -1."""
    links = tuple(link for place, _, link in head_links(findings) if place == block)
    return Strip(f"Heads of block {block}", links, current)


def block_strip(findings: VisionFindings, block: int) -> Strip:
    """The blocks that have a page; the other layers of a vision transformer have no heads."""
    known = [
        (number, layer_link(findings.model, layer))
        for number, layer in enumerate(blocks_of(findings))
        if layer.name in findings.model.paged
    ]
    current = next(i for i, (number, _) in enumerate(known) if number == block)
    return Strip("Blocks", tuple(link for _, link in known), current)


def order_heads(findings: PatchFindings) -> Order:
    """Ranks and percentiles of all heads in all statistics."""
    means = {statistic.name: statistic.mean for statistic in findings.statistics}
    return Order(
        {name: rank(mean) for name, mean in means.items()},
        {name: percentile(mean) for name, mean in means.items()},
    )


def standings(findings: PatchFindings, order: Order, block: int, head: int) -> list[Standing]:
    """All statistics of one head."""
    control, found = findings.control.control, []
    for statistic in findings.statistics:
        name, mean = statistic.name, statistic.mean
        found.append(
            Standing(
                definition=BY_STATISTIC[name],
                value=float(mean[block, head]),
                spread=float(statistic.spread[block, head]),
                uniform=statistic.uniform,
                percentile=float(order.percentiles[name][block, head]),
                twin=control.mean(name),
                twin_highest=control.highest(name),
                probes=statistic.probes,
                rank=int(order.ranks[name][block, head]),
                heads=mean.size,
                lowest=float(mean.min()),
                highest=float(mean.max()),
            )
        )
    return found


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
