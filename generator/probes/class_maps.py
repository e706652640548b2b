"""Class activation maps: where in a picture the evidence for a class lies (Zhou et al. 2016).

For a network that ends in an average over positions and one linear map, the logit of class c is

    S_c = b_c + sum_k w_k^c F_k = b_c + mean over (x, y) of M_c(x, y),   M_c = sum_k w_k^c f_k(x, y),

with f_k(x, y) the last feature maps and F_k their means. The sum is checked on every map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.store import Store, digest_of_value

VERSION = 1
CLASSES = 3
TOLERANCE = 1e-3


@dataclass(frozen=True)
class ClassMap:
    """The map of one class, (height, width), in units of the logit, with what it sums to."""

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
class ClassMaps:
    """The maps of a picture's most probable classes, made from the feature maps of `layer`.

    Empty where the network has no average and linear map at its end.
    """

    picture: str
    layer: str
    classes: tuple[ClassMap, ...]


def pooled_head(model: VisionModel) -> tuple[Layer, nn.Linear] | None:
    """The last feature maps and the linear map that reads their means, if the network ends so."""
    last = model.layers[-1]
    by_name = {layer.name: layer for layer in model.layers}
    if last.kind != "linear" or len(last.reads) != 1 or not last.module:
        return None
    features, matrix = by_name[last.reads[0]], model.module.get_submodule(last.module)
    spatial = len(features.shape) == 3 and features.shape[-1] > 1
    if not isinstance(matrix, nn.Linear) or not spatial or features.units != matrix.in_features:
        return None
    return features, matrix


def measure_class_maps(
    model: VisionModel, picture: str, pixels: np.ndarray, store: Store
) -> ClassMaps:
    """Maps of the most probable classes of one picture (3, H, W), normalised.

    No map is returned unless mean and bias give back every logit: the network may do more between its
    feature maps and its classes than the method allows.
    """

    def make() -> ClassMaps:
        head = pooled_head(model)
        if head is None:
            return ClassMaps(picture, "", ())
        features, matrix = head
        kept: list[Tensor] = []

        def take(layer: Layer, response: Tensor) -> None:
            if layer is features:
                kept.append(response.double().clone())

        logits = model.run(pixels, take)
        weight = matrix.weight.detach().double()
        bias = (
            matrix.bias.detach().double().cpu() if matrix.bias is not None else logits.double() * 0
        )
        rebuilt = (weight @ kept[0].mean((1, 2))).cpu() + bias
        if float((rebuilt - logits.double()).abs().max()) > TOLERANCE * float(
            logits.abs().max() + 1
        ):
            return ClassMaps(picture, "", ())
        probabilities = logits.softmax(-1)
        best = probabilities.argsort(descending=True, stable=True)[:CLASSES].tolist()
        maps = [(weight[c][:, None, None] * kept[0]).sum(0).float().cpu().numpy() for c in best]
        found = tuple(
            ClassMap(
                model.labels[c], float(probabilities[c]), float(logits[c]), float(bias[c]), values
            )
            for c, values in zip(best, maps, strict=True)
        )
        return ClassMaps(picture, features.name, found)

    parts = {"model": model.key, "pixels": digest_of_value(pixels), "labels": list(model.labels)}
    return store.result("class_maps", VERSION, {**parts, "picture": picture}, ClassMaps, make)
