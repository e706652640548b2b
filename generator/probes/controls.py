"""What the methods show where there is nothing to see: the same network with random weights.

After Adebayo et al. 2018, "Sanity checks for saliency maps". Two numbers go with the pictures. The
*purity* of a unit's exemplars is the share of pairs among them that are of one group (the pool's
folders); chance is that share among all pairs of the pool that show different things, and with *shuffled*
groups the same exemplars are judged by groups that each thing was dealt anew. Pictures without a group count
nowhere. The *agreement* of two maps is Spearman's rank correlation over positions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import scipy
import torch
from torch import Tensor

from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.models.randomise import Statistics, randomised
from generator.probes.exemplars import (
    BATCH,
    Exemplars,
    LayerExemplars,
    PoolImage,
    find_exemplars,
    unit_layers,
)
from generator.probes.grad_cam import weighted_maps
from generator.store import Store, digest_of_value
from generator.uncertainty import sample_deviation

T = TypeVar("T")

VERSION = 4
SHOWN = 6
SHUFFLES = 200
# Batch norms count their statistics over so many pictures at most, evenly spread over the pool.
COUNTED = 256


@dataclass(frozen=True)
class MapPair:
    """Evidence maps (h, w) for one class on one picture, trained and random, and their agreement."""

    picture: str
    label: str
    trained: np.ndarray
    random: np.ndarray
    agreement: float


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over `units` units; nan without any."""

    mean: float
    deviation: float
    units: int

    @property
    def interval(self) -> float:
        """Half the 95 % interval of the mean.

        The units share pictures and are not independent of each other, so that it is rather too small.
        """
        return 1.96 * self.deviation / self.units**0.5 if self.units > 1 else float("nan")


@dataclass(frozen=True)
class Controls:
    """One layer of a network beside the same layer with random weights.

    `units` are those drawn, `counted` the pictures over which the random network's batch norms counted.
    `trained_purity` and `random_purity` are those of all units of the layer whose exemplars are full,
    `chance` is the same share among all pairs of pictures of different things, and `shuffled` (SHUFFLES,) are
    the means of the trained units with the group of each thing given to another thing; nan where the pool
    has no groups.
    """

    layer: str
    map_layer: str
    seed: int
    counted: int
    units: tuple[int, ...]
    random: LayerExemplars
    trained_purity: Spread
    random_purity: Spread
    chance: float
    shuffled: np.ndarray
    maps: tuple[MapPair, ...]

    @property
    def floor(self) -> tuple[float, float, float]:
        """Mean of `shuffled`, and the limits of the middle 95 % of them."""
        low, high = np.quantile(self.shuffled, (0.025, 0.975))
        return float(self.shuffled.mean()), float(low), float(high)


