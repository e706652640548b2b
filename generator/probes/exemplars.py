"""Exemplars: the pictures of a pool that excite each unit most, and where in them.

One pass over the pool. For every unit and picture two responses are kept: that of the *neuron* (the
largest over positions, with its place) and that of the *channel* (the mean over positions). Work is
stored a chunk of pictures at a time, and the chunks are merged one by one: memory does not grow with
the pool, and a pass that was stopped continues. Pictures that respond alike keep the pool's order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from generator.models.layer import Layer, ReceptiveField
from generator.models.model import VisionModel
from generator.store import Store

VERSION = 2
TOP = 9
CHUNK = 64
BATCH = 16
BINS = 32


@dataclass(frozen=True)
class PoolImage:
    """One picture of a pool. `key` is the digest of its bytes; `load` gives pixels (3, H, W)."""

    id: str
    key: str
    load: Callable[[], np.ndarray]


@dataclass(frozen=True)
class LayerResponses:
    """Responses of one layer to a chunk: `peak`, `mean` (pictures, units) and `place` of the peak."""

    layer: str
    peak: np.ndarray
    mean: np.ndarray
    place: np.ndarray


@dataclass(frozen=True)
class _Chunk:
    layers: tuple[LayerResponses, ...]


@dataclass(frozen=True)
class LayerExemplars:
    """The strongest pictures of every unit of a layer.

    `neuron`, `place`, `neuron_value`, `channel` and `channel_value` have shape (units, TOP): indices
    into the pool, flat positions, and responses, strongest first; -1 fills up a pool smaller than TOP.
    `counts` (units, BINS) is a histogram of the peaks, bin b of unit u holding those in
    [(b - BINS / 2) * width[u], (b + 1 - BINS / 2) * width[u]). `excited` is the number of pictures
    whose peak is above zero. `alike` (units, 5) are the units of the layer whose peaks correlate most,
    with the correlations in `alike_value`. `order` lists the units so that like ones stand together.
    """

    layer: str
    pictures: int
    neuron: np.ndarray
    place: np.ndarray
    neuron_value: np.ndarray
    channel: np.ndarray
    channel_value: np.ndarray
    counts: np.ndarray
    width: np.ndarray
    excited: np.ndarray
    alike: np.ndarray
    alike_value: np.ndarray
    order: np.ndarray


@dataclass(frozen=True)
class Exemplars:
    """Exemplars of all chosen layers over one pool; `pool` holds the pictures' ids in order."""

    pool: tuple[str, ...]
    layers: tuple[LayerExemplars, ...]

    def of(self, layer: str) -> LayerExemplars | None:
        """The exemplars of one layer, if it was chosen."""
        return next((found for found in self.layers if found.layer == layer), None)


def unit_layers(model: VisionModel) -> tuple[Layer, ...]:
    """The layers whose units get a page: the stem, the block outputs and the last convolution.

    A network without blocks gets them for every convolution. Only layers that have a page, and
    that the exhibit asks units of, count.
    """
    spatial = [layer for layer in model.layers if len(layer.shape) == 3 and layer.shape[-1] > 1]
    blocks = [layer for layer in spatial if layer.kind == "block"]
    chosen = spatial
    if blocks:
        ends = [spatial[0]] + [layer for layer in spatial[-1:] if layer.index > blocks[-1].index]
        chosen = [layer for layer in spatial if layer.kind == "block" or layer in ends]
    return tuple(layer for layer in chosen if layer.name in model.paged & model.with_units)


