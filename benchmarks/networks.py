"""The networks that benchmarks measure."""

from __future__ import annotations

import numpy as np

from generator.exhibit import ModelSpec
from generator.models.load import load_model
from generator.models.model import VisionModel
from generator.paths import cache_root, data_root


def lite0() -> VisionModel:
    """EfficientNet-Lite0 with random weights, which has 66 layers and 3,120 units with a page."""
    spec = ModelSpec(id="lite0", source="timm:tf_efficientnet_lite0", weights="random")
    model = load_model(spec, data_root(), cache_root())
    assert isinstance(model, VisionModel)
    return model


def noise(pictures: int) -> np.ndarray:
    """Pictures (N, 3, 224, 224) of normal noise."""
    return np.random.default_rng(0).normal(size=(pictures, 3, 224, 224)).astype(np.float32)