def measure_controls(
    model: VisionModel,
    pool: Sequence[PoolImage],
    groups: Sequence[str],
    exemplars: Exemplars,
    pictures: Mapping[str, np.ndarray],
    subjects: Sequence[str] = (),
    *,
    seed: int,
    random: Callable[[], VisionModel],
    store: Store,
    step: Callable[[str], None],
) -> Controls | None:
    """Exemplars and evidence maps with trained and with random weights; None without unit pages.

    `groups` are those of pool pictures, `subjects` what they show, `pictures` maps ids to pixels (3, H, W).
    `random` makes the network with random weights (`random_of`), from the same seed.
    """
    layers = unit_layers(model)
    # Late enough to be selective, early enough for patches.
    layer = layers[-1 - len(layers) // 4] if layers else None
    trained = exemplars.of(layer.name) if layer else None
    if layer is None or trained is None:
        return None
    shown = {name: digest_of_value(pixels) for name, pixels in pictures.items()}
    parts: dict[str, Any] = {"model": model.key, "pool": [image.key for image in pool]}
    parts |= {"pictures": shown, "groups": [*groups], "subjects": [*subjects]}
    parts |= {"layer": layer.name, "seed": seed}

    def make() -> Controls:
        control = random()
        every = find_exemplars(control, pool, store, step)  # the pass that other controls look at
        searched = next(one for one in every.layers if one.layer == layer.name)
        features = next((one for one in reversed(model.spatial) if one.tapped), None)
        chosen = np.random.default_rng(seed).permutation(layer.units)[:SHOWN]
        return Controls(
            layer=layer.name,
            map_layer=features.name if features else "",
            seed=seed,
            counted=len(spread(pool, COUNTED)),
            units=tuple(np.sort(chosen).tolist()),
            random=searched,
            trained_purity=_spread_of(purities(trained.neuron, groups)),
            random_purity=_spread_of(purities(searched.neuron, groups)),
            chance=chance(groups, subjects),
            shuffled=shuffled_purity(trained.neuron, groups, subjects, seed),
            maps=_maps(model, control, features, pictures) if features and model.labels else (),
        )

    return store.result("controls", VERSION, parts, Controls, make)


def purities(chosen: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Share of pairs of one group among each unit's pictures; `chosen` (units, pictures).

    Of the units that have all pictures, two of them with a group; none where there is only one group.
    """
    full = chosen[(chosen >= 0).all(axis=1)]
    if not len(full) or len({*groups} - {""}) < 2:
        return np.zeros(0)
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    codes = codes[full]
    grouped = names[codes] != ""
    same = (codes[:, :, None] == codes[:, None, :]) & grouped[:, :, None]
    count = grouped.sum(axis=1)
    usable = count > 1
    pairs = (count * (count - 1))[usable]
    return np.asarray((same.sum(axis=(1, 2)) - count)[usable] / pairs)


def shuffled_purity(
    chosen: np.ndarray, groups: Sequence[str], subjects: Sequence[str], seed: int
) -> np.ndarray:
    """Mean purity with the groups dealt anew, (SHUFFLES,): each thing gets the group of another.

    Pictures of one thing keep one group, as they look alike whatever they are called.
    """
    things = np.asarray(subjects or [str(place) for place in range(len(groups))])
    _, first, which = np.unique(things, return_index=True, return_inverse=True)
    of_things, random = np.asarray(groups)[first], np.random.default_rng(seed)
    grouped = of_things != ""
    found = []
    for _ in range(SHUFFLES):
        anew = of_things.copy()
        anew[grouped] = random.permutation(of_things[grouped])
        dealt = anew[which]
        found.append(_spread_of(purities(chosen, dealt.tolist())).mean)
    return np.array(found)


def _spread_of(values: np.ndarray) -> Spread:
    if not len(values):
        return Spread(float("nan"), float("nan"), 0)
    deviation = float(sample_deviation(values))
    return Spread(float(values.mean()), deviation, len(values))


def chance(groups: Sequence[str], subjects: Sequence[str] = ()) -> float:
    """The share of pairs of one group among all pairs of pictures that have one and show different things."""
    things = subjects or [str(place) for place in range(len(groups))]
    both = [pair for pair in zip(groups, things, strict=True) if pair[0]]
    alone, of_things = ([pair[n] for pair in both] for n in (0, 1))
    total = _pairs(alone, one=True) - _pairs(of_things)
    if len({*alone}) < 2 or not total:
        return float("nan")
    return (_pairs(alone) - _pairs(both)) / total


def _pairs(names: Sequence[Hashable], *, one: bool = False) -> int:
    """How many pairs have one name; with `one`, how many pairs there are."""
    sizes = [len(names)] if one else Counter(names).values()
    return sum(size * (size - 1) // 2 for size in sizes)


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation of two maps of one shape; nan if one is flat."""
    first, second = (np.round(values.ravel(), 6) for values in (one, other))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(scipy.stats.spearmanr(first, second).statistic)


def evidence_map(model: VisionModel, layer: Layer, pixels: np.ndarray, index: int) -> np.ndarray:
    """Evidence (h, w) for one class: sum_k (sum over positions of dS_c/df_k) f_k(x, y).

    Behind a global average and a linear map that is the class activation map itself; in any other
    network it is Grad-CAM before its rectifier, up to a factor.
    """
    _, ((_, values),) = weighted_maps(model, pixels, layer, (index,))
    return (values * values.numel()).cpu().numpy()


def _maps(
    model: VisionModel, control: VisionModel, features: Layer, pictures: Mapping[str, np.ndarray]
) -> tuple[MapPair, ...]:
    found = []
    for name, pixels in pictures.items():
        index = int(model.run(pixels, lambda *_: None).argmax())
        one = evidence_map(model, features, pixels, index)
        other = evidence_map(control, features, pixels, index)
        pair = MapPair(name, model.labels[index], one, other, rank_correlation(one, other))
        found.append(pair)
    return tuple(found)


def spread(pool: Sequence[T], most: int) -> list[T]:
    """All members of a pool, or `most` of them at even steps through it."""
    count = min(most, len(pool))
    return [pool[place * len(pool) // count] for place in range(count)]


def random_of(
    model: VisionModel,
    pool: Sequence[PoolImage],
    shown: Sequence[np.ndarray],
    seed: int,
    store: Store,
) -> VisionModel:
    """The network with random weights, its statistics counted on the pool, else on the pictures shown.

    They are counted once: every process that asks for it draws the same weights.
    """
    counted = spread(pool, COUNTED)
    over = [image.key for image in counted] or [digest_of_value(pixels) for pixels in shown]
    parts = {"randomised": model.key, "seed": seed, "pictures": over, "batch": BATCH}
    pictures = batches(counted) if pool else [torch.from_numpy(np.stack(shown))]
    kept = partial(store.result, "random_statistics", VERSION, parts, Statistics)
    return randomised(model, pictures, seed, kept)


def batches(pool: Sequence[PoolImage]) -> Iterator[Tensor]:
    """Batches of nearly one size, each of pictures from all through the pool.

    A pool lies by folders: batches of neighbours would vary less than the pool does, and a last batch of one
    picture has no variance at all.
    """
    count = -(-len(pool) // BATCH)
    for number in range(count):
        yield torch.from_numpy(np.stack([image.load() for image in pool[number::count]]))
