"""Activation maps of every channel of a layer on each picture, made small by averaging."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn import functional

from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.store import Store, digest_of_value

VERSION = 2
PIXELS = 160_000


@dataclass(frozen=True)
class LayerMaps:
    """Maps of one layer, float32 of shape (channels, height, width).

    Each map position is the mean of a `pooled` x `pooled` square of activations.
    """

    layer: str
    pooled: int
    maps: np.ndarray


@dataclass(frozen=True)
class PictureMaps:
    """The maps of all spatial layers that get a page, for one picture."""

    picture: str
    layers: tuple[LayerMaps, ...]


def measure_maps(model: VisionModel, picture: str, pixels: np.ndarray, store: Store) -> PictureMaps:
    """Run one picture (3, H, W), normalised, and keep its activation maps."""

    def make() -> PictureMaps:
        found: list[LayerMaps] = []

        def take(layer: Layer, response: Tensor) -> None:
            if layer.name in model.paged and response.dim() == 3 and response.shape[-1] > 1:
                step = pooling(response.shape[0], response.shape[1], response.shape[2])
                small = functional.avg_pool2d(response[None].float(), step)[0]
                found.append(LayerMaps(layer.name, step, small.float().cpu().numpy()))

        model.run(pixels, take)
        return PictureMaps(picture, tuple(found))

    parts = {
        "model": model.key,
        "layers": sorted(model.paged),
        "picture": picture,
        "pixels": digest_of_value(pixels),
        "limit": PIXELS,
    }
    return store.result("activation_maps", VERSION, parts, PictureMaps, make)


def pooling(channels: int, height: int, width: int) -> int:
    """The smallest square to average over that keeps a sheet of all channels light."""
    step = 1
    while channels * (height // step) * (width // step) > PIXELS and min(height, width) // step > 7:
        step += 1
        while (height % step or width % step) and step < min(height, width):
            step += 1
    return step
