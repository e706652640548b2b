"""Exemplars: the pictures of a pool that excite each unit most, and where in them.

One pass over the pool keeps two responses of every unit to each picture: that of the *neuron* (the largest
over positions, with its place) and that of the *channel* (the mean over positions). Work is stored a chunk of
pictures at a time, and chunks are merged one by one: memory does not grow with the pool, and a pass that was
stopped continues. `generator.probes.ranking` says how pictures are ranked, those that tie among them. Of the
pictures of one thing only the one that excites a unit most is an exemplar (`generator.probes.things`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, partial
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.models.unit_layer import UnitLayer, channels, neuron_layers, neurons, observe
from generator.probes.optvis.folding import Folded, Folding, foldable_between
from generator.probes.ranking import find_peaks, reduce_responses
from generator.probes.things import Candidates, Exemplary, in_order
from generator.probes.unit_histogram import Histogram
from generator.probes.unit_likeness import Likeness
from generator.store import Store

VERSION = 5
CHUNK = 64
BATCH = 16


@dataclass(frozen=True)
class PoolImage:
    """One picture of a pool. `key` is the digest of its bytes; `load` gives pixels (3, H, W).

    `thing` is what it shows, the same for crops of one photograph; "" for something of its own.
    """

    id: str
    key: str
    load: Callable[[], np.ndarray]
    thing: str = ""


@dataclass(frozen=True)
class LayerResponses:
    """Responses of one layer to a chunk, arrays (pictures, units).

    `peak` is the largest over positions and `place` where it is: of several the one with the largest
    pre-activation, which is `peak_pre`. `mean` and `mean_pre` are means over positions. The last two are
    nan in a layer that does not end in an activation that saturates.
    """

    layer: str
    peak: np.ndarray
    mean: np.ndarray
    place: np.ndarray
    peak_pre: np.ndarray
    mean_pre: np.ndarray


@dataclass(frozen=True)
class Chunk:
    """Responses of all layers to some pictures."""

    layers: tuple[LayerResponses, ...]


@dataclass(frozen=True)
class LayerExemplars:
    """The strongest pictures of every unit of a layer, ranked as `generator.probes.ranking` says.

    `neuron`, `place`, `neuron_value`, `neuron_pre`, `neuron_tied`, `channel`, `channel_value`, `channel_pre`
    and `channel_tied` have shape (units, TOP), strongest first: indices into the pool, flat positions,
    responses, pre-activations (nan in a layer without), and how many of the `things` that the pool shows have
    the same response, each by its strongest picture: no two exemplars are of one thing. An index is -1 where
    the pool ends, and where nothing tells the picture from others that are left out: `undecided` and
    `channel_undecided` (units,) count all things of that tie, 0 if there is none.
    `counts` (units, BINS) is a histogram of the peaks, bin b of unit u holding those in
    [(b - BINS / 2) * width[u], (b + 1 - BINS / 2) * width[u]). `excited` is the number of pictures
    whose peak is above zero. `alike` (units, 5) are the units of the layer whose peaks correlate most,
    with the correlations in `alike_value`. `order` lists the units so that like ones stand together. Of the
    neurons of an MLP these are known of those that were chosen.
    """

    layer: str
    pictures: int
    things: int
    neuron: np.ndarray
    place: np.ndarray
    neuron_value: np.ndarray
    neuron_pre: np.ndarray
    neuron_tied: np.ndarray
    undecided: np.ndarray
    channel: np.ndarray
    channel_value: np.ndarray
    channel_pre: np.ndarray
    channel_tied: np.ndarray
    channel_undecided: np.ndarray
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


_UNIT_LAYERS: WeakKeyDictionary[VisionModel, tuple[Layer, ...]] = WeakKeyDictionary()


def unit_layers(model: VisionModel) -> tuple[Layer, ...]:
    """The layers whose units get a page: the stem, the block outputs and the last convolution.

    A network without blocks gets them for every convolution. Only layers that have a page, and
    that the exhibit asks units of, count.
    """
    if model not in _UNIT_LAYERS:  # every page of a unit asks
        _UNIT_LAYERS[model] = _unit_layers(model)
    return _UNIT_LAYERS[model]


def _unit_layers(model: VisionModel) -> tuple[Layer, ...]:
    spatial = model.spatial
    blocks = [layer for layer in spatial if layer.kind == "block"]
    chosen = spatial
    if blocks:
        ends = [spatial[0]] + [layer for layer in spatial[-1:] if layer.index > blocks[-1].index]
        chosen = [layer for layer in spatial if layer.kind == "block" or layer in ends]
    return tuple(layer for layer in chosen if layer.name in model.paged & model.with_units)


def searched_units(model: VisionModel) -> tuple[UnitLayer, ...]:
    """The units that are searched for in a pool: the channels of `unit_layers`, and the neurons of MLPs."""
    spatial = (channels(model, layer) for layer in unit_layers(model))
    return (*spatial, *(neurons(model, layer) for layer in neuron_layers(model)))


def find_exemplars(
    model: VisionModel,
    pool: Sequence[PoolImage],
    store: Store,
    step: Callable[[str], None],
    chosen: Mapping[str, Sequence[int]] | None = None,
) -> Exemplars:
    """One pass over the pool; `step` is told each chunk that is done.

    Of the neurons of each MLP those `chosen` are held against all others, to say which are alike.
    """
    held = {layer.name: (chosen or {}).get(layer.name, ()) for layer in neuron_layers(model)}
    things = things_of(pool)
    merges = {units.name: _Merge(Likeness(held.get(units.name))) for units in searched_units(model)}
    for places, layers in chunks(model, pool, store, step):
        for responses in layers:
            merges[responses.layer].add(places, [things[place] for place in places], responses)
    found = tuple(merge.finish(name, len(pool)) for name, merge in merges.items())
    return Exemplars(tuple(image.id for image in pool), found)


def things_of(pool: Sequence[PoolImage]) -> list[str]:
    """What each picture shows."""
    return [image.thing or f"its own {n}" for n, image in enumerate(pool)]


def chunks(
    model: VisionModel, pool: Sequence[PoolImage], store: Store, step: Callable[[str], None]
) -> Iterator[tuple[list[int], tuple[LayerResponses, ...]]]:
    """What is kept of a pool, a chunk at a time, with the places of its pictures.

    Pictures of one thing are neighbours. `step` is told each chunk that is made or found.
    """
    searched, order = searched_units(model), in_order(things_of(pool))
    folds = cache(partial(foldable_between, model, [units.layer for units in searched]))
    places = [order[start : start + CHUNK] for start in range(0, len(pool), CHUNK)]
    parts = [[pool[place] for place in each] for each in places]

    def fill(part: Sequence[PoolImage]) -> None:  # a large pool's chunks are never held all at once
        _chunk_of(model, searched, part, store, folds)
        step(f"{model.id}: {len(part)} of {len(pool)} pictures of the pool")

    store.shared([partial(fill, part) for part in parts])
    for each, part in zip(places, parts, strict=True):
        yield each, _chunk_of(model, searched, part, store, folds).layers


def _chunk_of(
    model: VisionModel,
    searched: Sequence[UnitLayer],
    part: Sequence[PoolImage],
    store: Store,
    folds: Callable[[], tuple[Folded, ...]],
) -> Chunk:
    parts = {"model": model.key, "layers": [units.name for units in searched], "batch": BATCH}
    parts["pictures"] = [image.key for image in part]
    return store.result(
        "exemplars", VERSION, parts, Chunk, lambda: Chunk(pass_over(searched, part, folds()))
    )


def pass_over(
    searched: Sequence[UnitLayer], part: Sequence[PoolImage], folds: Sequence[Folded] = ()
) -> tuple[LayerResponses, ...]:
    """Peak, its place and mean of every unit on every picture, (pictures, units); with `folds` for less."""
    rows: dict[str, list[tuple[np.ndarray, ...]]] = {units.name: [] for units in searched}
    entered: dict[str, tuple[Tensor, ...]] = {}

    def enter(units: UnitLayer, entering: Tensor) -> None:
        # It may be written over by the activation: what is needed of it is taken at once.
        entered[units.name] = find_peaks(entering) if units.layer.monotone else (entering.clone(),)

    def take(units: UnitLayer, response: Tensor) -> None:
        kept = reduce_responses(response, entered.pop(units.name, ()))
        rows[units.name].append(tuple(each.cpu().numpy() for each in kept))

    for batch in batches(part, BATCH):
        # A batch of another size sums in another order: full ones keep equal pictures equal.
        filled = batch + batch[-1:] * (BATCH - len(batch))
        with Folding(folds) if folds else nullcontext():
            observe(searched, torch.from_numpy(np.stack(filled)), take, enter)
    found = []
    for name, parts in rows.items():
        columns = [np.concatenate(column)[: len(part)] for column in zip(*parts, strict=True)]
        found.append(LayerResponses(name, *columns))
    return tuple(found)


def batches(part: Sequence[PoolImage], size: int) -> Iterable[list[np.ndarray]]:
    """Pixels in batches of `size`; the last may be smaller."""
    for start in range(0, len(part), size):
        yield [image.load() for image in part[start : start + size]]


class _Merge:
    """What is known of one layer after the chunks so far."""

    def __init__(self, likeness: Likeness | None = None) -> None:
        self.neurons, self.channels = Exemplary(), Exemplary()
        self.likeness = likeness or Likeness()
        self.histogram: Histogram | None = None
        self.excited: np.ndarray | int = 0

    def add(
        self, pictures: Sequence[int], things: Sequence[str], responses: LayerResponses
    ) -> None:
        """Add pictures, by their places in the pool; those of one thing are neighbours."""
        one = responses
        chosen = np.broadcast_to(np.array(pictures)[:, None], one.place.shape)
        nowhere = np.full_like(one.place, -1)
        self.neurons.add(Candidates(chosen, one.peak, one.peak_pre, one.place), things)
        self.channels.add(Candidates(chosen, one.mean, one.mean_pre, nowhere), things)
        self.histogram = self.histogram or Histogram(responses.peak.shape[1])
        self.histogram.add(responses.peak)
        self.excited = self.excited + (responses.peak > 0).sum(0)
        self.likeness.add(responses.peak)

    def finish(self, layer: str, pictures: int) -> LayerExemplars:
        neuron, channel = self.neurons.ranking(), self.channels.ranking()
        assert self.histogram is not None, "the pool has no picture"
        alike, alike_value, order = self.likeness.finish(pictures)
        return LayerExemplars(
            layer=layer,
            pictures=pictures,
            things=self.neurons.things,
            neuron=neuron.picture,
            place=neuron.place,
            neuron_value=neuron.value,
            neuron_pre=neuron.pre,
            neuron_tied=neuron.tied,
            undecided=neuron.undecided,
            channel=channel.picture,
            channel_value=channel.value,
            channel_pre=channel.pre,
            channel_tied=channel.tied,
            channel_undecided=channel.undecided,
            counts=self.histogram.counts,
            width=self.histogram.width,
            excited=np.asarray(self.excited),
            alike=alike,
            alike_value=alike_value,
            order=order,
        )
