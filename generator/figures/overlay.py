"""Maps laid over the picture that they explain."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from PIL import Image

from generator.figures.style import Picture

HEAT = mpl.colormaps["inferno"]
COVER = 0.72


def class_overlays(names: Sequence[str], picture: np.ndarray, maps: np.ndarray) -> list[Picture]:
    """Evidence for each class over the picture; `picture` (h, w, 3) uint8, `maps` (classes, y, x).

    Only evidence for a class is drawn, on one scale for all classes of the picture.
    """
    peak = float(maps.max())
    return [_overlay(name, picture, values, peak) for name, values in zip(names, maps, strict=True)]


def _overlay(name: str, picture: np.ndarray, values: np.ndarray, peak: float) -> Picture:
    height, width = picture.shape[:2]
    small = Image.fromarray(np.clip(values, 0, None).astype(np.float32))
    share = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))
    share = np.clip(share / peak, 0, 1) if peak > 0 else np.zeros_like(share)
    grey = np.asarray(Image.fromarray(picture).convert("L"), dtype=np.float32)[..., None]
    cover = (COVER * share)[..., None]
    blended = (1 - cover) * grey + cover * HEAT(0.25 + 0.75 * share)[..., :3] * 255
    buffer = io.BytesIO()
    shown = Image.fromarray(blended.round().astype(np.uint8))
    shown.save(buffer, format="WEBP", quality=85, method=4)
    return Picture(name, buffer.getvalue(), width, height)
