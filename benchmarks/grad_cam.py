"""What Grad-CAM of 16 pictures costs, beside the forward and backward passes that it needs.

EfficientNet-Lite0 (random weights): a picture's most probable class at five depths, and two other classes
at the last of them. For that one pass forward is needed, one back to the first of these depths, and two
back to the last.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from networks import lite0, noise
from torch import Tensor
from turns import Measured, ratio, take_turns, told

from generator.probes.grad_cam import depths, measure_grad_cam
from generator.store import Store


def measure(runs: int = 5, pictures: int = 16) -> list[Measured]:
    model, pixels = lite0(), noise(pictures)
    layers = depths(model)
    kept: list[Tensor] = []

    def keep(*given: Tensor) -> Tensor:
        kept.append(given[-1] if kept else given[-1].detach().requires_grad_())
        return kept[-1].clone()

    def bare() -> None:
        parts = [model.module.get_submodule(layer.module) for layer in layers]
        handles = [part.register_forward_hook(keep) for part in parts]
        for picture in torch.from_numpy(pixels).split(1):
            kept.clear()
            logits = model.module(picture)[0]
            first, *others = logits.topk(3).values
            torch.autograd.grad(first, kept, retain_graph=True)
            for other in others:
                torch.autograd.grad(other, kept[-1], retain_graph=True)
        for handle in handles:
            handle.remove()

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            for picture in pixels:
                measure_grad_cam(model, "noise", picture, Store(Path(folder)))

    times = take_turns(runs, {"bare": bare, "ours": ours})
    told(times, pictures)
    what = f"Grad-CAM of {pictures} pictures over the passes that it needs"
    return [Measured(what, ratio(times, "ours", "bare"), 1.3)]
