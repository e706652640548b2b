"""Integrated gradients of pictures: how much each pixel adds to the logit of a class.

After Sundararajan, Taly & Yan 2017, with x the picture and b the baseline:

    a_i = (x_i - b_i) * mean over t from 0 to 1 of dS_c / dx_i at b + t (x - b)

The baseline is a picture of the colour that is taken away from every pixel before it enters the network
(`Preprocessing.mean`), where all inputs are zero. The attributions add up to S_c(x) - S_c(b): completeness.
The integral is cut into pieces until that holds within 1 %, or the most points that are allowed are used up;
what is still missing is stated. Nothing is hooked, so that any network with a gradient can be asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from generator.models.model import VisionModel, logits_of
from generator.probes.gradient import Gradient
from generator.probes.integrated_gradients import SHORT, TOLERANCE, by_trapezoids
from generator.store import Store, digest_of_value

VERSION = 3
MOST, LEAST = 128, 16  # points of the way: at most, and where these are fewer for a large network


@dataclass(frozen=True)
class PictureGradient:
    """Attribution of one class to the pixels: `values` (height, width) in logits, summed over colours.

    `logit` and `probability` are those of the class in the picture, `baseline` its logit in the baseline.
    `total` is the sum of the attributions, whose gradients were taken at `points` points of the way.
    """

    index: int
    label: str
    probability: float
    logit: float
    baseline: float
    total: float
    points: int
    values: np.ndarray

    @property
    def gap(self) -> float:
        """By what share of the rise of the logit the sum misses it; nan where the logit does not rise."""
        rise = self.logit - self.baseline
        return abs(self.total - rise) / abs(rise) if rise else float("nan")


@dataclass(frozen=True)
class PictureGradients:
    """Attributions of some classes of a picture; without any, a `reason` in a sentence."""

    classes: tuple[PictureGradient, ...]
    reason: str


def measure_picture_gradients(
    model: VisionModel,
    pixels: np.ndarray,
    store: Store,
    classes: Sequence[int] = (),
    most: int | None = None,
) -> PictureGradients:
    """The most probable class of a picture (3, H, W), normalised, or the `classes` named by their numbers.

    Gradients are taken at `most` points of the way at most, MOST if left out.
    """
    most = most or MOST
    if not model.labels:
        return PictureGradients((), model.no_classes)
    depends_on = {
        "model": model.key,
        "pixels": digest_of_value(pixels),
        "labels": digest_of_value(model.labels),
        "classes": list(classes),
        "settings": (TOLERANCE, most, SHORT),
    }

    def make() -> PictureGradients:
        with torch.no_grad():
            ends = _logits(model, torch.from_numpy(np.stack([pixels, np.zeros_like(pixels)])))
        chosen = list(classes) or [int(ends[0].argmax())]
        return PictureGradients(tuple(_of_class(model, pixels, ends, c, most) for c in chosen), "")

    return store.result("picture_gradients", VERSION, depends_on, PictureGradients, make)


def _of_class(
    model: VisionModel, pixels: np.ndarray, ends: Tensor, index: int, most: int
) -> PictureGradient:
    """One class; `ends` are the logits (2, classes) of the picture and of the baseline."""
    way = by_trapezoids(
        lambda batch: _logits(model, batch)[:, [index]],
        torch.from_numpy(pixels).to(model.device),
        most,
    )
    attributions = pixels.astype(np.float64) * way.gradient[0]
    return PictureGradient(
        index=index,
        label=model.labels[index],
        probability=float(model.shares(ends[0].double())[index]),
        logit=float(ends[0, index]),
        baseline=float(ends[1, index]),
        total=float(attributions.sum()),
        points=way.points,
        values=attributions.sum(0).astype(np.float32),
    )


def _logits(model: VisionModel, batch: Tensor) -> Tensor:
    """Logits (N, classes) of pictures (N, 3, H, W)."""
    batch = batch.to(model.device)
    parts = [batch] if model.batched else batch.split(1)
    # A first operation that works in place must not write into what is differentiated.
    # This order of memory suits convolutions, and does not change what they compute.
    given = (part.clone(memory_format=torch.channels_last) for part in parts)
    with Gradient():
        return torch.cat([logits_of(model.module(part)).float() for part in given])
