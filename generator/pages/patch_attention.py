"""The page on a vision transformer's attention: every head on every picture, rollout, statistics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator.addresses import part_address
from generator.figures.figure import Figure
from generator.findings import VisionFindings
from generator.inputs.images import CuratedImage
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.parts import ATTENTION, part_place
from generator.pages.patch_tables import patch_table_names
from generator.pages.patch_views import (
    grid_of,
    overlay,
    patches_of,
    peak_of,
    photo,
    token_name,
)
from generator.pages.stack_views import atlas_address
from generator.pages.standings import best_heads, order_heads, standings
from generator.plates.patches import rolled_blocks, sprite_name


def patch_attention_page(findings: VisionFindings, pages: Pages) -> Page:
    """All heads of one model on every picture."""
    model, found = findings.model, patches_of(findings)
    stack = found.stack
    order = order_heads(stack)
    relative = stack.statistic("relative_entropy")
    return pages.page(
        "patch_attention.html",
        part_address(model.id, ATTENTION.key),
        f"Attention over patches · {model.title}",
        f"Where the heads of {model.title} look in {len(findings.images)} pictures, and its answer "
        "followed back through the blocks by attention rollout.",
        model=model,
        place=part_place(findings, ATTENTION),
        attention=found.attention,
        grid=found.attention.grid,
        readers=[token_name(reader) for reader in found.attention.grid.readers],
        items=[_item(findings, image, pages) for image in findings.images],
        rows=[
            {"link": stack.link(*at), "standings": standings(stack, order, *at)}
            for at in stack.places
        ],
        statistics=_statistics_figure(findings, pages),
        spread=(float(relative.mean.min()), float(relative.mean.mean())),
        twin=stack.control.mean("relative_entropy"),
        atlas=atlas_address(stack),
        tables=patch_table_names(findings),
    )


def _item(findings: VisionFindings, image: CuratedImage, pages: Pages) -> dict[str, Any]:
    grid = grid_of(findings)
    return {
        "id": image.id,
        "label": image.label,
        "thumb": photo(findings, image, pages),
        "sheets": [
            {"reader": token_name(reader), "figure": _sheet(findings, image, reader, pages)}
            for reader in grid.readers
        ],
        "rollouts": [
            {
                "reader": token_name(reader),
                "views": list(_rollout(findings, image, place, pages)),
            }
            for place, reader in enumerate(grid.readers)
        ],
    }


def _sheet(findings: VisionFindings, image: CuratedImage, reader: str, pages: Pages) -> Figure:
    attention = patches_of(findings).attention
    alt = (
        f"Small maps of {len(attention.blocks)} blocks with {attention.heads} heads each: where the "
        f"{token_name(reader)} looks in the picture of {image.label}."
    )
    path = f"models/{findings.model.id}/{sprite_name(reader, image.id)}"
    return pages.figure(path, alt, pixelated=True)


def _rollout(
    findings: VisionFindings, image: CuratedImage, place: int, pages: Pages
) -> Iterator[dict[str, Any]]:
    """The rollout of one token behind a few blocks, and that of the random twin behind the last."""
    found, grid = patches_of(findings), grid_of(findings)
    blocks = rolled_blocks(len(found.attention.blocks))
    number = next(i for i, name in enumerate(found.maps) if name == image.id)
    rolled = [found.maps[image.id].rollout[block, place] for block in blocks]
    rolled.append(found.control.rollout[number, place])
    names = [f"behind block {block}" for block in blocks]
    names.append(f"random weights, behind block {blocks[-1]}")
    for column, (name, weights) in enumerate(zip(names, rolled, strict=True)):
        peak = peak_of(weights, grid)
        alt = (
            f"Rollout of the {token_name(grid.readers[place])} over the picture of {image.label}, "
            f"{name}: {peak.words}."
        )
        view = overlay(findings, image, "rollout", (place, column), alt, pages)
        yield {"name": name, "peak": peak, "overlay": view}


def _statistics_figure(findings: VisionFindings, pages: Pages) -> Figure:
    stack = patches_of(findings).stack
    distance = stack.statistic("mean_distance").mean
    local = best_heads(-distance, 1)[0]
    caption = (
        f"All {distance.size} heads at a glance: blocks downwards, heads to the right, the more a cell "
        "stands out, the higher. Each map has its own scale, written above it."
    )
    return pages.figure(
        f"models/{findings.model.id}/heads.svg",
        "Heatmaps of blocks by heads, one for each statistic; the most local head is "
        f"{stack.head(*local)} with a mean distance of {distance[local]:.3g} patches.",
        caption,
        ink=True,
    )
