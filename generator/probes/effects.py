"""What each unit does to the classes: the network run without the unit's own signal.

For a unit u and its strongest picture, the whole channel is set to its mean over the curated pictures,
and the logits are compared: effect on class c = logit c with the channel - logit c without its signal.
It is the true change on that one picture, not an approximation to first order, and it holds for that
picture only. Units of the layer that a linear head reads need no experiment: their weights say it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from generator.models.model import VisionModel, logits_of
from generator.models.unit_layer import UnitLayer
from generator.probes.class_maps import pooled_head
from generator.probes.exemplars import BATCH, Exemplars, LayerExemplars, PoolImage, searched_units
from generator.probes.signal import Signal
from generator.store import Store, digest_of_value

VERSION = 1
KEPT = 4


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
    found = []
    if not model.labels:
        return ()
    for units in searched_units(model):
        best = exemplars.of(units.name)
        if best is None or not units.layer.module or (head and head[0].name == units.name):
            continue
        mean = signal.of(units.name).mean
        found.append(_stored(units, pool, best, mean, store))
        step(f"{model.id}: effects of {units.name}")
    return tuple(found)


def _stored(
    units: UnitLayer,
    pool: Sequence[PoolImage],
    best: LayerExemplars,
    mean: np.ndarray,
    store: Store,
) -> LayerEffects:
    pictures = best.neuron[:, 0]
    parts = {
        "model": units.model.key,
        "layer": units.name,
        "pictures": [pool[index].key if index >= 0 else "" for index in pictures],
        "mean": digest_of_value(mean),
    }

    def make() -> LayerEffects:
        change = effects_of(units, pool, pictures, mean)
        # The last bits differ between machines' thread counts, and must not decide an order.
        order = np.argsort(-np.round(change, 4), axis=1, kind="stable")
        up, down = order[:, :KEPT], order[:, ::-1][:, :KEPT]
        return LayerEffects(
            units.name,
            np.where(pictures[:, None] >= 0, up, -1).astype(np.int32),
            np.take_along_axis(change, up, axis=1),
            np.where(pictures[:, None] >= 0, down, -1).astype(np.int32),
            np.take_along_axis(change, down, axis=1),
        )

    return store.result("effects", VERSION, parts, LayerEffects, make)


def effects_of(
    units: UnitLayer, pool: Sequence[PoolImage], pictures: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    """Change of every logit by every unit, (units, classes), on the unit's picture; nan without one."""
    model = units.model
    change = np.full((units.units, len(model.labels)), np.nan, dtype=np.float32)
    for picture in np.unique(pictures[pictures >= 0]):
        pixels = torch.from_numpy(pool[int(picture)].load()).to(model.device)
        on_picture = np.flatnonzero(pictures == picture)
        for start in range(0, len(on_picture), BATCH - 1):
            some = on_picture[start : start + BATCH - 1]
            change[some] = _without(units, pixels, some, mean)
    return change


def _without(
    units: UnitLayer, pixels: Tensor, silenced: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    """The first of the batch runs untouched, each other one without one unit."""
    batch = pixels.unsqueeze(0).expand(len(silenced) + 1, -1, -1, -1)
    with torch.no_grad(), units.held(silenced.tolist(), mean[silenced]):
        logits = logits_of(units.model.module(batch)).float().cpu().numpy()
    return logits[0] - logits[1:]
