"""How a library prepares a picture, and whether ours is prepared alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from generator.errors import CutawayError
from generator.exhibit import ModelSpec, Preprocessing
from generator.inputs.images import as_pixels, as_seen

# Libraries resize in two ways, on Pillow's pictures and on tensors, which round differently.
_MEAN_OFF, _MAX_OFF = 0.1, 6.0  # in steps of 1/255


@cache
def _test_pictures() -> tuple[Image.Image, ...]:
    """A landscape with slow and fast waves in each channel, and a tall and narrow piece of it.

    The first is larger than most inputs; the second is enlarged across and reduced down by most.
    """
    down, across = np.mgrid[0:360, 0:520].astype(np.float64)
    waves = [
        np.sin(across / (9 + 5 * c)) + np.sin(down / (13 + 3 * c) + across / 90) for c in range(3)
    ]
    values = 127.5 + 60 * np.stack(waves, axis=-1)
    values[:, :, 0] += np.linspace(-20, 20, 520)
    landscape = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return landscape, landscape.crop((0, 0, 40, 360))


def prepared_by(prepare: Callable[[Image.Image], Any]) -> list[np.ndarray]:
    """What a library makes of the test pictures, each (3, side, side) where it is as most are."""
    return [np.asarray(prepare(picture.copy()), dtype=np.float64) for picture in _test_pictures()]


def same_as_library(
    candidates: Sequence[Preprocessing],
    theirs: Sequence[np.ndarray],
    spec: ModelSpec,
    stated: str,
) -> Preprocessing:
    """The one of some ways whose pixels are nearest to a library's, which `prepared_by` made.

    `stated` is what the library follows, for the error. Raises CutawayError where even those differ.
    """
    best: tuple[float, float, Preprocessing] | None = None
    for how in candidates:
        if all(one.shape == (3, how.size, how.size) for one in theirs):
            found = (*_apart(theirs, how), how)
            best = found if best is None or found[:2] < best[:2] else best
    if best is not None and best[0] <= _MEAN_OFF and best[1] <= _MAX_OFF:
        return best[2]
    raise CutawayError(
        f"{spec.id}: pictures cannot be prepared as the model's own library does it: "
        f"{_reason(best, theirs)}. It follows {stated}.",
        "State it yourself: preprocessing: {size: ..., fit: ..., mean: ..., std: ...} in the model's entry.",
    )


def _apart(theirs: Sequence[np.ndarray], how: Preprocessing) -> tuple[float, float]:
    """The mean and the largest difference, in steps of 1/255."""
    ours = np.stack([as_pixels(as_seen(picture, how), how) for picture in _test_pictures()])
    steps = np.abs(ours - np.stack(red_first(theirs, how))) * np.array(how.std)[:, None, None] * 255
    return float(steps.mean()), float(steps.max())


def red_first(theirs: Sequence[np.ndarray], how: Preprocessing) -> list[np.ndarray]:
    """A library's pixels with the channels in the order that Cutaway keeps."""
    return [one[::-1] if how.channels == "bgr" else one for one in theirs]


def measured_ways(theirs: Sequence[np.ndarray], how: Preprocessing) -> list[Preprocessing]:
    """The way with the mean and the deviation that take its pixels to a library's, where some do."""
    if any(one.shape != (3, how.size, how.size) for one in theirs):
        return []
    ours = np.stack([np.asarray(as_seen(picture, how)) for picture in _test_pictures()]) / 255
    mean, std = [], []
    for channel in range(3):
        made = np.stack([one[channel] for one in red_first(theirs, how)])
        slope, start = np.polyfit(ours[..., channel].ravel(), made.ravel(), 1)
        if not slope > 1e-6:
            return []
        mean.append(float(-start / slope))
        std.append(float(1 / slope))
    return [how.model_copy(update={"mean": tuple(mean), "std": tuple(std)})]


def _reason(best: tuple[float, float, Preprocessing] | None, theirs: Sequence[np.ndarray]) -> str:
    """Why no way makes the library's pixels; `best` is the nearest, with its differences."""
    if best is None:
        shapes = dict.fromkeys(" x ".join(map(str, one.shape)) for one in theirs)
        return (
            f"its library makes an input of {' or '.join(shapes)}, not a square of three channels"
        )
    if all(np.ptp(one[:, row], axis=1).max() < 1e-6 for one in theirs for row in (0, -1)):
        return "its library puts a frame around each, as what it crops is larger than what it resizes to"
    return f"its library's pixels differ by {best[0]:.1f} of 255 steps on average"
