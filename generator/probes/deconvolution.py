"""Deconvolution: what in its strongest pictures a unit responds to, in pixels (Zeiler & Fergus 2014).

The signal starts at one neuron, the unit at the place of its largest response, and goes back through the
network to the picture; `generator.probes.backward` states how it passes the activations. It starts with
the value 1 for every rule. Each rule is positively homogeneous, so Zeiler & Fergus' projection of the
activation itself is the response times this one, and both make the same tile. Where a unit does not
respond (its response is not above zero) there is no activation to project and the tile stays grey.

A deconvolution is no cause and no input that the unit prefers: it says which pixels are wired to the
neuron through what was active on this picture, and its contrast is scaled in each tile alone. It is known
to lean towards the outline of the picture, whatever the class or the unit (Mahendran & Vedaldi 2016). In a
network without max pooling it does not see the picture at all: its tiles differ by the unit, and by how
the padding at the border cuts them, and nothing else (Springenberg et al. 2015). There it is made for the
featured units only, unless all is asked for. Guided backpropagation does see the picture, and is made for
every unit.

The effective receptive field is measured by the plain gradient of the same neuron: where the theoretical
field says which pixels could matter, it says where the response does depend on the picture. That is half of
all the work: of a layer with many units it is measured of some, unless all is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.probes import effective_field as of_gradient
from generator.probes.backward import DECONVOLUTION, GRADIENT, GUIDED, RULES, Rules
from generator.probes.descent import Descent, asked_exemplars, rounds_of
from generator.probes.exemplars import Exemplars, LayerExemplars, PoolImage, unit_layers
from generator.probes.tiles import GREY, TILE, as_tile
from generator.store import Store

VERSION = 4
LARGE = 112
FEW = 5  # pictures of a featured unit, unless all is asked for
NO_RULE = "no activation with a rule was found: every rule would give the plain gradient"
NO_MODULE = "no module returns its response, so no signal can be sent back from it"


@dataclass(frozen=True)
class LayerBacks:
    """The units of one layer, back in pixels.

    `tiles` has for each rule, uint8 (units, exemplars, TILE, TILE, 3), the signals of each unit's strongest
    pictures by the neuron, strongest first, cut out by the field box of the exemplar: one, or all of them.
    The rules are DECONVOLUTION, where it depends on the picture or all was asked for, and GUIDED.
    `effective` (units, 4) is the effective receptive field on the strongest picture: left, top, width and
    height in pixels, the smallest box of CELL x CELL px cells with SHARE of the squared gradient, without
    what lies outside the exact field; zeros where the gradient is zero everywhere, UNKNOWN where it was not
    measured. `centre` (units, 2) is the centroid of the squared gradient, column and row in pixels, else nan.
    """

    layer: str
    tiles: Mapping[str, np.ndarray]
    effective: np.ndarray
    centre: np.ndarray


@dataclass(frozen=True)
class UnitBacks:
    """A featured unit: `tiles`, uint8 (exemplars, RULES, LARGE, LARGE, 3), one for each rule."""

    layer: str
    unit: int
    tiles: np.ndarray


@dataclass(frozen=True)
class _Featured:
    units: tuple[UnitBacks, ...]


@dataclass(frozen=True)
class Deconvolutions:
    """All chosen layers of a network.

    `reason` says why there are none, `skipped` why one layer has none. `activations` names those that the
    network computes, `heuristic` those among them without a canonical rule. `switches` says whether it has
    max pooling: without, no deconvolution depends on the picture.
    """

    reason: str
    activations: tuple[str, ...]
    heuristic: tuple[str, ...]
    switches: bool
    layers: tuple[LayerBacks, ...]
    featured: tuple[UnitBacks, ...]
    skipped: Mapping[str, str]

    def of(self, layer: str) -> LayerBacks | None:
        """One layer, if it was measured."""
        return next((found for found in self.layers if found.layer == layer), None)

    def unit(self, layer: str, unit: int) -> UnitBacks | None:
        """One unit, if it is featured."""
        every = (one for one in self.featured if (one.layer, one.unit) == (layer, unit))
        return next(every, None)


def met_activations(model: VisionModel) -> Rules:
    """What one forward pass meets: `met` and `heuristic` of the rules."""
    rules, side = Rules(), model.preprocessing.size
    with torch.no_grad(), rules:
        model.module(torch.zeros(1, 3, side, side, device=model.device))
    return rules


def measure_deconvolution(
    model: VisionModel,
    pool: Sequence[PoolImage],
    exemplars: Exemplars,
    featured: Mapping[str, Sequence[int]],
    *,
    full: bool,
    fields: Collection[str] = (),
    store: Store,
    step: Callable[[str], None],
) -> Deconvolutions:
    """The strongest picture of every unit (all of them, by both rules, with `full`), back in pixels.

    `featured` names units of some layers that are shown on FEW pictures under every rule. Effective fields
    are measured of them, of FIELDS other units of each layer, and of all units of the layers in `fields`.
    """
    rules, works, skipped = met_activations(model), list[_Work](), dict[str, str]()
    for layer in unit_layers(model) if rules.met else ():
        found = exemplars.of(layer.name)
        if layer.module and found:
            works.append(_Work(model, layer, pool, found, store))
        else:
            skipped[layer.name] = NO_MODULE if found else "its exemplars are not known"
    sent = (DECONVOLUTION, GUIDED) if full or rules.switches else (GUIDED,)

    def of_layer(work: _Work) -> LayerBacks:
        name, (units, ranks) = work.layer.name, work.exemplars.neuron.shape
        some = of_gradient.some_units(units, featured.get(name, ()))
        measured = range(units) if full or name in fields else some
        backs = work.all_units(ranks if full else 1, sent, measured)
        step(f"{model.id}: deconvolution of {name}")
        return backs

    def of_featured(work: _Work) -> tuple[UnitBacks, ...]:
        backs = work.featured(tuple(featured[work.layer.name]), None if full else FEW)
        step(f"{model.id}: featured units of {work.layer.name}")
        return backs

    layers = tuple(store.shared([partial(of_layer, work) for work in works]))
    chosen = [work for work in works if featured.get(work.layer.name)]
    shown = store.shared([partial(of_featured, work) for work in chosen])
    return Deconvolutions(
        reason="" if rules.met else NO_RULE,
        activations=rules.met,
        heuristic=rules.heuristic,
        switches=rules.switches,
        layers=layers,
        featured=tuple(unit for units in shown for unit in units),
        skipped=skipped,
    )


def send_back(
    model: VisionModel,
    layer: Layer,
    units: Sequence[int],
    pool: Sequence[PoolImage],
    exemplars: LayerExemplars,
    count: int,
    store: Store,
) -> tuple[UnitBacks, ...]:
    """Some units of a layer on their `count` strongest pictures under every rule.

    `layer` must be returned by a module, and the network must have activations with a rule.
    """
    return _Work(model, layer, pool, exemplars, store).featured(tuple(units), count)


@dataclass(frozen=True)
class _Work:
    """One layer with all that is needed to send signals back from its units' exemplars."""

    model: VisionModel
    layer: Layer
    pool: Sequence[PoolImage]
    exemplars: LayerExemplars
    store: Store

    def all_units(self, count: int, sent: Sequence[str], fields: Sequence[int]) -> LayerBacks:
        """The `count` strongest pictures of every unit by the rules `sent`, and some effective `fields`."""

        def make() -> LayerBacks:
            shape = (len(sent), units, count, TILE, TILE, 3)
            tiles = np.full(shape, GREY, dtype=np.uint8)
            effective = np.zeros((units, 4), dtype=np.int64)
            effective[sorted({*range(units)} - {*fields})] = of_gradient.UNKNOWN
            centre = np.full((units, 2), np.nan)
            strongest = frozenset((unit, 0) for unit in fields)
            asks = asked_exemplars(self.exemplars.neuron, range(units), range(count))
            for (unit, rank), signals, gradient in self._signals(asks, sent, strongest):
                for number in range(len(sent)):
                    tiles[number, unit, rank] = self._tile(unit, rank, signals[number])
                if gradient is not None:
                    squared = (gradient.astype(np.float64) ** 2).sum(0)
                    effective[unit] = self._within(unit, of_gradient.effective_field(squared))
                    centre[unit] = of_gradient.centre_of(squared)
            return LayerBacks(
                self.layer.name, dict(zip(sent, tiles, strict=True)), effective, centre
            )

        units = len(self.exemplars.neuron)
        asked = {"rules": list(sent), "fields": list(fields)}
        parts = {**self._parts(range(units), count), **asked}
        return self.store.result("deconvolution", VERSION, parts, LayerBacks, make)

    def featured(self, units: tuple[int, ...], most: int | None) -> tuple[UnitBacks, ...]:
        """The strongest pictures of some units, all or so many at `most`, under every rule."""
        count = self.exemplars.neuron[:, :most].shape[1]

        def make() -> _Featured:
            shape = (len(units), count, len(RULES), LARGE, LARGE, 3)
            tiles = np.full(shape, GREY, dtype=np.uint8)
            asks = asked_exemplars(self.exemplars.neuron, units, range(count))
            for (unit, rank), signals, _ in self._signals(asks, RULES):
                for number, signal in enumerate(signals):
                    tiles[units.index(unit), rank, number] = self._tile(unit, rank, signal, LARGE)
            named = zip(units, tiles, strict=True)
            return _Featured(tuple(UnitBacks(self.layer.name, *each) for each in named))

        parts = self._parts(units, count)
        return self.store.result("featured", VERSION, parts, _Featured, make).units

    def _parts(self, units: Sequence[int], count: int) -> dict[str, object]:
        found, chosen = self.exemplars, list(units)
        best = found.neuron[chosen, :count]
        return {
            "model": self.model.key,
            "layer": self.layer.name,
            "units": chosen,
            "pictures": {int(p): self.pool[p].key for p in np.unique(best[best >= 0])},
            "exemplars": best.tolist(),
            "places": found.place[chosen, :count].tolist(),
            "responds": (found.neuron_value[chosen, :count] > 0).tolist(),
            "tiles": [TILE, LARGE],
            "batch": self._batch,
        }

    @property
    def _batch(self) -> int:
        # Larger ones leave the caches of a processor: 16 at once take 1.7 times as long as 4.
        return 4 if self.model.device.type == "cpu" else 32

    def _within(self, unit: int, found: of_gradient.Box) -> of_gradient.Box:
        """A box of whole cells, without what lies outside the exact field of the unit's best neuron."""
        size, place = self.model.preprocessing.size, int(self.exemplars.place[unit, 0])
        exact = self.layer.box(place, size)
        low = [max(found[axis], exact[axis]) for axis in (0, 1)]
        high = [min(box[axis] + box[axis + 2] for box in (found, exact)) for axis in (0, 1)]
        return low[0], low[1], max(0, high[0] - low[0]), max(0, high[1] - low[1])

    def _tile(self, unit: int, rank: int, signal: np.ndarray, side: int = TILE) -> np.ndarray:
        if self.exemplars.neuron_value[unit, rank] <= 0:
            return np.full((side, side, 3), GREY, dtype=np.uint8)
        place = int(self.exemplars.place[unit, rank])
        return as_tile(signal, self.layer.box(place, signal.shape[-1]), side)

    def _signals(
        self,
        asks: Sequence[tuple[int, int]],
        rules: Sequence[str],
        fields: Container[tuple[int, int]] = frozenset(),
    ) -> Iterator[tuple[tuple[int, int], np.ndarray, np.ndarray | None]]:
        """Each (unit, rank) with its signals (rules, 3, H, W), and of `fields` the plain gradient (3, H, W).

        Units that share a picture share its forward pass.
        """
        for pictures, rounds in rounds_of(asks, self.exemplars.neuron, self._batch, fields):
            pixels = np.stack([self.pool[picture].load() for picture in pictures])
            descent = Descent(self.model, self.layer, pixels)
            for row in rounds:
                units = np.array([ask[0] if ask else -1 for ask in row])
                places = np.array([self.exemplars.place[ask] if ask else 0 for ask in row])
                found = np.stack([descent.send(units, places, rule) for rule in rules], axis=1)
                wanted = [ask in fields for ask in row]
                plain = descent.send(units, places, GRADIENT) if any(wanted) else None
                for slot, ask in enumerate(row):
                    if ask:
                        gradient = plain[slot] if plain is not None and wanted[slot] else None
                        yield ask, found[slot], gradient
