"""How the channels of a layer are drawn as tiles: a feature visualisation, or the best patch of the pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from generator.addresses import Link, unit_address
from generator.figures.building_blocks import COLUMNS, TILE
from generator.figures.figure import Drawing, Figure
from generator.inputs.images import square_of
from generator.models.layer import Layer
from generator.probes.building_blocks import near_box
from generator.probes.exemplars import LayerExemplars
from generator.probes.feature_visualisation import Visualised
from generator.run import Run
from generator.techniques.deconvolution import DECONVOLUTION
from generator.techniques.exemplars import EXEMPLARS, needs_pool
from generator.techniques.features import FEATURES, picture, visualised

# Links to channels, each with its response or weight.
Named = tuple[tuple[Link, float], ...]

GREY = (128, 128, 128)
NO_TILES = np.zeros((0, TILE, TILE, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Channels:
    """How the channels of a layer are drawn, and where they lead.

    `tiles` (channels, TILE, TILE, 3) uint8 are all of them, none without a pool, and `sheet` shows them in
    one picture. `features` maps a channel to its feature visualisation, where one was made; the other tiles
    are patches of exemplars. `linked` says that units have pages. `groups` maps (picture, group) to the
    visualisation of a group of channels.
    """

    tiles: np.ndarray = field(default_factory=lambda: NO_TILES, repr=False)
    sheet: Figure | None = None
    features: Mapping[int, Figure] = field(default_factory=dict)
    groups: Mapping[tuple[str, int], Figure] = field(default_factory=dict)
    linked: bool = False


def channels_of(
    run: Run, layer: Layer, groups: Mapping[tuple[str, int], Visualised] | None = None
) -> Channels:
    """How the channels of a layer are drawn, beside visualised `groups` of them by picture and number."""
    tiles = channel_tiles(run, layer)
    sheet = Drawing(
        "tile_sheet",
        {"tiles": tiles, "columns": COLUMNS},
        (f"{run.folder}/blocks/channels.webp",),
    )
    single = (each for each in run[FEATURES] if each.want.kind == "channel")
    return Channels(
        tiles=tiles,
        sheet=Figure(sheet, "") if len(tiles) else None,
        features={
            each.want.unit: picture(run, each, "")
            for each in single
            if each.want.layer == layer.name
        },
        groups={key: picture(run, each, "") for key, each in (groups or {}).items()},
        linked=_exemplars(run, layer) is not None,
    )


def named_channels(
    run: Run, layer: str, channels: Channels, listed: Sequence[int], values: np.ndarray
) -> Named:
    """The `listed` channels by name with their values (channels,), linked to the pages that they have."""
    model = run.vision.id
    return tuple(
        (
            Link(unit_address(model, layer, c) if channels.linked else "", f"unit {c}"),
            float(values[c]),
        )
        for c in listed
    )


def channel_tiles(run: Run, layer: Layer) -> np.ndarray:
    """A tile for each channel of a layer: its visualisation, or the best patch of its exemplar.

    (units, TILE, TILE, 3) uint8, grey for a unit that no picture excites more than others; none where the
    pool was not searched for this layer. A patch has what the response depends on in its middle.
    """
    return run.once(("channel tiles", layer.name), lambda: _tiles(run, layer))


def _exemplars(run: Run, layer: Layer) -> LayerExemplars | None:
    return None if needs_pool(run) else run[EXEMPLARS].of(layer.name)


def _tiles(run: Run, layer: Layer) -> np.ndarray:
    exemplars = _exemplars(run, layer)
    if exemplars is None:
        return NO_TILES
    how, pool = run.vision.preprocessing, run.inputs.pool
    best = exemplars.neuron[:, 0]
    seen = {int(n): square_of(pool[int(n)].path, how) for n in np.unique(best) if n >= 0}
    centres = run[DECONVOLUTION].of(layer.name)
    tiles = []
    for unit in range(layer.units):
        visualisation = visualised(run, layer.name, unit)
        if visualisation is not None:
            source = Image.fromarray(visualisation.picture[..., :3])
            box = (0, 0, source.width, source.height)
        elif best[unit] < 0:
            source, box = Image.new("RGB", (1, 1), GREY), (0, 0, 1, 1)
        else:
            source = seen[int(best[unit])]
            centre = None if centres is None else centres.centre[unit]
            position = int(exemplars.place[unit, 0])
            left, top, wide, high = near_box(layer, position, source.width, centre)
            box = (left, top, left + wide, top + high)
        tiles.append(np.asarray(source.resize((TILE, TILE), Image.Resampling.BOX, box=box)))
    return np.stack(tiles)
