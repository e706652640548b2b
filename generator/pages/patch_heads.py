"""Heads over patches: their maps on each picture, for the page of one head and for that of a layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from generator.addresses import Link, head_address
from generator.figures.figure import Figure
from generator.findings import StackFindings, VisionFindings
from generator.models.layer import Layer
from generator.models.patches import PatchGrid
from generator.pages.context import Strip
from generator.pages.environment import Pages
from generator.pages.heads import HeadKind, HeadMaps, HeadRow, head_pages, head_rows, whose
from generator.pages.page import Page
from generator.pages.patch_data import head_data
from generator.pages.patch_tables import patch_table_names
from generator.pages.patch_views import (
    Overlay,
    Peak,
    grid_of,
    overlay,
    patches_of,
    peak_of,
    photo,
    token_name,
)
from generator.pages.stack_views import head_strip
from generator.pages.standings import order_heads


@dataclass(frozen=True)
class LayerHeads:
    """What the page of a layer shows of its heads: each on one picture, and all in numbers."""

    strip: Strip
    maps: tuple[tuple[Link, Overlay], ...]
    stack: StackFindings
    rows: tuple[HeadRow, ...]
    whose: str


@dataclass(frozen=True)
class View:
    """Where one token looks in a picture."""

    reader: str
    peak: Peak
    overlay: Overlay


@dataclass(frozen=True)
class PatchMap:
    """A head on one picture, from each token that the answer is read from."""

    id: str
    label: str
    thumb: Figure
    views: tuple[View, ...]


@dataclass(frozen=True)
class PatchData:
    """What the maps of a head need beside pictures; `played` pictures have the weights of every patch."""

    grid: PatchGrid
    readers: tuple[str, ...]
    played: int
    script: Markup


def heads_of_layer(findings: VisionFindings, layer: Layer, pages: Pages) -> LayerHeads | None:
    """The heads of a transformer block with their maps on the first picture; None of another layer."""
    if not layer.heads or not findings.stacks:
        return None
    stack, image, reader = (
        patches_of(findings).stack,
        findings.images[0],
        grid_of(findings).readers[0],
    )
    place = stack.place_of(layer)
    maps = []
    for head in range(stack.heads):
        link = stack.link(place, head)
        alt = f"Where the {token_name(reader)} looks in the picture of {image.label}, {link.text}"
        maps.append((link, overlay(findings, image, reader, (place, head), alt, pages)))
    rows = head_rows(stack, place, order_heads(stack))
    return LayerHeads(head_strip(stack, place, -1), tuple(maps), stack, tuple(rows), whose(stack))


def patch_head_pages(findings: VisionFindings, layer: Layer, pages: Pages) -> Iterator[Page]:
    """The pages of all heads of a transformer block."""
    stack = patches_of(findings).stack
    kind = HeadKind(
        maps=partial(_maps, findings, pages=pages),
        inputs=f"where it looks in {len(findings.images)} pictures",
        tables=patch_table_names(findings),
    )
    yield from head_pages(findings.stacks, stack, stack.place_of(layer), kind, pages)


def _maps(findings: VisionFindings, block: int, head: int, *, pages: Pages) -> HeadMaps:
    """For each picture the map of each token that the answer is read from."""
    found, grid = patches_of(findings), grid_of(findings)
    address = head_address(findings.model.id, found.stack.layers[block].name, head)
    data = PatchData(
        grid,
        tuple(token_name(reader) for reader in grid.readers),
        len(found.weights),
        head_data(findings, block, head, address),
    )
    return HeadMaps("partials/patch_maps.html", tuple(_items(findings, block, head, pages)), data)


def _items(findings: VisionFindings, block: int, head: int, pages: Pages) -> Iterator[PatchMap]:
    found, grid = patches_of(findings), grid_of(findings)
    name = found.stack.head(block, head)
    for image in findings.images:
        looks = found.maps[image.id].looks[block, head]
        views = []
        for place, reader in enumerate(grid.readers):
            peak = peak_of(looks[place], grid)
            alt = (
                f"Where the {token_name(reader)} looks in the picture of {image.label} in {name}: "
                f"{peak.words}."
            )
            over = overlay(findings, image, reader, (block, head), alt, pages)
            views.append(View(token_name(reader), peak, over))
        yield PatchMap(image.id, image.label, photo(findings, image, pages), tuple(views))
