"""How the channels of a layer are drawn as tiles: feature visualisations, or the best patches of the pool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from generator.techniques.exemplars import exemplars_of
from generator.techniques.features import picture

# Links to channels, each with its response or weight.
Named = tuple[tuple[Link, float], ...]

GREY = 128
NO_TILES = np.zeros((0, TILE, TILE, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Channels:
    """How the channels of a layer are drawn, and where they lead.

    `tiles` (channels, TILE, TILE, 3) uint8 are all of them, and `sheet` shows them in one picture; there are
    none without a pool and without visualisations. `made` counts the channels drawn by feature visualisation;
    the other tiles are patches of exemplars. `linked` says that units have pages. `groups` maps (picture,
    group) to the visualisation of a group of channels.
    """

    tiles: np.ndarray = field(default_factory=lambda: NO_TILES, repr=False)
    sheet: Figure | None = None
    made: int = 0
    groups: Mapping[tuple[str, int], Figure] = field(default_factory=dict)
    linked: bool = False


def channels_of(
    run: Run,
    layer: Layer,
    made: Mapping[int, Visualised],
    groups: Mapping[tuple[str, int], Visualised],
) -> Channels:
    """How the channels of a layer are drawn, some of them `made`, beside groups by picture and number."""
    tiles = channel_tiles(run, layer, made)
    sheet = Drawing(
        "tile_sheet",
        {"tiles": tiles, "columns": COLUMNS},
        (f"{run.folder}/blocks/channels.webp",),
    )
    return Channels(
        tiles=tiles,
        sheet=Figure(sheet, "") if len(tiles) else None,
        made=len(made),
        groups={key: picture(run, each, "") for key, each in groups.items()},
        linked=exemplars_of(run, layer.name) is not None,
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


def channel_tiles(run: Run, layer: Layer, made: Mapping[int, Visualised]) -> np.ndarray:
    """A tile for each channel of a layer: its visualisation where one was `made`, else its best patch.

    (units, TILE, TILE, 3) uint8. A patch has what the response depends on in its middle; it is grey for a
    unit that no picture of the pool excites more than others. None at all where there is neither.
    """
    return run.once(("channel tiles", layer.name), lambda: _tiles(run, layer, made))


def _tiles(run: Run, layer: Layer, made: Mapping[int, Visualised]) -> np.ndarray:
    exemplars = exemplars_of(run, layer.name)
    if exemplars is None and not made:
        return NO_TILES
    tiles = np.full((layer.units, TILE, TILE, 3), GREY, dtype=np.uint8)
    if exemplars is not None:
        for unit, patch in _patches(run, layer, exemplars, set(range(layer.units)) - set(made)):
            tiles[unit] = patch
    for unit, visualisation in made.items():
        tiles[unit] = _fitted(Image.fromarray(visualisation.picture[..., :3]))
    return tiles


def _patches(
    run: Run, layer: Layer, exemplars: LayerExemplars, units: Iterable[int]
) -> Iterator[tuple[int, np.ndarray]]:
    """The patch of the strongest picture of each unit that has one."""
    how, pool = run.vision.preprocessing, run.inputs.pool
    best = exemplars.neuron[:, 0]
    chosen = [unit for unit in sorted(units) if best[unit] >= 0]
    seen = {int(n): square_of(pool[int(n)].path, how) for n in np.unique(best[chosen])}
    centres = run[DECONVOLUTION].of(layer.name) if chosen else None
    for unit in chosen:
        source = seen[int(best[unit])]
        centre = None if centres is None else centres.centre[unit]
        position = int(exemplars.place[unit, 0])
        left, top, wide, high = near_box(layer, position, source.width, centre)
        yield unit, _fitted(source, (left, top, left + wide, top + high))


def _fitted(
    source: Image.Image, box: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    return np.asarray(source.resize((TILE, TILE), Image.Resampling.BOX, box=box))
