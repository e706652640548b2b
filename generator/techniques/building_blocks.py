"""Building blocks: what one layer says of each cell of a picture, and what that does to the classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from generator.errors import UsageError
from generator.figures.building_blocks import all_groups, cells, one_group
from generator.figures.figure import Figure, published
from generator.figures.overlay import signed
from generator.figures.panels import Panel, in_rows
from generator.formatting import number, percent
from generator.probes.building_blocks import (
    BuildingBlocks,
    blocks_layer,
    measure_building_blocks,
)
from generator.probes.feature_visualisation import Visualised, visualise_features
from generator.probes.integrated_gradients import MOST
from generator.probes.optvis.wants import want_direction, want_unit
from generator.run import PICTURES, Run, Section, Technique
from generator.table import Table
from generator.techniques.blocks_data import PlayedBlocks, script_data
from generator.techniques.blocks_view import PAGE, View, blocks_view
from generator.techniques.channels import Channels, channel_tiles, channels_of
from generator.techniques.components import inline
from generator.techniques.naming import layer_of, listed, one_of
from generator.widget import To, Widget

PICTURES_TAKEN = 3  # where the exhibit names none
# The dictionaries are drawn small, as one tile a channel, and of a very wide layer not all: twice as many as
# units are visualised. Twice the steps raise a channel by a fifth more, and show the same.
SMALL, SMALL_STEPS = 64, 48
LEAST = 8  # points of a path, where the network is large

BlocksOf = Mapping[str, BuildingBlocks]


def measure(run: Run) -> BlocksOf:
    """Some curated pictures taken apart, by their ids."""
    blocks = {}
    for name in run.budget.blocks or tuple(run.pixels)[:PICTURES_TAKEN]:
        blocks[name] = _measured(run, name)
        run.step(f"{run.model.id}: building blocks of {name}")
    return blocks


def _measured(run: Run, name: str) -> BuildingBlocks:
    layer, most = blocks_layer(run.vision), max(LEAST, int(MOST * run.share))
    return measure_building_blocks(run.vision, name, run.pixels[name], layer, run.store, most)


def measure_groups(run: Run) -> Mapping[tuple[str, int], Visualised]:
    """A picture for each group of channels of the building blocks, by picture and group."""
    layer = blocks_layer(run.vision)
    if layer is None or not run.budget.features:
        return {}
    wants = {
        (picture, g): want_direction(run.vision, layer, weights, f"group-{picture}-{g}")
        for picture, blocks in run[BUILDING_BLOCKS].items()
        for g, weights in enumerate(blocks.groups.weights if blocks.groups else ())
    }
    # They are shown small.
    steps = max(1, round(160 * run.budget.steps))
    small = [replace(want, size=min(128, want.size), steps=steps) for want in wants.values()]
    pictures = visualise_features(run.vision, small, seed=run.seed, store=run.store, step=run.step)
    return dict(zip(wants, pictures, strict=True))


def measure_channels(run: Run) -> Mapping[int, Visualised]:
    """A small picture of every channel of the layer, by its number; of very many those named most often."""
    layer = blocks_layer(run.vision)
    if layer is None or not run.budget.features:
        return {}
    steps = max(1, round(SMALL_STEPS * run.budget.steps))
    named = np.zeros(layer.units, dtype=np.int64)
    for blocks in run[BUILDING_BLOCKS].values():
        np.add.at(named, blocks.dictionary[blocks.dictionary >= 0], 1)
    count = layer.units if run.full else 2 * run.budget.features
    most = np.argsort(-named, kind="stable")[:count]
    wants = {
        int(unit): replace(
            want_unit(run.vision, layer, int(unit)),
            name=f"channel-{unit}",
            size=SMALL,
            steps=steps,
        )
        for unit in sorted(most)
    }
    asked = tuple(wants.values())
    pictures = visualise_features(run.vision, asked, seed=run.seed, store=run.store, step=run.step)
    return dict(zip(wants, pictures, strict=True))


def figure(run: Run, image: str, classes: int = 2) -> Figure:
    """One layer on a picture: each cell as its strongest channel, and the cells' support for classes."""
    blocks, picture, label = _taken_apart(run, image)
    layer = layer_of(run.vision, blocks.layer)
    tiles = channel_tiles(run, layer, run[CHANNELS])
    row = [Panel(picture, label)]
    rows, columns = blocks.response.shape[1:]
    if len(tiles):
        share = blocks.response.max(axis=0) / (blocks.full or 1.0)
        drawn = cells(picture, share, blocks.dictionary[..., 0], tiles)
        row.append(Panel(drawn, layer.name, f"{rows} × {columns} cells, strongest channel of each"))
    support = blocks.of_cells(blocks.gradient)[:classes]
    peak = float(np.abs(blocks.of_cells(blocks.gradient)).max(initial=0))
    named = blocks.labels[: len(support)]
    for values, name, probability in zip(support, named, blocks.probabilities, strict=False):
        note = f"support, {percent(float(probability))}"
        row.append(Panel(signed(picture, values, peak), name, note))
    speaks = f"; and which cells speak for {listed(named)}" if named else ""
    for_classes = (
        ", and the linear support of each cell for a class, orange for it and blue against it"
        if named
        else ""
    )
    return published(
        "panels",
        {"rows": (tuple(row),), "widest": 330.0},
        f"The picture of {label}; its {rows} by {columns} cells in {layer.name}, each drawn as the channel "
        f"that responds most there{speaks}.",
        f"{layer.name} on the picture of {label}: each cell as the channel that responds most "
        f"there{for_classes}.",
    )


