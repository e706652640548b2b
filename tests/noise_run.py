"""A run of a vision model on pictures of noise, without an exhibit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from generator.card_schema import Pairs
from generator.exhibit import Choices
from generator.inputs.images import CuratedImage
from generator.inputs.shown import Inputs
from generator.models.model import VisionModel
from generator.run import Run
from generator.store import Store


def noise_run(
    model: VisionModel, folder: Path, names: Iterable[str], label: str = "", seed: int = 0
) -> Run:
    """Pictures of the network's size, labelled by name, and `label` behind it."""
    rng, images, side = np.random.default_rng(seed), [], model.preprocessing.size
    for name in names:
        file = folder / f"{name}.png"
        Image.fromarray(rng.integers(0, 255, (side, side, 3)).astype(np.uint8)).save(file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        images.append(CuratedImage(name, file, f"{name} {label}".strip(), name, "", "", digest))
    inputs = Inputs(tuple(images), (), (), (), Pairs())
    few = Choices(features=0, classes=0, dream="")
    return Run(model, inputs, few, 0, Store(folder / "store"), lambda _: None)
