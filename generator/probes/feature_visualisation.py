"""Feature visualisation: pictures made to excite a unit or a class (Olah et al. 2017).

A picture shows what the optimiser found from one start, not what a unit does on photographs: a unit
that answers to several things shows one of them, and a strong answer to such a picture says little
about ordinary ones. So each picture comes with what it reaches, on the scale of the exemplars.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from generator.inputs.images import as_pixels
from generator.models.layer import Layer
from generator.models.model import VisionModel, logits_of
from generator.probes.exemplars import Exemplars
from generator.probes.optvis import objectives as terms
from generator.probes.optvis.folding import Folded, foldable
from generator.probes.optvis.objectives import Objective
from generator.probes.optvis.render import Recipe, optimise
from generator.probes.optvis.transforms import Shake
from generator.probes.optvis.wants import Want, fitting
from generator.store import Store

VERSION = 3
BATCH = 16
SPREAD = 15.0  # weight of the diversity term
LEAD = 4.0  # how much further than other frequencies the mean of an early picture is stepped
_ALIKE = 12  # of 255
_GROUND = 127.5  # what transparent pictures are measured on


@dataclass(frozen=True)
class Visualised:
    """A picture (size, size, 3), or 4 with alpha, uint8, and what it reaches.

    Measured on the finished picture, without views, pixel for pixel at its own size, as it was made:
    enlarged to the network's input it would show its textures at a scale that they were not made for.
    `peak` and `mean` are the unit's largest and mean response over positions, as the exemplars' neuron
    and channel responses; a smaller picture has fewer positions, so the comparison favours the pool.
    `other_peak` is that of an interpolation's other unit. `logit` and `probability` are those of a class.
    What does not apply is nan.
    """

    want: Want
    picture: np.ndarray
    peak: float
    mean: float
    other_peak: float
    logit: float
    probability: float


@dataclass(frozen=True)
class PoolComparison:
    """How many single units' pictures excite them more than the pool's best picture for each.

    `above` counts those whose peak is larger than the largest peak over the pool, and `level` those
    where both are equal: at the ceiling of an activation that has one, nothing can be larger.
    `mean_above` compares the means over positions, which the pictures were made to raise, in the same way.
    """

    units: int
    above: int
    level: int
    mean_above: int


@dataclass(frozen=True)
class _Batch:
    pictures: tuple[Visualised, ...]


def visualise_features(
    model: VisionModel,
    wanted: Sequence[Want],
    *,
    seed: int,
    store: Store,
    step: Callable[[str], None],
) -> tuple[Visualised, ...]:
    """One picture for each want, in their order; `step` is told each batch that is done.

    A network of one size gets all of them in that size. Pictures of one size and number of steps are made up
    to BATCH at a time, by depth.
    """
    wanted = fitting(model, wanted)
    folds: list[tuple[Folded, ...]] = []

    def made(batch: Sequence[Want]) -> _Batch:
        if not folds:
            folds.append(foldable(model))
        return _Batch(_optimised(model, batch, seed, folds[0]))

    def kept(batch: Sequence[Want]) -> tuple[Visualised, ...]:
        parts = {"model": model.key, "wanted": [asdict(want) for want in batch], "seed": seed}
        make = partial(made, batch)
        pictures = store.result("feature_visualisation", VERSION, parts, _Batch, make).pictures
        step(f"{model.id}: {len(batch)} of {len(wanted)} feature visualisations")
        return pictures

    asks = [partial(kept, batch) for batch in batches(model, wanted)]
    found = {each.want.name: each for pictures in store.shared(asks) for each in pictures}
    return tuple(found[want.name] for want in wanted)


def against_pool(found: Sequence[Visualised], exemplars: Exemplars) -> PoolComparison:
    """Compare the pictures made for one channel or neuron with the pool, by the same measures."""
    rows = []
    for one in found:
        layer = exemplars.of(one.want.layer)
        if layer is None or one.want.kind not in {"channel", "neuron"}:
            continue
        unit = one.want.unit
        rows.append((one.peak, layer.neuron_value[unit, 0], one.mean, layer.channel_value[unit, 0]))
    peak, best, mean, best_mean = np.array(rows, dtype=np.float32).reshape(-1, 4).T
    return PoolComparison(
        units=len(rows),
        above=int((peak > best).sum()),
        level=int((peak == best).sum()),
        mean_above=int((mean > best_mean).sum()),
    )


def share_of_one_colour(picture: np.ndarray) -> float:
    """The share of pixels of `picture` (rows, columns, channels) within `_ALIKE` levels of the median."""
    pixels = picture[..., :3].reshape(-1, 3).astype(np.int16)
    return float((np.abs(pixels - np.median(pixels, axis=0)) <= _ALIKE).all(axis=1).mean())


def batches(model: VisionModel, wanted: Sequence[Want]) -> Iterator[list[Want]]:
    """Wants that can be made together, at most BATCH, by depth; a diversity set is never split."""
    depth = {layer.name: layer.index for layer in model.layers} | {"": len(model.layers)}

    def place(want: Want) -> tuple[Any, ...]:
        own = "" if want.kind == "diversity" else want.name
        look = (want.size, want.steps, want.decay, want.cut, want.alpha)
        return (*look, depth[want.layer], want.kind, want.unit, own)

    batch: list[Want] = []
    for _, group in groupby(sorted(wanted, key=place), key=place):
        together = list(group)
        crowded = len(batch) + len(together) > BATCH
        if batch and (crowded or _recipe(batch[0]) != _recipe(together[0])):
            yield batch
            batch = []
        batch = batch + together
    if batch:
        yield batch


def objective_of(want: Want) -> Objective:
    """What a picture is made to raise."""
    if want.kind == "logit":
        return terms.logit(want.unit)
    if want.kind == "probability":
        return terms.log_probability(want.unit)
    if want.kind == "neuron":
        return terms.neuron(want.layer, want.unit)
    unit = terms.channel(want.layer, want.unit)
    if want.kind == "diversity":
        return unit + SPREAD * terms.diversity(want.layer, f"{want.unit}")
    if want.kind == "interpolation":
        return terms.between(unit, terms.channel(want.layer, want.other), want.share)
    if want.kind == "channel":
        return unit
    if want.kind == "direction":
        return terms.direction(want.layer, want.vector)
    raise ValueError(f"there is no objective '{want.kind}'")


def _recipe(want: Want) -> Recipe:
    # The shifts are those of pictures of 128 pixels and more; smaller ones would be shifted away.
    shake = Shake(jitter=min(16.0, want.size / 8), late_jitter=min(8.0, want.size / 16))
    return Recipe(
        size=want.size,
        steps=want.steps,
        decay=want.decay,
        cut=want.cut,
        # Early layers, which are drawn without a cut, ask for light or colour as often as for a form.
        lead=LEAD if math.isinf(want.cut) else 1.0,
        shake=shake,
        alpha=want.alpha,
    )


def _seed(want: Want, seed: int) -> int:
    """A seed of its own; kinds and shares with the same subject start alike, to be compared."""
    text = f"{seed}/{want.layer}/{want.unit}/{want.other}/{want.number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def _optimised(
    model: VisionModel, batch: Sequence[Want], seed: int, folds: Sequence[Folded]
) -> tuple[Visualised, ...]:
    objectives = [objective_of(want) for want in batch]
    seeds = [_seed(want, seed) for want in batch]
    drawn = optimise(model, objectives, _recipe(batch[0]), seeds, folds)
    return measured(model, batch, drawn.pictures)


def measured(
    model: VisionModel, wants: Sequence[Want], pictures: np.ndarray
) -> tuple[Visualised, ...]:
    """What finished pictures (N, size, size, 3 or 4), run at their own size, reach."""
    pixels = torch.from_numpy(np.stack([_as_input(model, each) for each in pictures]))
    names = {want.layer for want in wants}
    responses: dict[str, Tensor] = {}

    def take(layer: Layer, response: Tensor) -> None:
        responses[layer.name] = response.reshape(*response.shape[:2], -1).cpu().clone()

    if names - {""}:
        model.run_batch(pixels, [layer for layer in model.layers if layer.name in names], take)
    logits = torch.empty(0)
    if "" in names:
        with torch.no_grad():
            logits = logits_of(model.module(pixels.to(model.device))).float().cpu()
    found = []
    for number, want in enumerate(wants):
        empty = Visualised(want, pictures[number], *[float("nan")] * 5)
        if want.layer:
            found.append(_with_unit(empty, responses[want.layer][number]))
        else:
            found.append(_with_class(empty, logits[number], model))
    return tuple(found)


def _with_unit(found: Visualised, response: Tensor) -> Visualised:
    """`response` is (units, positions)."""
    want = found.want
    vector = torch.tensor(want.vector)
    own = vector @ response / vector.norm() if want.vector else response[want.unit]
    other = float(response[want.other].max()) if want.other >= 0 else float("nan")
    return replace(found, peak=float(own.max()), mean=float(own.mean()), other_peak=other)


def _with_class(found: Visualised, logits: Tensor, model: VisionModel) -> Visualised:
    unit = found.want.unit
    return replace(found, logit=float(logits[unit]), probability=float(model.shares(logits)[unit]))


def _as_input(model: VisionModel, picture: np.ndarray) -> np.ndarray:
    how = model.preprocessing
    solid = picture.astype(np.float64)
    if solid.shape[-1] == 4:
        alpha = solid[..., 3:] / 255
        solid = alpha * solid[..., :3] + (1 - alpha) * _GROUND
    return as_pixels(Image.fromarray(solid.round().astype(np.uint8)), how)
