"""What the script of the building blocks reads: plain values, small enough to stand in the page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from generator.addresses import unit_address
from generator.figures.building_blocks import COLUMNS, GROUP_COLOURS
from generator.figures.figure import Figure
from generator.figures.overlay import AGAINST, FOR
from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.probes.building_blocks import BuildingBlocks
from generator.techniques.channels import Channels
from generator.techniques.pictures import Shown
from generator.widget import To

NAMED = 4
MAPS = 320


@dataclass(frozen=True)
class PlayedBlocks:
    """One picture to play with: its id, its label, and what the script reads."""

    id: str
    label: str
    data: Markup


@dataclass(frozen=True)
class PictureData:
    """A picture as the script shows it: itself, and its cells drawn as channels, where these are drawn."""

    picture: Shown
    cells: Figure | None
    blocks: BuildingBlocks


def top(values: np.ndarray, count: int) -> list[int]:
    """The indices of the largest values, the largest first; ties to the lowest index."""
    return [int(i) for i in np.argsort(-np.round(values, 6), kind="stable")[:count]]


def script_data(
    model: VisionModel,
    layer: Layer,
    pictures: Sequence[PictureData],
    channels: Channels,
    to: To,
) -> dict[str, Any]:
    """All that the script needs, as plain values, with the ways `to` pictures and pages."""
    sheet = None
    if channels.sheet:
        rows = -(-layer.units // COLUMNS)
        sheet = {"path": to(channels.sheet.path), "columns": COLUMNS, "rows": rows}
    # Every unit's page is at units/<number>/index.html below its layer's folder.
    units = to(unit_address(model.id, layer.name, 0)).removesuffix("0/index.html")
    return {
        "layer": layer.name,
        "sheet": sheet,
        "units": units if channels.linked else None,
        "colours": {"groups": list(GROUP_COLOURS), "for": _hex(FOR), "against": _hex(AGAINST)},
        "pictures": {
            each.picture.id: {
                "label": each.picture.label,
                "ground": to(each.picture.thumb.path),
                "mosaic": to(each.cells.path) if each.cells else None,
                **picture_data(each.blocks),
                "groups": _group_data(each.picture.id, each.blocks, channels, to),
            }
            for each in pictures
        },
    }


def picture_data(blocks: BuildingBlocks) -> dict[str, Any]:
    """One picture's numbers: maps in 8 bits, everything that is read as a number in 3 digits."""
    listed = listed_channels(blocks)
    response = blocks.response[listed].reshape(len(listed), -1)
    peak = np.abs(response).max(axis=1)
    levels = np.rint(response / np.where(peak > 0, peak, 1)[:, None] * 127).astype(np.int8)
    dictionary = blocks.dictionary.reshape(-1, blocks.dictionary.shape[-1])
    values = [[blocks.response.reshape(-1, len(dictionary))[c, i] for c in cell if c >= 0]
              for i, cell in enumerate(dictionary)]  # fmt: skip
    gradients = {"linear": blocks.gradient, "path": blocks.path}
    return {
        "size": list(blocks.response.shape[1:]),
        "classes": [
            {
                "label": label,
                "probability": _rounded(p),
                "logit": _rounded(a),
                "silent": _rounded(b),
            }
            for label, p, a, b in zip(
                blocks.labels, blocks.probabilities, blocks.logits, blocks.silent, strict=True
            )
        ],
        "channels": listed,
        "peaks": _shorts(peak),
        "maps": _base64(levels),
        "dictionary": [[int(c) for c in cell if c >= 0] for cell in dictionary],
        "values": [_shorts(cell) for cell in values],
        "of_cells": {
            kind: [_shorts(row) for row in blocks.of_cells(g).reshape(len(g), -1)]
            for kind, g in gradients.items()
        },
        "of_channels": {
            kind: [_shorts(row[listed]) for row in blocks.of_channels(g)]
            for kind, g in gradients.items()
        },
    }


def listed_channels(blocks: BuildingBlocks) -> list[int]:
    """The channels that the page can show a map of: those named anywhere on it, MAPS at most.

    Most often named first in line, in the order of their numbers.
    """
    counts = np.zeros(len(blocks.response), dtype=np.int64)
    np.add.at(counts, blocks.dictionary[blocks.dictionary >= 0], 1)
    for gradient in (blocks.gradient, blocks.path):
        for row in blocks.of_channels(gradient):
            counts[top(row, NAMED) + top(-row, NAMED)] += len(counts)
    if blocks.groups is not None:
        for weights in blocks.groups.weights:
            counts[top(weights, NAMED)] += len(counts)
    most = np.argsort(-counts, kind="stable")[:MAPS]
    return sorted(int(channel) for channel in most if counts[channel] > 0)


def _group_data(
    picture: str, blocks: BuildingBlocks, channels: Channels, to: To
) -> list[dict[str, Any]]:
    groups = blocks.groups
    if groups is None:
        return []
    rows = []
    for g, values in enumerate(groups.maps):
        peak = float(values.max()) or 1.0
        visualised = channels.groups.get((picture, g))
        rows.append(
            {
                "peak": _rounded(peak),
                "map": _base64(np.rint(values / peak * 127).astype(np.int8)),
                "share": _rounded(groups.share[g]),
                "channels": top(groups.weights[g], NAMED),
                "weights": _shorts(groups.weights[g][top(groups.weights[g], NAMED)]),
                "picture": to(visualised.path) if visualised else None,
                "linear": _shorts(groups.linear[g]),
                "path": _shorts(groups.path[g]),
                "measured": _shorts(groups.measured[g]),
                "shuffled": _shorts(groups.shuffled[g]),
            }
        )
    return rows


def _base64(levels: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(levels).tobytes()).decode()


def _hex(colour: np.ndarray) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in colour)


def _rounded(value: float) -> float:
    return float(f"{float(value):.3g}")


def _shorts(values: Any) -> list[float]:
    return [_rounded(value) for value in values]
