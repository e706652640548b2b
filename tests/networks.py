"""Networks of the libraries with random weights, opened as the loader opens them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from generator.exhibit import ModelSpec, Preprocessing
from generator.models.compat import repair_torchvision
from generator.models.model import VisionModel
from generator.models.vision import Network, finish

SIDE = 64


def opened(module: nn.Module, side: int = SIDE) -> VisionModel:
    """A network for pictures of one side, as the loader opens it."""
    network = Network(module, "a network", Preprocessing(size=side), (), counted=True)
    place = {"source": "", "origin": "", "revision": None, "files": {}}
    return finish(network, ModelSpec(id="net", source="timm:x"), place, torch.device("cpu"))


def timm_network(name: str, **shape: Any) -> nn.Module:
    """A network of timm, in the sizes that `shape` gives."""
    repair_torchvision()
    import timm

    torch.manual_seed(0)
    return timm.create_model(name, pretrained=False, **shape)


def torchvision_network(name: str) -> nn.Module:
    """A network of torchvision."""
    torch.manual_seed(0)
    return getattr(repair_torchvision().models, name)(weights=None)


def picture(side: int = SIDE, seed: int = 5) -> np.ndarray:
    """A picture of noise (3, side, side)."""
    return np.random.default_rng(seed).normal(size=(3, side, side)).astype(np.float32)
