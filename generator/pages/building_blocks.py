"""The page of the building blocks: a layer's cells, channels and groups, and what they do to the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from generator.addresses import Link, unit_address
from generator.figures.building_blocks import GROUP_COLOURS
from generator.figures.figure import Figure
from generator.inputs.images import CuratedImage
from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.pages.blocks_data import NAMED, Channels, blocks_address, script_data, top
from generator.pages.context import Place, layer_link
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.probes.building_blocks import NEAR, BuildingBlocks, Groups
from generator.probes.integrated_gradients import TOLERANCE

STRONGEST = 6


def building_blocks_page(
    model: VisionModel,
    images: Sequence[CuratedImage],
    found: Mapping[str, BuildingBlocks],
    channels: Channels,
    place: Place,
    pages: Pages,
) -> Page:
    """One page of all pictures in `found`, keyed by the picture's id."""
    address = blocks_address(model.id)
    shown = [image for image in images if image.id in found]
    usable = [image for image in shown if not found[image.id].reason]
    first = next(iter(found.values()))
    layer = next((each for each in model.layers if each.name == first.layer), None)
    items = [_item(model, image, found[image.id], channels, pages) for image in usable]
    return pages.page(
        "building_blocks.html",
        address,
        f"Building blocks · {model.title}",
        f"One layer of {model.title} taken apart on {len(shown)} pictures: the channels that respond in "
        "each cell, groups of channels, and what they do to the classes.",
        model=model,
        layer=layer,
        place=place,
        paged=layer_link(model, layer) if layer and layer.name in model.paged else None,
        reason=first.reason,
        channels=channels,
        near=_near(layer),
        items=items,
        tolerance=TOLERANCE,
        no_classes="" if model.labels else model.no_classes,
        data=script_data(model, layer, usable, found, channels, pages)
        if layer and usable and model.labels
        else None,
    )


def _near(layer: Layer | None) -> int:
    if layer is None or layer.receptive_field is None:
        return 0
    return NEAR * max(axis.stride for axis in layer.receptive_field)


def _item(
    model: VisionModel,
    image: CuratedImage,
    blocks: BuildingBlocks,
    channels: Channels,
    pages: Pages,
) -> dict[str, Any]:
    """What the page shows of one picture without a script."""
    folder = f"models/{model.id}/blocks/{image.id}"
    return {
        "id": image.id,
        "label": image.label,
        "thumb": pages.figure(f"models/{model.id}/pictures/{image.id}.webp", image.alt),
        "full": blocks.full,
        "cells": _cells_figure(folder, image, blocks, pages) if channels.sheet else None,
        "classes": _classes(folder, image, blocks, pages),
        "points": blocks.points,
        "path_error": float(blocks.path_error.max(initial=0.0)),
        "groups": _groups(model, folder, image, blocks, channels, pages),
        "all_groups": _all_groups(folder, image, blocks, pages),
        "found": blocks.groups,
        "effect": _effect(blocks.groups),
        "strongest": _strongest(model, blocks, channels),
    }


def _cells_figure(folder: str, image: CuratedImage, blocks: BuildingBlocks, pages: Pages) -> Figure:
    count = len(np.unique(blocks.dictionary[..., 0]))
    rows, columns = blocks.response.shape[1:]
    return pages.figure(
        f"{folder}-cells.webp",
        f"The {rows} by {columns} cells of the picture of {image.label}, each drawn as the channel that "
        f"responds most there: {count} different channels.",
    )


def _classes(
    folder: str, image: CuratedImage, blocks: BuildingBlocks, pages: Pages
) -> list[dict[str, Any]]:
    linear = blocks.of_cells(blocks.gradient)
    path = blocks.of_cells(blocks.path)
    return [
        {
            "label": label,
            "probability": float(blocks.probabilities[k]),
            "logit": float(blocks.logits[k]),
            "silent": float(blocks.silent[k]),
            "linear": float(linear[k].sum()),
            "path": float(path[k].sum()),
            "figure": pages.figure(
                f"{folder}-class-{k}.webp",
                f"Linear support for {label} over the picture of {image.label}: most for it at "
                f"{_cell_name(linear[k], 1)}, most against it at {_cell_name(linear[k], -1)}.",
            ),
        }
        for k, label in enumerate(blocks.labels)
    ]


def _cell_name(values: np.ndarray, sign: int) -> str:
    row, column = divmod(int((sign * values).argmax()), values.shape[1])
    return f"row {row}, column {column}"


def _all_groups(
    folder: str, image: CuratedImage, blocks: BuildingBlocks, pages: Pages
) -> Figure | None:
    if blocks.groups is None:
        return None
    count = len(blocks.groups.maps)
    alt = f"The picture of {image.label}, each place in the colour of the strongest of {count} groups."
    return pages.figure(f"{folder}-groups.webp", alt)


