"""The page of the building blocks: a layer's cells, channels and groups, and what they do to the classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from generator.addresses import Link, part_address, relative
from generator.figures.building_blocks import GROUP_COLOURS
from generator.figures.figure import Drawing, Figure
from generator.formatting import thousands
from generator.models.layer import Layer
from generator.probes.building_blocks import NEAR, BuildingBlocks
from generator.probes.channel_groups import Groups
from generator.probes.integrated_gradients import TOLERANCE
from generator.run import Run
from generator.techniques.blocks_data import NAMED, PictureData, script_data, top
from generator.techniques.channels import Channels, Named, named_channels
from generator.techniques.flops import why_fewer
from generator.techniques.links import layer_page
from generator.techniques.pictures import shown

PAGE = "building-blocks"
STRONGEST = 6


@dataclass(frozen=True)
class Support:
    """A class: its logit, that of the `silent` layer, the sums of both attributions, and its cells."""

    label: str
    probability: float
    logit: float
    silent: float
    linear: float
    path: float
    figure: Figure


@dataclass(frozen=True)
class Cell:
    """A cell: its support for each class, and the channels that respond most there."""

    name: str
    support: tuple[float, ...]
    channels: Named


@dataclass(frozen=True)
class Group:
    """A group of channels, or without a figure all the rest.

    `numbers` are its linear and path attribution and its measured effect on each class.
    """

    name: str
    numbers: tuple[tuple[float, float, float], ...]
    colour: str = ""
    share: float = 0.0
    figure: Figure | None = None
    channels: Named = ()


@dataclass(frozen=True)
class Effect:
    """By how much taking a group away changes a logit on average, and how well that was foreseen."""

    measured: float
    shuffled: float
    linear: float
    path: float


@dataclass(frozen=True)
class Item(PictureData):
    """One picture, taken apart."""

    classes: tuple[Support, ...]
    path_error: float
    strongest: tuple[Cell, ...]
    all_groups: Figure | None
    groups: tuple[Group, ...]
    effect: Effect | None


@dataclass(frozen=True)
class View:
    """All pictures; without any, the reason. `data` is what the script reads, None without classes.

    `facts` about the layer, by name, stand in the header of the page, `fewer` says why fewer pictures and
    points than usual are taken.
    """

    layer: Layer | None
    facts: tuple[tuple[str, str], ...]
    link: Link | None
    reason: str
    channels: Channels
    near: int
    items: tuple[Item, ...]
    no_classes: str
    fewer: str
    data: Mapping[str, Any] | None
    tolerance: float = TOLERANCE


def blocks_view(run: Run, blocks: Mapping[str, BuildingBlocks], channels: Channels) -> View:
    """The section on the page of the building blocks, of pictures by their ids."""
    model, first = run.vision, next(iter(blocks.values()))
    layer = next((each for each in model.layers if each.name == first.layer), None)
    taken = {name: each for name, each in blocks.items() if not each.reason}
    items = tuple(_item(run, name, each, channels) for name, each in taken.items())
    data = None
    if layer and items and model.labels:
        to = partial(relative, part_address(model.id, PAGE))
        data = script_data(model, layer, items, channels, to)
    return View(
        layer,
        _facts(layer) if layer else (),
        layer_page(model, layer) if layer else None,
        first.reason,
        channels,
        _near(layer),
        items,
        "" if model.labels else model.no_classes,
        why_fewer(run),
        data,
    )


def _facts(layer: Layer) -> tuple[tuple[str, str], ...]:
    return (
        ("Layer", layer.name),
        ("Cells", f"{layer.shape[1]} × {layer.shape[2]}"),
        ("Channels", thousands(layer.units)),
        ("Activation", layer.activation or "none (linear)"),
    )


def _near(layer: Layer | None) -> int:
    if layer is None or layer.receptive_field is None:
        return 0
    return NEAR * max(axis.stride for axis in layer.receptive_field)


@dataclass(frozen=True, eq=False)
class _Pictures:
    """The pictures drawn of one that was taken apart, by what they show."""

    drawing: Drawing
    parts: tuple[str, ...]

    def figure(self, part: str, alt: str, kind: str) -> Figure:
        return Figure(self.drawing, alt, number=self.parts.index(part), kind=kind)


def _pictures(run: Run, name: str, blocks: BuildingBlocks, channels: Channels) -> _Pictures:
    strongest = blocks.dictionary[..., 0]
    support = blocks.of_cells(blocks.gradient)
    groups = blocks.groups.maps if blocks.groups else np.zeros((0, *strongest.shape))
    parts = (
        *(["cells"] if len(channels.tiles) else []),
        *(f"class-{number}" for number in range(len(support))),
        *(["groups"] if len(groups) else []),
        *(f"group-{number}" for number in range(len(groups))),
    )
    arguments = {
        "picture": run.seen[name],
        "peak": blocks.response.max(axis=0),
        "strongest": strongest,
        "full": blocks.full,
        "tiles": channels.tiles,
        "support": support,
        "groups": groups,
    }
    paths = tuple(f"{run.folder}/blocks/{name}-{part}.webp" for part in parts)
    return _Pictures(Drawing("building_blocks", arguments, paths), parts)


def _item(run: Run, name: str, blocks: BuildingBlocks, channels: Channels) -> Item:
    image = next(each for each in run.inputs.images if each.id == name)
    pictures = _pictures(run, name, blocks, channels)
    cells = all_groups = None
    if len(channels.tiles):
        count, (rows, columns) = (
            len(np.unique(blocks.dictionary[..., 0])),
            blocks.response.shape[1:],
        )
        alt = (
            f"The {rows} by {columns} cells of the picture of {image.label}, each drawn as the channel that "
            f"responds most there: {count} different channels."
        )
        cells = pictures.figure("cells", alt, "building_blocks")
    if blocks.groups:
        count = len(blocks.groups.maps)
        alt = f"The picture of {image.label}, each place in the colour of the strongest of {count} groups."
        all_groups = pictures.figure("groups", alt, "nmf")
    return Item(
        shown(run, image),
        cells,
        blocks,
        _classes(blocks, image.label, pictures),
        float(blocks.path_error.max(initial=0.0)),
        _strongest(run, blocks, channels),
        all_groups,
        _groups(run, blocks, image.label, channels, pictures),
        _effect(blocks.groups),
    )


def _classes(blocks: BuildingBlocks, of: str, pictures: _Pictures) -> tuple[Support, ...]:
    linear, path = blocks.of_cells(blocks.gradient), blocks.of_cells(blocks.path)
    return tuple(
        Support(
            label,
            float(blocks.probabilities[k]),
            float(blocks.logits[k]),
            float(blocks.silent[k]),
            float(linear[k].sum()),
            float(path[k].sum()),
            pictures.figure(
                f"class-{k}",
                f"Linear support for {label} over the picture of {of}: most for it at "
                f"{_peak(linear[k])}, most against it at {_peak(-linear[k])}.",
                "" if k else "building_blocks",  # one of them is enough for a gallery
            ),
        )
        for k, label in enumerate(blocks.labels)
    )


def _peak(values: np.ndarray) -> str:
    row, column = divmod(int(values.argmax()), values.shape[1])
    return f"row {row}, column {column}"


def _groups(
    run: Run, blocks: BuildingBlocks, of: str, channels: Channels, pictures: _Pictures
) -> tuple[Group, ...]:
    """The groups in order, then all the rest."""
    groups = blocks.groups
    if groups is None:
        return ()
    rows = [
        Group(
            f"Group {g + 1}",
            _numbers(groups, g),
            GROUP_COLOURS[g % len(GROUP_COLOURS)],
            float(groups.share[g]),
            pictures.figure(
                f"group-{g}",
                f"Group {g + 1} over the picture of {of}: strongest at {_peak(values)}.",
                "nmf",
            ),
            named_channels(run, blocks.layer, channels, top(weights, NAMED), weights),
        )
        for g, (values, weights) in enumerate(zip(groups.maps, groups.weights, strict=True))
    ]
    return (*rows, Group("All the rest", _numbers(groups, len(rows))))


def _numbers(groups: Groups, row: int) -> tuple[tuple[float, float, float], ...]:
    columns = (groups.linear[row], groups.path[row], groups.measured[row])
    return tuple((float(a), float(b), float(c)) for a, b, c in zip(*columns, strict=True))


def _effect(groups: Groups | None) -> Effect | None:
    if groups is None or not groups.measured.size:
        return None
    measured, shuffled = (np.abs(each[:-1]).mean() for each in (groups.measured, groups.shuffled))
    return Effect(float(measured), float(shuffled), *groups.agreement)


def _strongest(run: Run, blocks: BuildingBlocks, channels: Channels) -> tuple[Cell, ...]:
    """The cells that speak most for or against the first class, with their semantic dictionary.

    Where there are no classes, those that respond most.
    """
    support = blocks.of_cells(blocks.gradient)
    by = np.abs(support[0]) if len(support) else blocks.response.max(axis=0)
    order = np.argsort(-np.round(by, 6), axis=None, kind="stable")[:STRONGEST]
    cells = []
    for position in order:
        row, column = divmod(int(position), support.shape[2])
        listed = [int(c) for c in blocks.dictionary[row, column] if c >= 0]
        named = named_channels(run, blocks.layer, channels, listed, blocks.response[:, row, column])
        values = tuple(float(value) for value in support[:, row, column])
        cells.append(Cell(f"row {row}, column {column}", values, named))
    return tuple(cells)
