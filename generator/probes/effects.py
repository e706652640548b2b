"""What each unit does to the classes: the network run without the unit's own signal.

For a unit u and its strongest picture, the whole channel is set to its mean over the curated pictures,
and the logits are compared: effect on class c = logit c with the channel - logit c without its signal.
It is the true change on that one picture, not an approximation to first order, and it holds for that
picture only. Units of the layer that a linear head reads need no experiment: their weights say it.

One pass serves all units of a picture: each run without a unit begins at that unit's layer, as a copy of
the untouched one, so that what lies before is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from generator.models.model import VisionModel, logits_of
from generator.models.trial import CLOSE, apart
from generator.models.unit_layer import Held, UnitLayer, held
from generator.probes.class_maps import pooled_head
from generator.probes.exemplars import Exemplars, PoolImage, searched_units
from generator.probes.optvis.folding import Folded, Folding, foldable
from generator.probes.signal import Signal
from generator.store import Store

VERSION = 3
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
    chosen: Mapping[str, Sequence[int]] | None = None,
) -> tuple[LayerEffects, ...]:
    """Effects of the units of all layers whose exemplars were searched; none without classes.

    Of the neurons of each MLP those `chosen` are silenced, at every token.
    """
    head = pooled_head(model)
    if not model.labels:
        return ()
    layers = [
        units
        for units in searched_units(model)
        if exemplars.of(units.name)
        and units.layer.tapped
        and not (head and head[0].name == units.name)
    ]
    wanted = _by_picture(layers, exemplars, signal, chosen or {})
    parts = [sorted(wanted)[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
    if not parts:
        return ()
    first = parts[0][0]
    sweep = Sweep(model, pool[first].load(), wanted[first])

    def of_part(part: Sequence[int]) -> _Ends:
        ends = _stored(sweep, pool, {picture: wanted[picture] for picture in part}, store)
        step(f"{model.id}: effects of units on {len(part)} of {len(wanted)} pictures")
        return ends

    found = store.shared([partial(of_part, part) for part in parts])
    order = [one for part in parts for picture in part for one in wanted[picture]]
    classes, changes = (
        np.concatenate([getattr(ends, name) for ends in found]) for name in ("classes", "changes")
    )
    return tuple(_of_layer(units, order, _Ends(classes, changes)) for units in layers)


def _by_picture(
    layers: Sequence[UnitLayer],
    exemplars: Exemplars,
    signal: Signal,
    chosen: Mapping[str, Sequence[int]],
) -> dict[int, list[Held]]:
    """The units whose strongest picture each is, to be held at their mean."""
    wanted: dict[int, list[Held]] = {}
    for units in layers:
        best, mean = exemplars.of(units.name), signal.of(units.name).mean
        assert best is not None
        neurons = chosen.get(units.name, ())
        tried = neurons if units.positions == "patches" else range(units.units)
        for unit in tried:
            picture = best.neuron[unit, 0]
            if picture >= 0:
                wanted.setdefault(int(picture), []).append(Held(units, unit, float(mean[unit])))
    return wanted


def _stored(
    sweep: Sweep, pool: Sequence[PoolImage], wanted: Mapping[int, Sequence[Held]], store: Store
) -> _Ends:
    parts = {
        "model": sweep.model.key,
        "pictures": [
            [pool[picture].key, [[one.units.name, one.unit, one.value] for one in units]]
            for picture, units in wanted.items()
        ],
    }

    def make() -> _Ends:
        every = (sweep.changes(pool[picture].load(), units) for picture, units in wanted.items())
        change = np.concatenate(list(every))
        # The last bits differ between machines' thread counts, and must not decide an order.
        order = np.argsort(-np.round(change, 4), axis=1, kind="stable")
        classes = np.stack([order[:, :KEPT], order[:, ::-1][:, :KEPT]], axis=1).astype(np.int32)
        return _Ends(classes, np.take_along_axis(change[:, None], classes, axis=2))

    return store.result("effects", VERSION, parts, _Ends, make)


def _of_layer(units: UnitLayer, order: Sequence[Held], found: _Ends) -> LayerEffects:
    """What was found of one layer; `order` names the units of what was found."""
    kept = found.classes.shape[2]
    classes = np.full((units.units, 2, kept), -1, dtype=np.int32)
    changes = np.full((units.units, 2, kept), np.nan, dtype=np.float32)
    rows = [row for row, one in enumerate(order) if one.units is units]
    chosen = [order[row].unit for row in rows]
    classes[chosen], changes[chosen] = found.classes[rows], found.changes[rows]
    return LayerEffects(units.name, classes[:, 0], changes[:, 0], classes[:, 1], changes[:, 1])


@dataclass(frozen=True, eq=False)
class Sweep:
    """Runs of one network without some of its units; `pixels` (3, H, W) and `units` are tried first."""

    model: VisionModel
    pixels: np.ndarray
    units: Sequence[Held]

    @cached_property
    def grows(self) -> bool:
        """Whether rows may join on the way: not where a later part also reads what lies before a layer.

        Tried on what is given at first, so that it does not depend on who asks for which picture.
        """
        batch, units = self._batch(self.pixels), self.units[:ROWS]
        try:
            grown = self._run(batch, units, grows=True)
        except (RuntimeError, IndexError):
            return False
        return apart(grown, self._run(batch, units, grows=False)) <= CLOSE

    @cached_property
    def folds(self) -> tuple[Folded, ...]:
        """The convolutions to fold their norms into; none where what holds a unit comes between both."""
        batch, units, folds = self._batch(self.pixels), self.units[:ROWS], foldable(self.model)
        plain, folded = (self._logits(batch, units, False, each)[0] for each in ((), folds))
        return folds if apart(folded, plain) <= CLOSE else ()

    def changes(self, pixels: np.ndarray, units: Sequence[Held]) -> np.ndarray:
        """Change of every logit by each of some units, (units, classes), on one picture (3, H, W)."""
        batch = self._batch(pixels)
        parts = [units[start : start + ROWS] for start in range(0, len(units), ROWS)]
        return np.concatenate([self._of(batch, part).cpu().numpy() for part in parts])

    def _of(self, batch: Tensor, units: Sequence[Held]) -> Tensor:
        if self.grows:
            with suppress(RuntimeError, IndexError):  # units of another layer
                return self._run(batch, units, grows=True)
        return self._run(batch, units, grows=False)

    def _batch(self, pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(pixels).to(self.model.device)[None]

    def _run(self, batch: Tensor, units: Sequence[Held], *, grows: bool) -> Tensor:
        logits, rows = self._logits(batch, units, grows, self.folds)
        return logits[:1] - logits[rows]

    def _logits(
        self, batch: Tensor, units: Sequence[Held], grows: bool, folds: Sequence[Folded]
    ) -> tuple[Tensor, list[int]]:
        """Logits (rows, classes), and the row of each unit."""
        given = batch if grows else batch.expand(len(units) + 1, -1, -1, -1)
        folding = Folding(folds) if folds else nullcontext()
        with torch.no_grad(), folding, held(self.model, units, grows=grows) as rows:
            return logits_of(self.model.module(given)).float(), rows