def field_box(layer: Layer, place: int, size: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of the pixels that one position sees, clipped to the picture."""
    if layer.receptive_field is None:
        return 0, 0, size, size
    row, column = divmod(place, layer.shape[-1])
    vertical, horizontal = layer.receptive_field
    top, bottom = _interval(vertical, row, size)
    left, right = _interval(horizontal, column, size)
    return left, top, right - left, bottom - top


def _interval(field: ReceptiveField, position: int, size: int) -> tuple[int, int]:
    if field.whole:
        return 0, size
    start = position * field.stride + field.start
    return max(0, start), min(size, start + field.size)


def find_exemplars(
    model: VisionModel, pool: Sequence[PoolImage], store: Store, step: Callable[[str], None]
) -> Exemplars:
    """One pass over the pool; `step` is told each chunk that is done."""
    layers = unit_layers(model)
    merges = {layer.name: _Merge() for layer in layers}
    for start in range(0, len(pool), CHUNK):
        part = pool[start : start + CHUNK]
        for responses in _chunk(model, layers, part, store).layers:
            merges[responses.layer].add(start, responses)
        step(f"{model.id}: pool {start + len(part)} of {len(pool)}")
    found = tuple(merge.finish(name, len(pool)) for name, merge in merges.items())
    return Exemplars(tuple(image.id for image in pool), found)


def _chunk(
    model: VisionModel, layers: Sequence[Layer], part: Sequence[PoolImage], store: Store
) -> _Chunk:
    parts = {
        "model": model.key,
        "layers": [layer.name for layer in layers],
        "pictures": [image.key for image in part],
        "batch": BATCH,
    }
    return store.result(
        "exemplars", VERSION, parts, _Chunk, lambda: _Chunk(pass_over(model, layers, part))
    )


def pass_over(
    model: VisionModel, layers: Sequence[Layer], part: Sequence[PoolImage]
) -> tuple[LayerResponses, ...]:
    """Peak, its place and mean of every unit on every picture, shapes (pictures, units)."""
    rows: dict[str, list[tuple[np.ndarray, ...]]] = {layer.name: [] for layer in layers}

    def take(layer: Layer, response: Tensor) -> None:
        flat = response.flatten(2)
        place = flat.argmax(-1, keepdim=True)
        peak = flat.gather(-1, place).squeeze(-1)
        kept = (peak, flat.mean(-1), place.squeeze(-1))
        rows[layer.name].append(tuple(each.cpu().numpy() for each in kept))

    for batch in batches(part, BATCH):
        # A batch of another size sums in another order: full ones keep equal pictures equal.
        filled = batch + batch[-1:] * (BATCH - len(batch))
        model.run_batch(torch.from_numpy(np.stack(filled)), layers, take)
    found = []
    for name, parts in rows.items():
        columns = zip(*parts, strict=True)
        peak, mean, place = (np.concatenate(column)[: len(part)] for column in columns)
        found.append(LayerResponses(name, peak, mean, place.astype(np.int32)))
    return tuple(found)


def batches(part: Sequence[PoolImage], size: int) -> Iterable[list[np.ndarray]]:
    """Pixels in batches of `size`; the last may be smaller."""
    for start in range(0, len(part), size):
        yield [image.load() for image in part[start : start + size]]


class _Merge:
    """What is known of one layer after the chunks so far."""

    def __init__(self) -> None:
        self.neuron: tuple[np.ndarray, ...] = ()
        self.channel: tuple[np.ndarray, ...] = ()
        self.counts = np.zeros((0, BINS), dtype=np.int64)
        self.width = np.zeros(0)
        self.excited: np.ndarray | int = 0
        self.sums: np.ndarray | float = 0.0
        self.products: np.ndarray | float = 0.0

    def add(self, start: int, responses: LayerResponses) -> None:
        index = np.arange(start, start + len(responses.peak))
        names = np.broadcast_to(index, responses.peak.T.shape)
        self.neuron = _strongest(
            self.neuron, (responses.peak.T, names, responses.place.T.astype(np.int64))
        )
        self.channel = _strongest(self.channel, (responses.mean.T, names))
        self._count(responses.peak)
        self.excited = self.excited + (responses.peak > 0).sum(0)
        peaks = responses.peak.astype(np.float64)
        self.sums = self.sums + peaks.sum(0)
        self.products = self.products + peaks.T @ peaks

    def _count(self, peak: np.ndarray) -> None:
        """Count into bins whose width is a power of two, doubled until the largest value fits."""
        if not len(self.counts):
            self.counts = np.zeros((peak.shape[1], BINS), dtype=np.int64)
            self.width = np.full(peak.shape[1], 2.0**-8)
        reach = np.abs(peak).max(0)
        while (wide := reach >= self.width * (BINS // 2)).any():
            self.counts[wide] = _halved(self.counts[wide])
            self.width[wide] *= 2
        place = np.floor(peak / self.width).astype(np.int64) + BINS // 2
        units = np.broadcast_to(np.arange(peak.shape[1]), peak.shape)
        np.add.at(self.counts, (units, place), 1)

    def finish(self, layer: str, pictures: int) -> LayerExemplars:
        value, index, place = (_filled(column) for column in self.neuron)
        mean, pooled = (_filled(column) for column in self.channel)
        correlation = _correlation(np.asarray(self.sums), np.asarray(self.products), pictures)
        alike, alike_value = _alike(correlation)
        return LayerExemplars(
            layer=layer,
            pictures=pictures,
            neuron=index.astype(np.int64),
            place=place.astype(np.int64),
            neuron_value=value,
            channel=pooled.astype(np.int64),
            channel_value=mean,
            counts=self.counts,
            width=self.width,
            excited=np.asarray(self.excited),
            alike=alike,
            alike_value=alike_value,
            order=_seriation(correlation),
        )


def _strongest(
    before: tuple[np.ndarray, ...], new: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, ...]:
    """The TOP largest of both by their first column, (units, pictures); earlier ones win ties."""
    columns = new
    if before:
        columns = tuple(np.concatenate(pair, axis=1) for pair in zip(before, new, strict=True))
    order = np.argsort(-columns[0], axis=1, kind="stable")[:, :TOP]
    return tuple(np.take_along_axis(column, order, axis=1) for column in columns)


def _halved(counts: np.ndarray) -> np.ndarray:
    """The same histogram in bins of twice the width, around the same zero."""
    paired = counts.reshape(len(counts), BINS // 2, 2).sum(-1)
    return np.pad(paired, ((0, 0), (BINS // 4, BINS // 4)))


def _filled(column: np.ndarray) -> np.ndarray:
    missing = TOP - column.shape[1]
    return np.pad(column, ((0, 0), (0, missing)), constant_values=-1) if missing > 0 else column


def _correlation(sums: np.ndarray, products: np.ndarray, count: int) -> np.ndarray:
    """Correlation of the units' peaks over the pool; nan for a unit that never changes."""
    covariance = products - np.outer(sums, sums) / count
    scale = np.sqrt(np.clip(np.diag(covariance), 0, None))
    scale = np.where(scale > 1e-9 * max(1.0, float(scale.max(initial=0))), scale, np.nan)
    # Threads add up in their own order: what differs in the last bits must not decide an order.
    return np.round(covariance / np.outer(scale, scale), 6)


def _alike(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The five units with the highest correlation, and the correlations; -1 and nan fill up."""
    others = np.where(np.isnan(correlation), -np.inf, correlation)
    np.fill_diagonal(others, -np.inf)
    order = np.argsort(-others, axis=1, kind="stable")[:, :5]
    values = np.take_along_axis(others, order, axis=1)
    usable = np.isfinite(values)
    return np.where(usable, order, -1), np.where(usable, values, np.nan)


def _seriation(correlation: np.ndarray) -> np.ndarray:
    """Units sorted along the leading eigenvector of their correlations."""
    vectors = np.linalg.eigh(np.nan_to_num(correlation))[1]
    leading = np.round(vectors[:, -1], 6)
    leading = leading * np.sign(leading[np.abs(leading).argmax()])
    return np.argsort(-leading, kind="stable")
