"""Which figures the units are drawn as: the pool, contact sheets, deconvolutions, and their plates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from PIL import Image

from generator.figures.figure import Drawing
from generator.figures.mosaic import CONTACT
from generator.findings import PoolFindings, VisionFindings
from generator.inputs.images import as_seen, open_rgb
from generator.models.layer import Layer
from generator.probes.backward import RULES
from generator.probes.deconvolution import LARGE, TILE, UnitBacks
from generator.probes.exemplars import LayerExemplars, field_box, unit_layers
from generator.techniques.pool import pool_photographs


def unit_drawings(findings: VisionFindings) -> Iterator[Drawing]:
    """The pool as the network saw it, which unit pages cut their patches from, and the layers' sheets."""
    if findings.searched is None:
        return
    how, folder = findings.model.preprocessing, f"models/{findings.model.id}"
    seen = [as_seen(open_rgb(one.path), how) for one in findings.pool]
    yield pool_photographs(findings.run)
    for layer in unit_layers(findings.model):
        exemplars = findings.searched.exemplars.of(layer.name)
        if exemplars is not None:
            yield from _layer(folder, layer, exemplars, findings.searched, seen)
    yield from _checkpoints(folder, findings.searched)


def _layer(
    folder: str,
    layer: Layer,
    exemplars: LayerExemplars,
    searched: PoolFindings,
    seen: Sequence[Image.Image],
) -> Iterator[Drawing]:
    best = np.stack([patch(layer, exemplars, u, 0, seen, CONTACT) for u in range(layer.units)])
    inside = f"{folder}/layers/{layer.name}"
    yield Drawing("contact_sheet", {"tiles": best}, (f"{inside}/units.webp",))
    backs = searched.deconvolutions.of(layer.name)
    if backs is not None:
        for rule, tiles in (("deconvolutions", backs.tiles), ("guided", backs.guided)):
            for rank in range(tiles.shape[1]):
                name = f"{rule}-{rank}" if rank else rule
                shown = {"tiles": tiles[:, rank], "side": TILE}
                yield Drawing("deconvolution_sheet", shown, (f"{inside}/{name}.webp",))
    featured = [one for one in searched.deconvolutions.featured if one.layer == layer.name]
    if featured:
        yield from _featured(folder, layer, exemplars, featured, seen)


def _featured(
    folder: str,
    layer: Layer,
    exemplars: LayerExemplars,
    featured: Sequence[UnitBacks],
    seen: Sequence[Image.Image],
) -> Iterator[Drawing]:
    """The plate of a layer, and for each of its units all rules side by side."""
    count = exemplars.neuron.shape[1]
    patches = {
        one.unit: np.stack(
            [patch(layer, exemplars, one.unit, n, seen, LARGE) for n in range(count)]
        )
        for one in featured
    }
    inside = f"{folder}/layers/{layer.name}"
    yield Drawing(
        "evolution_plate",
        {
            "units": tuple(one.unit for one in featured),
            "patches": np.stack([patches[one.unit] for one in featured]),
            "backs": np.stack([one.tiles[:, 0] for one in featured]),
            "guided": np.stack([one.tiles[:, 1] for one in featured]),
        },
        (f"{inside}/evolution.webp",),
    )
    for one in featured:
        rules = {rule: one.tiles[:, number] for number, rule in enumerate(RULES)}
        shown = {"patches": patches[one.unit], **rules}
        yield Drawing("rules_strip", shown, (f"{inside}/units/{one.unit}-rules.webp",))


def patch(
    layer: Layer,
    exemplars: LayerExemplars,
    unit: int,
    rank: int,
    seen: Sequence[Image.Image] | Mapping[int, Image.Image],
    side: int,
) -> np.ndarray:
    """What a unit's neuron sees of its picture of some rank, (side, side, 3); grey without one."""
    number = int(exemplars.neuron[unit, rank])
    if number < 0:
        return np.full((side, side, 3), 128, dtype=np.uint8)
    picture = seen[number]
    left, top, width, height = field_box(layer, int(exemplars.place[unit, rank]), picture.width)
    box = (left, top, left + width, top + height)
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX, box=box))


def _checkpoints(folder: str, searched: PoolFindings) -> Iterator[Drawing]:
    """The units of each layer through training, and the course of it."""
    series = searched.checkpoints
    if series is None or not series.states:
        return
    for number, layer in enumerate(series.layers):
        states = [state.layers[number] for state in series.states]
        yield Drawing(
            "checkpoint_plate",
            {
                "layer": layer,
                "labels": series.labels,
                "units": states[0].units,
                "patches": np.stack([state.patch for state in states]),
                "projections": np.stack([state.projection for state in states]),
                "values": np.stack([state.value for state in states]),
            },
            (f"{folder}/checkpoints/{layer}.webp",),
        )
    likeness = [[layer.mean_likeness for layer in state.layers] for state in series.states]
    yield Drawing(
        "checkpoint_course",
        {
            "labels": series.labels,
            "accuracy": np.array([state.accuracy for state in series.states]),
            "error": np.array([state.accuracy_error for state in series.states]),
            "layers": series.layers,
            "likeness": np.array(likeness).T,
        },
        (f"{folder}/checkpoints/course.svg",),
    )
