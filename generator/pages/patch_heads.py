"""The pages of a vision transformer's heads: where each looks in every picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from generator.addresses import Link, head_address
from generator.findings import VisionFindings
from generator.models.layer import Layer
from generator.pages.context import Place, Strip, around, home, layer_link, model_link
from generator.pages.environment import Pages
from generator.pages.heads import head_name
from generator.pages.page import Page
from generator.pages.patch_data import head_data
from generator.pages.patch_tables import TABLES
from generator.pages.patch_views import (
    Overlay,
    block_strip,
    blocks_of,
    grid_of,
    head_links,
    head_strip,
    order_heads,
    overlay,
    patches_of,
    peak_of,
    photo,
    standings,
    token_name,
)
from generator.pages.standings import Order


@dataclass(frozen=True)
class LayerHeads:
    """What the page of a layer shows of its heads: the strip of links, and each head on one picture."""

    strips: tuple[Strip, ...]
    shown: tuple[tuple[Link, Overlay], ...]


def heads_of_layer(findings: VisionFindings, layer: Layer, pages: Pages) -> LayerHeads:
    """The heads of a transformer block with their maps on the first picture; none of another layer."""
    if not layer.heads:
        return LayerHeads((), ())
    image, reader, block = (
        findings.images[0],
        grid_of(findings).readers[0],
        _number(findings, layer),
    )
    shown = []
    for place, head, link in head_links(findings):
        if place == block:
            alt = (
                f"Where the {token_name(reader)} looks in the picture of {image.label}, {link.text}"
            )
            view = overlay(findings, image, reader, (block, head), alt, pages)
            shown.append((link, view))
    return LayerHeads((head_strip(findings, block, -1),), tuple(shown))


def patch_head_pages(findings: VisionFindings, layer: Layer, pages: Pages) -> Iterator[Page]:
    """The pages of all heads of a transformer block."""
    order = order_heads(patches_of(findings))
    for head in range(layer.heads):
        yield _head(findings, _number(findings, layer), head, order, pages)


def _number(findings: VisionFindings, layer: Layer) -> int:
    """The place of a block among the blocks, which the names of its heads start with."""
    return patches_of(findings).attention.blocks.index(layer.name)


def _head(findings: VisionFindings, block: int, head: int, order: Order, pages: Pages) -> Page:
    model, layer = findings.model, blocks_of(findings)[block]
    name, address = head_name(block, head), head_address(model.id, layer.name, head)
    links = [link for _, _, link in head_links(findings)]
    before, after = around(links, next(i for i, link in enumerate(links) if link.text == name))
    return pages.page(
        "patch_head.html",
        address,
        f"{name} · {model.title}",
        f"Attention head {name} of {model.title}: where it looks in {len(findings.images)} pictures and its "
        f"statistics, ranked among {len(links)} heads.",
        searchable=False,
        lean=True,
        model=model,
        name=name,
        head=head,
        block=block,
        layer=layer,
        grid=grid_of(findings),
        readers=[token_name(reader) for reader in grid_of(findings).readers],
        place=Place(
            (home(), model_link(model), layer_link(model, layer)),
            (block_strip(findings, block), head_strip(findings, block, head)),
            before,
            after,
        ),
        standings=standings(patches_of(findings), order, block, head),
        maps=list(_maps(findings, block, head, pages)),
        played=len(patches_of(findings).weights),
        data=head_data(findings, block, head, address),
        tables=TABLES,
    )


def _maps(
    findings: VisionFindings, block: int, head: int, pages: Pages
) -> Iterator[dict[str, Any]]:
    """For each picture the map of each token that the answer is read from."""
    found, grid = patches_of(findings), grid_of(findings)
    for image in findings.images:
        looks = found.maps[image.id].looks[block, head]
        views = []
        for place, reader in enumerate(grid.readers):
            peak = peak_of(looks[place], grid)
            alt = (
                f"Where the {token_name(reader)} looks in the picture of {image.label} in "
                f"{head_name(block, head)}: {peak.words}."
            )
            view = overlay(findings, image, reader, (block, head), alt, pages)
            views.append({"reader": token_name(reader), "peak": peak, "overlay": view})
        yield {
            "id": image.id,
            "label": image.label,
            "thumb": photo(findings, image, pages),
            "views": views,
        }
