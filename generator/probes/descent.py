"""Signals sent from one neuron back to the pixels, under the rules of `generator.probes.backward`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.models.tap import responses
from generator.probes.backward import RULES, Rules


class Descent:
    """One forward pass to a layer, from which signals are sent back to the pixels (N, 3, H, W)."""

    def __init__(self, model: VisionModel, layer: Layer, pixels: np.ndarray) -> None:
        self._rules = Rules()
        self._pixels = torch.from_numpy(pixels).to(model.device).requires_grad_()
        with torch.enable_grad(), self._rules:
            # A network may write into what it is given, which a leaf does not allow. This order of
            # memory suits convolutions, and does not change what they compute.
            given = self._pixels.clone(memory_format=torch.channels_last)
            self._response = responses(model, given, (layer,))[layer.name]
        self._rules.start_at(self._response)

    def send(self, units: np.ndarray, places: np.ndarray, rule: str) -> np.ndarray:
        """Signals (N, 3, H, W) from one neuron a picture; zeros where `units` is negative."""
        seed = torch.zeros(self._response.shape, device=self._response.device)
        asked = np.flatnonzero(units >= 0)
        seed.view(*seed.shape[:2], -1)[asked, units[asked], places[asked]] = 1
        self._rules.rule = rule
        (found,) = torch.autograd.grad(
            self._response, self._pixels, seed.to(self._response.dtype), retain_graph=True
        )
        array: np.ndarray = found.cpu().numpy()
        return array


def to_pixels(
    model: VisionModel,
    layer: Layer,
    pixels: np.ndarray,
    units: np.ndarray,
    places: np.ndarray,
    rules: Sequence[str] = RULES,
) -> np.ndarray:
    """Signals (N, rules, 3, H, W) from one neuron of each picture (N, 3, H, W).

    `units` (N,) and `places` (N,), flat positions, name the neurons. Each signal starts with the value 1,
    in front of the activation that ends the layer, so that a neuron at that activation's limit counts too.
    """
    descent = Descent(model, layer, pixels)
    return np.stack([descent.send(units, places, rule) for rule in rules], axis=1)
