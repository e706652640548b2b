"""What each unit does to the classes: the network run without the unit's own signal.

For a unit u and its strongest picture, the whole channel is set to its mean over the curated pictures,
and the logits are compared: effect on class c = logit c with the channel - logit c without its signal.
It is the true change on that one picture, not an approximation to first order, and it holds for that
picture only. Units of the layer that a linear head reads need no experiment: their weights say it.

One pass serves all units of a picture: each run without a unit begins at that unit's layer, as a copy of
the untouched one, so that what lies before is computed once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from generator.models.model import VisionModel, logits_of
from generator.models.trial import CLOSE, apart
from generator.models.unit_layer import Held, UnitLayer, held
from generator.probes.class_maps import pooled_head
from generator.probes.exemplars import Exemplars, PoolImage, searched_units
from generator.probes.signal import Signal
from generator.store import Store

VERSION = 2
KEPT = 4
CHUNK = 32  # pictures that are stored together
ROWS = 32  # runs in one pass


@dataclass(frozen=True)
class LayerEffects:
    """Effects of every unit of a layer on its strongest picture.

    `up` and `down` (units, KEPT) are the classes whose logit the unit raises and lowers most there, with
    the changes in `up_value` and `down_value` (logits); -1 and nan for units without a picture.
    """

    layer: str
    up: np.ndarray
    up_value: np.ndarray
    down: np.ndarray
    down_value: np.ndarray


@dataclass(frozen=True)
class _Ends:
    """The classes that some units raise most, and those that they lower most: (units, 2, KEPT)."""

    classes: np.ndarray
    changes: np.ndarray


def measure_effects(
    model: VisionModel,
    pool: Sequence[PoolImage],
    exemplars: Exemplars,
    signal: Signal,
    store: Store,
    step: Callable[[str], None],
) -> tuple[LayerEffects, ...]:
    """Effects of the units of all layers whose exemplars were searched; none without classes."""
    head = pooled_head(model)
    if not model.labels:
        return ()
    layers = [
        units
        for units in searched_units(model)
        if exemplars.of(units.name)
        and units.layer.module
        and not (head and head[0].name == units.name)
    ]
    wanted = _by_picture(layers, exemplars, signal)
    parts = [sorted(wanted)[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
    sweep = Sweep(model)

    def of_part(part: Sequence[int]) -> _Ends:
        ends = _stored(sweep, pool, {picture: wanted[picture] for picture in part}, store)
        step(f"{model.id}: effects of units on {len(part)} of {len(wanted)} pictures")
        return ends

    found = store.shared([partial(of_part, part) for part in parts])
    order = [one for part in parts for picture in part for one in wanted[picture]]
    return tuple(_of_layer(units, order, found) for units in layers)


def _by_picture(
    layers: Sequence[UnitLayer], exemplars: Exemplars, signal: Signal
) -> dict[int, list[Held]]:
    """The units whose strongest picture each is, to be held at their mean."""
    wanted: dict[int, list[Held]] = {}
    for units in layers:
        best, mean = exemplars.of(units.name), signal.of(units.name).mean
        assert best is not None
        for unit, picture in enumerate(best.neuron[:, 0]):
            if picture >= 0:
                wanted.setdefault(int(picture), []).append(Held(units, unit, float(mean[unit])))
    return wanted


def _stored(
    sweep: Sweep, pool: Sequence[PoolImage], wanted: Mapping[int, Sequence[Held]], store: Store
) -> _Ends:
    parts = {
        "model": sweep.model.key,
        "pictures": {
            pool[picture].key: [[one.units.name, one.unit, one.value] for one in units]
            for picture, units in wanted.items()
        },
    }

    def make() -> _Ends:
        every = (sweep.changes(pool[picture].load(), units) for picture, units in wanted.items())
        change = np.concatenate(list(every))
        # The last bits differ between machines' thread counts, and must not decide an order.
        order = np.argsort(-np.round(change, 4), axis=1, kind="stable")
        classes = np.stack([order[:, :KEPT], order[:, ::-1][:, :KEPT]], axis=1).astype(np.int32)
        return _Ends(classes, np.take_along_axis(change[:, None], classes, axis=2))

    return store.result("effects", VERSION, parts, _Ends, make)


def _of_layer(units: UnitLayer, order: Sequence[Held], found: Sequence[_Ends]) -> LayerEffects:
    """What was found of one layer; `order` names the units of all parts."""
    kept = found[0].classes.shape[2]
    classes = np.full((units.units, 2, kept), -1, dtype=np.int32)
    changes = np.full((units.units, 2, kept), np.nan, dtype=np.float32)
    rows = [row for row, one in enumerate(order) if one.units is units]
    chosen = [order[row].unit for row in rows]
    classes[chosen] = np.concatenate([ends.classes for ends in found])[rows]
    changes[chosen] = np.concatenate([ends.changes for ends in found])[rows]
    return LayerEffects(units.name, classes[:, 0], changes[:, 0], classes[:, 1], changes[:, 1])


class Sweep:
    """Runs of one network without some of its units."""

    def __init__(self, model: VisionModel) -> None:
        self.model = model
        # Whether rows may join on the way: they may not where a later part reads what lies before a layer.
        self._grows: bool | None = None

    def changes(self, pixels: np.ndarray, units: Sequence[Held]) -> np.ndarray:
        """Change of every logit by each of some units, (units, classes), on one picture (3, H, W)."""
        batch = torch.from_numpy(pixels).to(self.model.device)[None]
        parts = [units[start : start + ROWS] for start in range(0, len(units), ROWS)]
        return np.concatenate([self._of(batch, part).cpu().numpy() for part in parts])

    def _of(self, batch: Tensor, units: Sequence[Held]) -> Tensor:
        if self._grows is not False:
            with contextlib.suppress(RuntimeError, IndexError):
                grown = self._run(batch, units, grows=True)
                if self._grows is None:
                    self._grows = apart(grown, self._run(batch, units, grows=False)) <= CLOSE
                if self._grows:
                    return grown
        self._grows = False
        return self._run(batch, units, grows=False)

    def _run(self, batch: Tensor, units: Sequence[Held], *, grows: bool) -> Tensor:
        given = batch if grows else batch.expand(len(units) + 1, -1, -1, -1)
        with torch.no_grad(), held(self.model, units, grows=grows) as rows:
            logits = logits_of(self.model.module(given)).float()
        return logits[:1] - logits[rows]