def _groups(
    model: VisionModel,
    folder: str,
    image: CuratedImage,
    blocks: BuildingBlocks,
    channels: Channels,
    pages: Pages,
) -> list[dict[str, Any]]:
    """The groups in order, each with its map, its strongest channels and its row of numbers."""
    groups = blocks.groups
    if groups is None:
        return []
    found: list[dict[str, Any]] = []
    for g, (values, weights) in enumerate(zip(groups.maps, groups.weights, strict=True)):
        alt = f"Group {g + 1} over the picture of {image.label}: strongest at {_cell_name(values, 1)}."
        found.append(
            {
                "name": f"Group {g + 1}",
                "colour": GROUP_COLOURS[g % len(GROUP_COLOURS)],
                "share": float(groups.share[g]),
                "figure": pages.figure(f"{folder}-group-{g}.webp", alt),
                "channels": [
                    (_unit(model, blocks.layer, int(c), channels), float(weights[c]))
                    for c in top(weights, NAMED)
                ],
                "numbers": _row(groups, g),
            }
        )
    found.append(
        {"name": "All the rest", "figure": None, "numbers": _row(groups, len(groups.maps))}
    )
    return found


def _row(groups: Groups, row: int) -> list[tuple[float, float, float]]:
    columns = (groups.linear[row], groups.path[row], groups.measured[row])
    return [(float(a), float(b), float(c)) for a, b, c in zip(*columns, strict=True)]


def _effect(groups: Groups | None) -> dict[str, float] | None:
    """How much taking a group away changes a logit on average, and how well that was foreseen."""
    if groups is None or not groups.measured.size:
        return None
    linear, path = groups.agreement
    return {
        "measured": float(np.abs(groups.measured[:-1]).mean()),
        "shuffled": float(np.abs(groups.shuffled[:-1]).mean()),
        "linear": linear,
        "path": path,
    }


def _strongest(
    model: VisionModel, blocks: BuildingBlocks, channels: Channels
) -> list[dict[str, Any]]:
    """The cells that speak most for or against the first class, with their semantic dictionary.

    Where there are no classes, those that respond most.
    """
    support = blocks.of_cells(blocks.gradient)
    by = np.abs(support[0]) if len(support) else blocks.response.max(axis=0)
    order = np.argsort(-np.round(by, 6), axis=None, kind="stable")[:STRONGEST]
    found = []
    for place in order:
        row, column = divmod(int(place), support.shape[2])
        listed = [int(c) for c in blocks.dictionary[row, column] if c >= 0]
        found.append(
            {
                "name": f"row {row}, column {column}",
                "support": [float(value) for value in support[:, row, column]],
                "channels": [
                    (
                        _unit(model, blocks.layer, c, channels),
                        float(blocks.response[c, row, column]),
                    )
                    for c in listed
                ],
            }
        )
    return found


def _unit(model: VisionModel, layer: str, channel: int, channels: Channels) -> Link:
    """A unit by name, and its page's address where it has one."""
    target = unit_address(model.id, layer, channel) if channels.linked else ""
    return Link(target, f"unit {channel}")


def block_rows(found: Mapping[str, BuildingBlocks]) -> list[Sequence[Any]]:
    """Each picture's classes: logits with and without the layer, the attributions' sums, the path's error."""
    rows: list[Sequence[Any]] = []
    for picture, blocks in found.items():
        linear = blocks.of_channels(blocks.gradient).sum(1) if blocks.labels else ()
        path = blocks.of_channels(blocks.path).sum(1) if blocks.labels else ()
        logits = (blocks.probabilities, blocks.logits, blocks.silent)
        numbers = (*logits, linear, path, blocks.path_error)
        rows += [
            (picture, blocks.layer, label, *values, blocks.points)
            for label, *values in zip(blocks.labels, *numbers, strict=True)
        ]
    return rows


def group_rows(found: Mapping[str, BuildingBlocks]) -> list[Sequence[Any]]:
    """What each group of channels does to each class; the last group of a picture is all the rest."""
    rows: list[Sequence[Any]] = []
    for picture, blocks in found.items():
        groups = blocks.groups
        if groups is None:
            continue
        count = len(groups.maps)
        for g, c in np.ndindex(groups.measured.shape):
            name, share = (g + 1, groups.share[g]) if g < count else ("rest", "")
            effects = (groups.linear, groups.path, groups.measured, groups.shuffled)
            rows.append(
                (picture, blocks.layer, name, share, blocks.labels[c], *(e[g, c] for e in effects))
            )
    return rows
