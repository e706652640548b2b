"""Grad-CAM: class activation maps for any layer of any network (Selvaraju et al. 2017).

    a_k^c = mean over (x, y) of dS_c / df_k(x, y)          the weight of channel k, measured by its gradient
    L_c(x, y) = max(0, sum_k a_k^c f_k(x, y))              its map

with f_k the maps of any layer and S_c the logit. In front of an average and a linear map the gradient
is w_k^c / (h w) at every position, so that L_c is the class activation map M_c, clipped below at zero
and divided by the number of positions. At any other layer it is a linear approximation around this one
picture: one weight stands for all positions of a channel, and evidence against the class is not
shown. Values of different layers are on different scales and cannot be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.models.tap import tail, tails
from generator.store import Store, digest_of_value

VERSION = 1
DEPTHS = 5

_NO_LAYER = (
    "This network has no layer with feature maps over positions, returned by a module or an activation, "
    "which Grad-CAM weighs."
)


@dataclass(frozen=True)
class GradCam:
    """One map: `values` (height, width), not scaled, and the `weights` (units,) of its channels.

    `logit` and `probability` are those of the class in this picture.
    """

    layer: str
    index: int
    label: str
    logit: float
    probability: float
    weights: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class GradCams:
    """Grad-CAM of a picture's most probable class at several `depths`, first layer first.

    `controls` are maps of other classes at the last of these layers, the second most probable and
    the least probable one: a map that explains its class must differ from theirs. Where the method does
    not apply both are empty, and `reason` says why in a sentence.
    """

    picture: str
    depths: tuple[GradCam, ...]
    controls: tuple[GradCam, ...]
    reason: str

    def likeness(self, control: GradCam) -> float | None:
        """Correlation over positions of a control with the top class's map; None if one is flat."""
        ours, theirs = self.depths[-1].values.ravel(), control.values.ravel()
        if any(values.std() <= 1e-6 * values.max() for values in (ours, theirs)):
            return None
        matrix: np.ndarray = np.corrcoef(ours, theirs)
        return float(matrix[0, 1])


def depths(model: VisionModel) -> tuple[Layer, ...]:
    """Up to five layers spread through the network: the last one at each size of its maps.

    Block outputs and the last layer with positions are considered, or every such layer of a network
    without blocks; those of one size all through are taken at even distances.
    """
    spatial = [layer for layer in model.spatial if layer.tapped]
    if any(layer.kind == "block" for layer in spatial):
        spatial = [layer for layer in spatial if layer.kind == "block" or layer is spatial[-1]]
    last_of_size = {layer.shape[-2:]: layer for layer in spatial}
    if len(last_of_size) > 2:
        chosen = sorted(last_of_size.values(), key=lambda layer: layer.index)
        return tuple(chosen[-DEPTHS:])
    places = np.linspace(0, len(spatial) - 1, min(DEPTHS, len(spatial)))
    return tuple(spatial[round(float(place))] for place in places)


def grad_cam(
    model: VisionModel,
    picture: str,
    pixels: np.ndarray,
    layer: Layer,
    class_index: int,
    store: Store,
) -> GradCam:
    """The map of one class at one layer, for one picture (3, H, W), normalised.

    `layer` must have positions. Raises CutawayError if no module returns its response.
    """
    parts = {**_depends_on(model, picture, pixels), "layer": layer.name, "class": class_index}

    def make() -> GradCam:
        stated, (found,) = weighted_maps(model, pixels, layer, (class_index,))
        return _class_evidence(model, layer, found, class_index, stated)

    return store.result("grad_cam", VERSION, parts, GradCam, make)


def measure_grad_cam(
    model: VisionModel, picture: str, pixels: np.ndarray, store: Store
) -> GradCams:
    """The most probable class of one picture (3, H, W) at several depths, with its controls."""
    if not model.labels:
        return GradCams(picture, (), (), model.no_classes)
    layers = depths(model)
    parts = {**_depends_on(model, picture, pixels), "layers": [layer.name for layer in layers]}

    def make() -> GradCams:
        if not layers:
            return GradCams(picture, (), (), _NO_LAYER)
        responses, logits = tails(model, _batch(model, pixels), layers)
        stated = logits.detach()[0].float()
        best, *others = stated.cpu().argsort(descending=True, stable=True).tolist()
        found = _weighted(logits[0, best], responses)
        maps = [
            _class_evidence(model, *each, best, stated) for each in zip(layers, found, strict=True)
        ]
        controls = [
            _class_evidence(
                model, layers[-1], _weighted(logits[0, c], responses[-1:])[0], c, stated
            )
            for c in dict.fromkeys([*others[:1], *others[1:][-1:]])
        ]
        return GradCams(picture, tuple(maps), tuple(controls), "")

    return store.result("grad_cams", VERSION, parts, GradCams, make)


def _depends_on(model: VisionModel, picture: str, pixels: np.ndarray) -> dict[str, object]:
    labels = list(model.labels)
    pixels_digest = digest_of_value(pixels)
    return {"model": model.key, "picture": picture, "pixels": pixels_digest, "labels": labels}


def weighted_maps(
    model: VisionModel, pixels: np.ndarray, layer: Layer, classes: Sequence[int]
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """The logits (classes,) of a picture, and for each class asked for a_k^c (units,) and its weighted sum.

    The sums (height, width) are not clipped. One pass forward, and one back for each class.
    """
    response, logits = tail(model, _batch(model, pixels), layer)
    found = [_weighted(logits[0, c], (response,))[0] for c in classes]
    return logits.detach()[0].float(), found


def _batch(model: VisionModel, pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).unsqueeze(0).to(model.device)


def _weighted(logit: Tensor, responses: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """For each response a_k^c (units,) and its weighted sum (height, width), by one pass back."""
    found = []
    for response, gradient in zip(
        responses, torch.autograd.grad(logit, responses, retain_graph=True), strict=True
    ):
        weights = gradient[0].mean((1, 2))
        found.append((weights, torch.einsum("k,kyx->yx", weights, response.detach()[0])))
    return found


def _class_evidence(
    model: VisionModel, layer: Layer, found: tuple[Tensor, Tensor], c: int, logits: Tensor
) -> GradCam:
    weights, values = found
    return GradCam(
        layer=layer.name,
        index=c,
        label=model.labels[c],
        logit=float(logits[c]),
        probability=float(model.shares(logits)[c]),
        weights=weights.cpu().numpy(),
        values=values.clamp(min=0).cpu().numpy(),
    )
