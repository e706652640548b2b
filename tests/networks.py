"""Networks of the libraries with random weights, opened as the loader opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from generator.exhibit import ModelSpec, Preprocessing
from generator.models.compat import repair_torchvision
from generator.models.load import load_model
from generator.models.model import VisionModel
from generator.models.vision import Network, finish

SIDE = 64
VGG = """
from torch import nn
from torchvision.models.vgg import make_layers


class Vgg(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = make_layers([16, "M", 24, "M", 24, 24, "M", 32, "M"])
        self.avgpool = nn.AdaptiveAvgPool2d((4, 4))
        self.classifier = nn.Sequential(
            nn.Linear(512, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, 12)
        )

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))
"""


def narrow_vgg(folder: Path) -> dict[str, Any]:
    """A VGG but narrow, a file of a user's own: as it is published, its head has 120 million weights."""
    repair_torchvision()
    (folder / "vgg.py").write_text(VGG)
    names: dict[str, type[torch.nn.Module]] = {}
    exec(VGG, names)
    torch.manual_seed(4)
    torch.save(names["Vgg"]().state_dict(), folder / "vgg.pth")
    return {"source": "./vgg.pth", "architecture": "./vgg.py:Vgg", "classes": 12}


def random_network(source: str, folder: Path, side: int = SIDE, **more: Any) -> VisionModel:
    """A network of a library with random weights, or the narrow "vgg", loaded from files."""
    stated = narrow_vgg(folder) if source == "vgg" else {"source": source, "weights": "random"}
    spec = ModelSpec(id="net", preprocessing=Preprocessing(size=side), **stated, **more)
    model = load_model(spec, folder, folder, seed=0, device="cpu")
    assert isinstance(model, VisionModel)
    return model


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


def entering(model: VisionModel, name: str, batch: torch.Tensor) -> torch.Tensor:
    """What a module of the library's own is given when a batch is run."""
    seen: list[torch.Tensor] = []
    part = model.module.get_submodule(name)
    handle = part.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].clone()))
    with torch.no_grad():
        model.module(batch)
    handle.remove()
    return seen[0]
