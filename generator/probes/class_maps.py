"""Class activation maps: where in a picture the evidence for a class lies (Zhou et al. 2016).

For a network that ends in an average over positions and one linear map, with f_k(x, y) the last feature
maps, F_k the mean of f_k over positions, and w_k^c the weight of channel k for class c:

    S_c = b_c + sum_k w_k^c F_k                      the logit of class c
    M_c(x, y) = sum_k w_k^c f_k(x, y)                its map, so that S_c = b_c + mean over (x, y) of M_c
    P_c = exp(S_c) / sum_j exp(S_j)                  its probability

The sum is checked on every map. (Zhou et al. sum over positions where we average, and leave out the
bias: this is the same with F_k divided by the number of positions.) A map shows where the evidence
lies, as coarse as the last feature maps are; it does not say what the network would do without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.store import Store, digest_of_value

VERSION = 2
CLASSES = 3
CHANNELS = 5
TOLERANCE = 1e-3

_NO_HEAD = (
    "Class activation maps need a network that averages its last feature maps over all positions and "
    "reads its classes off the averages with one linear map. This network does not end so."
)
_ONE_CELL = (
    "Class activation maps say at which position of the last feature maps the evidence lies. This network's "
    "last feature maps have one position at {size} px, so that there is nothing to tell apart: larger "
    "pictures would have more."
)
_NO_SUM = (
    "The means of the last feature maps and the weights of the last layer do not give this network's "
    "logits: it does more between them than average. So its class activation maps would explain nothing."
)


@dataclass(frozen=True)
class ClassMap:
    """The map of one class, (height, width), in units of the logit, with what it sums to."""

    index: int
    label: str
    probability: float
    logit: float
    bias: float
    values: np.ndarray

    @property
    def difference(self) -> float:
        """How far the mean of the map plus the bias is from the logit."""
        return abs(float(self.values.mean(dtype=np.float64)) + self.bias - self.logit)


@dataclass(frozen=True)
class ChannelShare:
    """What one channel k adds to a logit: `mean` F_k times `weight` w_k^c is `product`."""

    unit: int
    mean: float
    weight: float
    product: float


@dataclass(frozen=True)
class WorkedSum:
    """The logit of one class taken apart into channels: `total` plus `bias` is `logit`.

    `top` are the channels that add most, largest first. `raising` sums all products above zero and
    `lowering` all below; together they are `total`. `normaliser` is the log of the sum of exp(S_j) over
    all classes: the probability is exp(logit - normaliser).
    """

    label: str
    channels: int
    top: tuple[ChannelShare, ...]
    raising: float
    lowering: float
    bias: float
    logit: float
    normaliser: float

    @property
    def total(self) -> float:
        """What all channels add together."""
        return self.raising + self.lowering


@dataclass(frozen=True)
class ClassMaps:
    """The maps of a picture's most probable classes, made from the feature maps of `layer`.

    `worked` takes the logit of the first of them apart. Where the method does not apply there are no
    classes, and `reason` says why in a sentence.
    """

    picture: str
    layer: str
    classes: tuple[ClassMap, ...]
    worked: WorkedSum | None
    reason: str


def pooled_head(model: VisionModel) -> tuple[Layer, nn.Linear] | None:
    """The last feature maps, of several positions, and the linear map that reads their means.

    None if the network does not end so.
    """
    head = _head(model)
    return None if head is None or _one_cell(head[0]) else head


def _head(model: VisionModel) -> tuple[Layer, nn.Linear] | None:
    last = model.layers[-1]
    by_name = {layer.name: layer for layer in model.layers}
    if last.kind != "linear" or len(last.reads) != 1 or not last.module:
        return None
    features, matrix = by_name[last.reads[0]], model.module.get_submodule(last.module)
    spatial = len(features.shape) == 3
    if not isinstance(matrix, nn.Linear) or not spatial or features.units != matrix.in_features:
        return None
    return features, matrix


def _one_cell(features: Layer) -> bool:
    return features.shape[1:] == (1, 1)


def _no_maps(model: VisionModel) -> str:
    """Why a network has no class activation maps; "" where it may have some."""
    if not model.labels:
        return model.no_classes
    head = _head(model)
    if head is None:
        return _NO_HEAD
    return _ONE_CELL.format(size=model.preprocessing.size) if _one_cell(head[0]) else ""


def measure_class_maps(
    model: VisionModel,
    picture: str,
    pixels: np.ndarray,
    store: Store,
    classes: Sequence[int] = (),
) -> ClassMaps:
    """Maps of some classes, or the most probable ones, of one picture (3, H, W), normalised.

    No map is returned unless mean and bias give back every logit: the network may do more between its
    feature maps and its classes than the method allows.
    """
    reason = _no_maps(model)
    if reason:
        return ClassMaps(picture, "", (), None, reason)
    labels = list(model.labels)
    parts = {"model": model.key, "pixels": digest_of_value(pixels), "labels": labels}
    asked = {"classes": list(classes)} if classes else {}
    return store.result(
        "class_maps",
        VERSION,
        {**parts, "picture": picture, **asked},
        ClassMaps,
        lambda: _measure(model, picture, pixels, classes),
    )


def _measure(
    model: VisionModel, picture: str, pixels: np.ndarray, classes: Sequence[int]
) -> ClassMaps:
    head = pooled_head(model)
    assert head is not None  # or `_no_maps` would have said so
    features, matrix = head
    maps, logits = _last_maps(model, features, pixels)
    weight = matrix.weight.detach().double().cpu()
    bias = torch.zeros(len(weight)) if matrix.bias is None else matrix.bias.detach().cpu()
    bias = bias.double()
    off = float((weight @ maps.mean((1, 2)) + bias - logits).abs().max())
    # Written so that a logit that is no number is refused too.
    if not off <= TOLERANCE * float(logits.abs().max() + 1):
        return ClassMaps(picture, "", (), None, _NO_SUM)
    probabilities = model.shares(logits)
    ranked = probabilities.argsort(descending=True, stable=True)[:CLASSES].tolist()
    best = list(classes) or ranked
    found = tuple(
        ClassMap(
            index=c,
            label=model.labels[c],
            probability=float(probabilities[c]),
            logit=float(logits[c]),
            bias=float(bias[c]),
            values=torch.einsum("k,kyx->yx", weight[c], maps).float().numpy(),
        )
        for c in best
    )
    worked = _worked(found[0], weight[best[0]], maps.mean((1, 2)), float(logits.logsumexp(-1)))
    return ClassMaps(picture, features.name, found, worked, "")


def _last_maps(model: VisionModel, features: Layer, pixels: np.ndarray) -> tuple[Tensor, Tensor]:
    """The feature maps (units, h, w) and the logits (classes,) of one picture, in double precision."""
    kept: list[Tensor] = []

    def take(layer: Layer, response: Tensor) -> None:
        if layer is features:
            kept.append(response.detach().cpu().double())

    logits = model.run(pixels, take)
    return kept[0].clone(), logits.double()


def _worked(top: ClassMap, weight: Tensor, means: Tensor, normaliser: float) -> WorkedSum:
    products = weight * means
    # Rounded, so that no last bit decides an order.
    order = products.mul(1e5).round().argsort(descending=True, stable=True)
    shares = tuple(
        ChannelShare(k, float(means[k]), float(weight[k]), float(products[k]))
        for k in order[:CHANNELS].tolist()
    )
    return WorkedSum(
        label=top.label,
        channels=len(products),
        top=shares,
        raising=float(products.clamp(min=0).sum()),
        lowering=float(products.clamp(max=0).sum()),
        bias=top.bias,
        logit=top.logit,
        normaliser=normaliser,
    )
