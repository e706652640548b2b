"""Figures of pictures that were made, and of one layer's response to a picture taken apart."""

from __future__ import annotations

import numpy as np

from generator.articles.catalogue import Catalogue
from generator.errors import UsageError
from generator.figures.building_blocks import all_groups, cells, one_group
from generator.figures.figure import Figure, published
from generator.figures.overlay import signed
from generator.figures.publication.panels import Panel, in_rows
from generator.formatting import number, percent
from generator.plates.made import channel_tiles
from generator.probes.building_blocks import BuildingBlocks, blocks_layer, measure_building_blocks
from generator.techniques.naming import layer_of, listed


def building_blocks(catalogue: Catalogue, model: str, image: str, classes: int = 2) -> Figure:
    """One layer on a picture: each cell as its strongest channel, and the cells' support for classes."""
    found, picture, label = _blocks(catalogue, model, image)
    findings = catalogue.about_pictures(model)
    layer = layer_of(findings.model, found.layer)
    tiles = channel_tiles(findings, layer)
    row = [Panel(picture, label)]
    rows_of, columns = found.response.shape[1:]
    if len(tiles):
        share = found.response.max(axis=0) / (found.full or 1.0)
        drawn = cells(picture, share, found.dictionary[..., 0], tiles)
        row.append(
            Panel(drawn, found.layer, f"{rows_of} × {columns} cells, strongest channel of each")
        )
    support = found.of_cells(found.gradient)
    peak = float(np.abs(support).max())
    for place in range(min(classes, len(found.labels))):
        note = f"support, {percent(float(found.probabilities[place]))}"
        row.append(Panel(signed(picture, support[place], peak), found.labels[place], note))
    return published(
        "panels",
        {"rows": (tuple(row),), "widest": 330.0},
        f"The picture of {label}; its {rows_of} by {columns} cells in {found.layer}, each drawn "
        "as the channel that "
        f"responds most there; and which cells speak for {listed(found.labels[:classes])}.",
        f"{found.layer} on the picture of {label}: each cell as the channel that responds most "
        "there, and the "
        "linear support of each cell for a class, orange for it and blue against it.",
    )


def nmf(catalogue: Catalogue, model: str, image: str) -> Figure:
    """Groups of channels that respond together on a picture, and what each does to the first class."""
    found, picture, label = _blocks(catalogue, model, image)
    groups = found.groups
    if groups is None:
        raise UsageError(f"no response of {found.layer} of {model} to '{image}' is above zero.")
    row = [Panel(picture, label), Panel(all_groups(picture, groups.maps), "all groups")]
    for place in range(len(groups.maps)):
        change = -float(groups.measured[place, 0])
        without = f"{'+' if change > 0 else '−'}{number(abs(change), 2)}"
        note = f"{percent(float(groups.share[place]), 0)}; logit {without} without"
        row.append(Panel(one_group(picture, groups.maps, place), f"group {place + 1}", note))
    first = found.labels[0]
    return published(
        "panels",
        {"rows": in_rows(row, 4), "widest": 260.0},
        f"The picture of {label} and {len(groups.maps)} groups of channels of {found.layer} over "
        "it, each where it "
        "responds.",
        f"{len(groups.maps)} groups of channels of {found.layer} that respond together on the "
        f"picture of {label}. "
        f"Above each: its share of all that is above zero, and how the logit of {first} "
        "really changes without it.",
    )


def _blocks(catalogue: Catalogue, model: str, image: str) -> tuple[BuildingBlocks, np.ndarray, str]:
    network, label = catalogue.vision(model), catalogue.image(model, image).label
    layer = blocks_layer(network)
    pixels = catalogue.pixels(model, image)
    found = measure_building_blocks(network, image, pixels, layer, catalogue.store)
    if found.reason:
        raise UsageError(f"{model}: {found.reason}")
    return found, catalogue.seen(model, image), label