def groups_figure(run: Run, image: str) -> Figure:
    """Groups of channels that respond together on a picture, and what each does to the first class."""
    blocks, picture, label = _taken_apart(run, image)
    groups = blocks.groups
    if groups is None:
        raise UsageError(
            f"no response of {blocks.layer} of {run.model.id} to '{image}' is above zero."
        )
    row = [Panel(picture, label), Panel(all_groups(picture, groups.maps), "all groups")]
    for g in range(len(groups.maps)):
        note = percent(float(groups.share[g]), 0)
        if blocks.labels:
            change = -float(groups.measured[g, 0])
            note += f"; logit {'+' if change > 0 else '−'}{number(abs(change), 2)} without"
        row.append(Panel(one_group(picture, groups.maps, g), f"group {g + 1}", note))
    effect = (
        f", and how the logit of {blocks.labels[0]} really changes without it"
        if blocks.labels
        else ""
    )
    return published(
        "panels",
        {"rows": in_rows(row, 4), "widest": 260.0},
        f"The picture of {label} and {len(groups.maps)} groups of channels of {blocks.layer} over it, each "
        "where it responds.",
        f"{len(groups.maps)} groups of channels of {blocks.layer} that respond together on the picture of "
        f"{label}. Above each: its share of all that is above zero{effect}.",
    )


def _taken_apart(run: Run, name: str) -> tuple[BuildingBlocks, np.ndarray, str]:
    """Any curated picture taken apart, as the network sees it, and its label."""
    label = run.image(name).label
    blocks = _measured(run, name)
    if blocks.reason:
        raise UsageError(f"{run.model.id}: {blocks.reason}")
    return blocks, run.seen[name], label


def view(run: Run) -> View:
    """The section on the page of building blocks."""
    return blocks_view(run, run[BUILDING_BLOCKS], _channels(run))


def _channels(run: Run) -> Channels:
    layer = blocks_layer(run.vision)
    return channels_of(run, layer, run[CHANNELS], run[GROUPS]) if layer else Channels()


def pictures_taken(run: Run) -> tuple[str, ...]:
    """The ids of the pictures that could be taken apart."""
    return tuple(name for name, blocks in run[BUILDING_BLOCKS].items() if not blocks.reason)


