"""Which figures are drawn of pictures that were made: feature visualisations, dreams, building blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from generator.figures.building_blocks import TILE
from generator.figures.figure import Drawing
from generator.findings import VisionFindings
from generator.inputs.images import as_seen, open_rgb
from generator.models.layer import Layer
from generator.probes.building_blocks import BuildingBlocks, near_box
from generator.techniques.features import picture

GREY = (128, 128, 128)


def made_drawings(findings: VisionFindings) -> Iterator[Drawing]:
    """The building blocks with their tiles."""
    folder = f"models/{findings.model.id}"
    for each in findings.groups.values():
        yield picture(findings.run, each, "").drawing
    yield from _blocks(folder, findings)


def _blocks(folder: str, findings: VisionFindings) -> Iterator[Drawing]:
    usable = {name: found for name, found in findings.blocks.items() if not found.reason}
    if not usable:
        return
    name = next(iter(usable.values())).layer
    layer = next(each for each in findings.model.layers if each.name == name)
    tiles = channel_tiles(findings, layer)
    if len(tiles):
        yield Drawing("channel_tiles", {"tiles": tiles}, (f"{folder}/blocks/channels.webp",))
    for name, found in usable.items():
        yield _one_picture(folder, name, findings.seen[name], found, tiles)


def _one_picture(
    folder: str, name: str, picture: np.ndarray, found: BuildingBlocks, tiles: np.ndarray
) -> Drawing:
    strongest = found.dictionary[..., 0]
    support = found.of_cells(found.gradient)
    groups = found.groups.maps if found.groups else np.zeros((0, *strongest.shape))
    parts = [
        *(["cells"] if len(tiles) else []),
        *(f"class-{number}" for number in range(len(support))),
        *(["groups"] if len(groups) else []),
        *(f"group-{number}" for number in range(len(groups))),
    ]
    return Drawing(
        "building_blocks",
        {
            "picture": picture,
            "peak": found.response.max(axis=0),
            "strongest": strongest,
            "full": found.full,
            "tiles": tiles,
            "support": support,
            "groups": groups,
        },
        tuple(f"{folder}/blocks/{name}-{part}.webp" for part in parts),
    )


def channel_tiles(findings: VisionFindings, layer: Layer) -> np.ndarray:
    """What stands for each channel of a layer: its visualisation, or the best patch of its exemplar.

    (units, TILE, TILE, 3) uint8, grey for a unit that no picture excites more than others; none where the
    pool was not searched for this layer. A patch has what the response depends on in its middle.
    """
    exemplars = findings.exemplars.of(layer.name) if findings.exemplars else None
    if exemplars is None:
        return np.zeros((0, TILE, TILE, 3), dtype=np.uint8)
    how = findings.model.preprocessing
    backs = findings.searched.deconvolutions.of(layer.name) if findings.searched else None
    seen = {
        int(n): as_seen(open_rgb(findings.pool[int(n)].path), how)
        for n in np.unique(exemplars.neuron[:, 0])
        if n >= 0
    }
    tiles = []
    for unit in range(layer.units):
        made = findings.feature(layer.name, unit)
        if made is not None:
            shown = Image.fromarray(made.picture[..., :3])
            box = (0, 0, shown.width, shown.height)
        elif exemplars.neuron[unit, 0] < 0:
            shown, box = Image.new("RGB", (1, 1), GREY), (0, 0, 1, 1)
        else:
            shown = seen[int(exemplars.neuron[unit, 0])]
            centre = None if backs is None else backs.centre[unit]
            place = int(exemplars.place[unit, 0])
            left, top, wide, high = near_box(layer, place, shown.width, centre)
            box = (left, top, left + wide, top + high)
        tiles.append(np.asarray(shown.resize((TILE, TILE), Image.Resampling.BOX, box=box)))
    return np.stack(tiles)
