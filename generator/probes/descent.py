"""Signals sent from one neuron back to the pixels, under the rules of `generator.probes.backward`."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import zip_longest

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


def asked_exemplars(
    pictures: np.ndarray, units: Sequence[int], ranks: Sequence[int]
) -> list[tuple[int, int]]:
    """(unit, rank) of every exemplar there is; `pictures` (units, ranks) is negative where there is none."""
    every = ((unit, rank) for unit in units for rank in ranks)
    return [ask for ask in every if pictures[ask] >= 0]


Round = tuple[tuple[int, int] | None, ...]


def rounds_of(
    asks: Sequence[tuple[int, int]],
    pictures: np.ndarray,
    size: int,
    first: Container[tuple[int, int]] = (),
) -> Iterator[tuple[list[int], list[Round]]]:
    """Batches of pictures with what is asked of them, one (unit, rank) a picture in each round.

    Pictures that are asked about equally often stand together, so that few rounds have gaps; those of the
    asks `first` stand together as well, and these asks in the first rounds.
    """
    by_picture: dict[int, list[tuple[int, int]]] = {}
    for ask in sorted(asks, key=lambda ask: ask not in first):
        by_picture.setdefault(int(pictures[ask]), []).append(ask)

    def place(picture: int) -> tuple[int, int, int]:
        own = by_picture[picture]
        return -sum(ask in first for ask in own), -len(own), picture

    order = sorted(by_picture, key=place)
    for start in range(0, len(order), size):
        part = order[start : start + size]
        yield part, list(zip_longest(*(by_picture[picture] for picture in part)))