def widget(run: Run, image: str) -> Widget:
    """One layer on a picture, to be taken apart: cells, channels, groups, and their support for classes."""
    known = pictures_taken(run)
    name = one_of("picture", image, known, f"{run.model.id} has no building blocks of the")
    channels, blocks = _channels(run), run[BUILDING_BLOCKS][name]
    (item,) = blocks_view(run, {name: blocks}, channels).items
    layer, label = layer_of(run.vision, blocks.layer), run.image(name).label

    def view(to: To) -> PlayedBlocks:
        return PlayedBlocks(
            name, label, inline(script_data(run.vision, layer, [item], channels, to))
        )

    figures = (item.picture.thumb, item.cells, channels.sheet, *channels.groups.values())
    drawings = {id(one.drawing): one.drawing for one in figures if one is not None}
    return Widget(
        "building_blocks",
        "blocks",
        f"{layer.name} of {run.model.title} on the picture of {label}, taken apart.",
        "A cell is shown with the channels that respond most there; a channel, a group or a class with where "
        "it is. Orange speaks for a class, blue against it.",
        view,
        ("blocks",),
        ("blocks",),
        drawings=tuple(drawings.values()),
        wide=True,
    )


def tables(run: Run) -> Iterator[Table]:
    """What attributions add up to, and what each group does, for every picture and class."""
    blocks = run[BUILDING_BLOCKS]
    if any(each.labels for each in blocks.values()):
        yield Table("building_blocks.csv", lambda: (_BLOCKS, block_rows(blocks)))
    if any(each.labels and each.groups for each in blocks.values()):
        yield Table("building_groups.csv", lambda: (_GROUPS, group_rows(blocks)))


_BLOCKS = (
    *("picture", "layer", "class", "probability", "logit", "silent", "linear", "path"),
    *("path_error", "path_points"),
)
_GROUPS = (
    *("picture", "layer", "group", "share", "class"),
    *("linear", "path", "measured", "shuffled"),
)


def block_rows(blocks_of: BlocksOf) -> Iterator[Sequence[object]]:
    """Each picture's classes: logits with and without the layer, the attributions' sums, the path's error."""
    for picture, blocks in blocks_of.items():
        if not blocks.labels:
            continue
        sums = (blocks.of_channels(each).sum(1) for each in (blocks.gradient, blocks.path))
        logits = (blocks.probabilities, blocks.logits, blocks.silent)
        numbers = (*logits, *sums, blocks.path_error)
        for label, *values in zip(blocks.labels, *numbers, strict=True):
            yield (picture, blocks.layer, label, *values, blocks.points)


def group_rows(blocks_of: BlocksOf) -> Iterator[Sequence[object]]:
    """What each group of channels does to each class; the last group of a picture is all the rest."""
    for picture, blocks in blocks_of.items():
        groups = blocks.groups
        if groups is None:
            continue
        effects = (groups.linear, groups.path, groups.measured, groups.shuffled)
        count = len(groups.maps)
        for g, c in np.ndindex(groups.measured.shape):
            name, share = (g + 1, groups.share[g]) if g < count else ("rest", "")
            values = (each[g, c] for each in effects)
            yield (picture, blocks.layer, name, share, blocks.labels[c], *values)


BUILDING_BLOCKS = Technique(
    name="building_blocks",
    title="Building blocks",
    search="NMF semantic dictionary groups of channels",
    reads=PICTURES,
    measure=measure,
    figures={"building_blocks": figure, "nmf": groups_figure},
    widgets={"building_blocks": widget},
    tables=tables,
    sections=(Section(PAGE, "blocks", "building_blocks.html", view),),
)
CHANNELS = Technique(
    name="channels",
    title="Semantic dictionary, visualised",
    search="semantic dictionary channels",
    reads=PICTURES,
    measure=measure_channels,
)
GROUPS = Technique(
    name="groups",
    title="Groups of channels, visualised",
    search="NMF groups",
    reads=PICTURES,
    measure=measure_groups,
)
