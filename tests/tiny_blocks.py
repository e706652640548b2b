"""Small networks for pictures: one with a layer of signed responses, one of residual blocks."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from generator.exhibit import ModelSpec, Preprocessing
from generator.models.model import VisionModel
from generator.models.vision import Network, finish

LABELS = ("</script><img src=x onerror=alert(1)>", "b & c", "{{ d }}", "e", "f")


class Tiny(nn.Module):
    """A signed layer of 12 channels on 9 x 9 cells, then a curved way to five classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.act = nn.ReLU()
        self.cells = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.late = nn.Conv2d(12, 10, 3, stride=2, padding=1)
        self.curve = nn.SiLU()
        self.classes = nn.Linear(10, 5)

    def forward(self, pixels):
        return self.tail(self.cells(self.act(self.stem(pixels))))

    def tail(self, response):
        return self.classes(self.curve(self.late(response)).mean((2, 3)))


class Residual(nn.Module):
    """A stem, three blocks alike with a batch norm each, and classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(Inner() for _ in range(3))
        self.classes = nn.Linear(8, 5)

    def forward(self, pixels):
        found = self.stem(pixels).relu()
        for block in self.blocks:
            found = block(found)
        return self.classes(found.mean((2, 3)))


class Inner(nn.Module):
    """Two convolutions, the second with a batch norm, and a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(8, 8, 1)
        self.two = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, given):
        return given + self.norm(self.two(self.one(given).relu()))


def tiny_model() -> VisionModel:
    torch.manual_seed(3)
    module = Tiny()
    for parameter in module.parameters():
        parameter.data *= 3  # far enough from linear for the two attributions to differ
    network = Network(module, "test", Preprocessing(size=36), LABELS)
    place = {"source": "test", "origin": "test", "revision": None, "files": {}}
    return finish(network, ModelSpec(id="tiny", source="test"), place, torch.device("cpu"))


def some_pixels(seed: int = 0, size: int = 36) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, size, size)).astype(np.float32)
