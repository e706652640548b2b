"""Units through training: the same units at several states of one network (Zeiler & Fergus 2014, fig. 4).

At each state, a unit's strongest picture of the pool is searched anew, its patch is cut out by the exact
receptive field, and its response is carried back to pixels by deconvolution (`generator.probes.backward`
states the rule; a network without activations that have one gets its plain gradient). How much of the
final unit is there is the Pearson correlation, over the pool, of the unit's peak response at this state
with its peak response in the final network.

A unit is followed by its place in the layer. That is the same unit only within one training run: between
networks trained apart the correlation says nothing. A high correlation says that the unit ranks pictures
as it will in the end, not that it does so by the same features; and the picture that excites a unit most is
an extreme, not the typical one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from generator.models.layer import Layer
from generator.models.model import VisionModel, logits_of
from generator.models.unit_layer import channels
from generator.probes.backward import DECONVOLUTION
from generator.probes.checkpoint_series import CheckpointLayer, CheckpointSeries, CheckpointState
from generator.probes.descent import to_pixels
from generator.probes.exemplars import (
    BATCH,
    PoolImage,
    batches,
    pass_over,
    unit_layers,
)
from generator.probes.ranking import strongest
from generator.store import Store

VERSION = 2
LAYERS = 4
UNITS = 6


@dataclass(frozen=True)
class _Layer:
    """Peaks of every unit on every picture (pictures, units), their positions and pre-activations there."""

    layer: str
    peak: np.ndarray
    place: np.ndarray
    pre: np.ndarray


@dataclass(frozen=True)
class _Pass:
    layers: tuple[_Layer, ...]


def measure_checkpoints(
    model: VisionModel,
    checkpoints: Sequence[tuple[str, VisionModel]],
    pool: Sequence[PoolImage],
    *,
    labels: Sequence[str] = (),
    seed: int,
    store: Store,
    step: Callable[[str], None],
) -> CheckpointSeries:
    """Follow some units of `model` through labelled states of its training, in order.

    `labels` names the class of each picture of the pool, for the accuracy; leave it out if there is none.
    `step` is told each state that is done. Peaks of the followed layers are held for the whole pool.
    """
    layers = _spread(unit_layers(model))
    pictures = tuple(image.id for image in pool)
    reason = _nothing(checkpoints, layers, pool)
    if reason:
        return CheckpointSeries((), (), pictures, reason)
    final = _responses(model, layers, pool, store)
    units = {found.layer: _choose(found.peak, seed, n) for n, found in enumerate(final.layers)}
    layers = tuple(layer for layer in layers if len(units[layer.name]))
    final = _Pass(tuple(found for found in final.layers if len(units[found.layer])))
    if not layers:
        return CheckpointSeries((), (), pictures, "No unit of the network changes over the pool.")
    states = []
    for label, state in checkpoints:
        states.append(_state(state, model, layers, units, final, pool, labels, store))
        step(f"{model.id}: {label}")
    names = tuple(label for label, _ in checkpoints)
    return CheckpointSeries(names, tuple(states), pictures)


def _nothing(
    checkpoints: Sequence[object], layers: Sequence[object], pool: Sequence[object]
) -> str:
    if not checkpoints:
        return "The exhibit names no checkpoints of this network."
    if not layers:
        return "None of the network's layers with units has positions to look at."
    return "" if pool else "The exhibit names no pool of pictures to search for exemplars."


def _spread(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """At most `LAYERS` layers, the first and the last among them, evenly through the depth.

    A layer that no module returns cannot be carried back to pixels.
    """
    usable = [layer for layer in layers if layer.tapped]
    if len(usable) <= LAYERS:
        return tuple(usable)
    places = np.linspace(0, len(usable) - 1, LAYERS).round().astype(int)
    return tuple(usable[place] for place in places)


def _choose(peak: np.ndarray, seed: int, number: int) -> np.ndarray:
    """`UNITS` units at random, in ascending order, among those whose final peaks change over the pool."""
    alive = np.flatnonzero(peak.max(0) > peak.min(0))
    order = np.random.default_rng([seed, number]).permutation(len(alive))
    return np.sort(alive[order[:UNITS]])


def _responses(
    model: VisionModel, layers: Sequence[Layer], pool: Sequence[PoolImage], store: Store
) -> _Pass:
    def make() -> _Pass:
        found = pass_over([channels(model, layer) for layer in layers], pool)
        return _Pass(
            tuple(_Layer(each.layer, each.peak, each.place, each.peak_pre) for each in found)
        )

    parts = {
        "model": model.key,
        "layers": [layer.name for layer in layers],
        "pictures": [image.key for image in pool],
        "batch": BATCH,
    }
    return store.result("checkpoint_responses", VERSION, parts, _Pass, make)


def _state(
    state: VisionModel,
    model: VisionModel,
    layers: Sequence[Layer],
    units: dict[str, np.ndarray],
    final: _Pass,
    pool: Sequence[PoolImage],
    labels: Sequence[str],
    store: Store,
) -> CheckpointState:
    def make() -> CheckpointState:
        ours = _responses(state, layers, pool, store)
        found = tuple(
            _layer(state, layer, units[layer.name], here, there, pool)
            for layer, here, there in zip(layers, ours.layers, final.layers, strict=True)
        )
        return CheckpointState(*_accuracy(state, pool, labels), found)

    parts = {
        "model": state.key,
        "final": model.key,
        "units": {name: chosen.tolist() for name, chosen in units.items()},
        "pictures": [image.key for image in pool],
        "labels": [list(labels), list(state.labels)],
        "batch": BATCH,
    }
    return store.result("checkpoints", VERSION, parts, CheckpointState, make)


def _layer(
    state: VisionModel,
    layer: Layer,
    units: np.ndarray,
    here: _Layer,
    there: _Layer,
    pool: Sequence[PoolImage],
) -> CheckpointLayer:
    picture = strongest(here.peak[:, units], here.pre[:, units])
    place = here.place[picture, units]
    pixels = np.stack([pool[index].load() for index in picture])
    signals = to_pixels(state, layer, pixels, units, place, (DECONVOLUTION,))[:, 0]
    places = place.tolist()
    boxes = [layer.box(each, pixels.shape[-1]) for each in places]
    seen = _as_seen(state, pixels)
    patches = [_framed(one, layer, each) for one, each in zip(seen, places, strict=True)]
    carried = [
        _framed(one, layer, each)[..., :3] for one, each in zip(signals, places, strict=True)
    ]
    return CheckpointLayer(
        layer=layer.name,
        units=units,
        picture=picture,
        place=place,
        value=here.peak[picture, units],
        box=np.array(boxes, dtype=np.int64),
        patch=np.stack(patches).round().astype(np.uint8),
        projection=np.stack(carried),
        likeness=correlation(here.peak, there.peak),
    )


def correlation(peaks: np.ndarray, final: np.ndarray) -> np.ndarray:
    """Pearson correlation over pictures, unit by unit; both are (pictures, units).

    nan for a unit whose peaks do not change on either side.
    """
    ours, theirs = (
        each.astype(np.float64) - each.mean(0, dtype=np.float64) for each in (peaks, final)
    )
    lengths = np.sqrt((ours**2).sum(0) * (theirs**2).sum(0))
    changes = (peaks.max(0) > peaks.min(0)) & (final.max(0) > final.min(0)) & (lengths > 0)
    # Threads add up in their own order: nothing beyond six digits is kept.
    return np.where(
        changes, np.round((ours * theirs).sum(0) / np.where(changes, lengths, 1), 6), np.nan
    )


def _as_seen(model: VisionModel, pixels: np.ndarray) -> np.ndarray:
    """Normalised pixels (N, 3, H, W) as colours from 0 to 255."""
    how = model.preprocessing
    mean, std = (np.array(each, np.float32)[:, None, None] for each in (how.mean, how.std))
    return np.clip((pixels * std + mean) * 255, 0, 255)


def _framed(pixels: np.ndarray, layer: Layer, place: int) -> np.ndarray:
    """The receptive field of a position in (3, H, W), as (side, side, 4) with its own outline.

    All fields of a layer have one frame: the whole picture where the field is not smaller, else the field,
    with what lies beyond the picture's border zero. The last channel is 255 within the picture.
    """
    size = pixels.shape[-1]
    whole = np.full((size, size, 4), 255, dtype=np.float32)
    whole[..., :3] = pixels.transpose(1, 2, 0)
    if layer.receptive_field is None:
        return whole
    row, column = divmod(place, layer.shape[-1])
    vertical, horizontal = layer.receptive_field
    if any(field.whole or field.size >= size for field in (vertical, horizontal)):
        return whole
    top, left = (
        row * vertical.stride + vertical.start,
        column * horizontal.stride + horizontal.start,
    )
    margin = max(vertical.size, horizontal.size)
    padded = np.pad(whole, ((margin, margin), (margin, margin), (0, 0)))
    return padded[top + margin :, left + margin :][: vertical.size, : horizontal.size]


def _accuracy(
    model: VisionModel, pool: Sequence[PoolImage], labels: Sequence[str]
) -> tuple[float, int]:
    """The share of pictures whose largest logit is that of their label, and of how many."""
    known = {label: index for index, label in enumerate(model.labels)}
    judged = [place for place, label in enumerate(labels) if label in known]
    if not judged:
        return float("nan"), 0
    right, chosen = 0, [pool[place] for place in judged]
    truth = torch.tensor([known[labels[place]] for place in judged])
    for start, batch in zip(range(0, len(chosen), BATCH), batches(chosen, BATCH), strict=True):
        with torch.no_grad():
            logits = logits_of(model.module(torch.from_numpy(np.stack(batch)).to(model.device)))
        right += int((logits.argmax(1).cpu() == truth[start : start + BATCH]).sum())
    return right / len(judged), len(judged)
