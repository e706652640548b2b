"""Maps laid over the picture that they explain."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from PIL import Image

from generator.figures.style import Picture, as_photograph

HEAT = mpl.colormaps["inferno"]
FOR = np.array([232.0, 92.0, 0.0])
AGAINST = np.array([12.0, 98.0, 224.0])
COVER = 0.72
# A flat colour hides less than one that also changes.
SIGNED_COVER = 0.8
SMALLEST = 160
QUALITY = 76
_MIDDLE = 128.0


def evidence_overlays(
    picture: np.ndarray, maps: Sequence[np.ndarray], shared: bool
) -> list[Picture]:
    """Evidence above zero over the picture (h, w, 3) uint8; a picture for each of the `maps` (y, x).

    Each is drawn up to its own maximum, or all up to the largest, where they share a scale.
    """
    peaks = [float(values.max()) for values in maps]
    ends = [max(peaks)] * len(peaks) if shared and peaks else peaks
    drawn = (heated(picture, values, end) for values, end in zip(maps, ends, strict=True))
    return [as_photograph(pixels, QUALITY) for pixels in drawn]


def signed_overlays(picture: np.ndarray, maps: np.ndarray) -> list[Picture]:
    """Evidence for each class in orange and against it in blue; `maps` (classes, y, x).

    One scale for all classes of the picture, the same both ways.
    """
    peak = float(np.abs(maps).max())
    return [as_photograph(signed(picture, values, peak), QUALITY) for values in maps]


def heated(picture: np.ndarray, values: np.ndarray, peak: float) -> np.ndarray:
    """Evidence (y, x) up to `peak` over a grey picture (h, w, 3) uint8, as pixels of the same kind."""
    grey = grey_of(picture)
    share = np.clip(share_of(values, grey.shape, peak), 0, 1)
    return blended(grey, COVER * share, heat(share))


def heat(share: np.ndarray) -> np.ndarray:
    """The colours of shares from 0 to 1, (..., 3) from 0 to 255."""
    return np.asarray(HEAT(0.25 + 0.75 * share)[..., :3] * 255)


def evidence_colours() -> np.ndarray:
    """The colours of evidence over grey from none to the most, uint8 (64, 3), for a scale."""
    share = np.linspace(0, 1, 64)
    return blended(np.full(share.shape, _MIDDLE), COVER * share, heat(share))


def signed_colours() -> np.ndarray:
    """The colours of evidence from most against to most for a class, uint8 (65, 3), for a scale."""
    share = np.linspace(-1, 1, 65)
    colours = np.where(share[:, None] > 0, FOR, AGAINST)
    return blended(np.full(share.shape, _MIDDLE), SIGNED_COVER * np.abs(share), colours)


def signed(picture: np.ndarray, values: np.ndarray, peak: float) -> np.ndarray:
    """Evidence for (orange) and against (blue), both up to `peak`, over a grey picture, as pixels."""
    grey = grey_of(picture)
    share = share_of(values, grey.shape, peak)[..., None]
    colours = np.where(share > 0, FOR, AGAINST)
    return blended(grey, SIGNED_COVER * np.clip(np.abs(share[..., 0]), 0, 1), colours)


def grey_of(picture: np.ndarray) -> np.ndarray:
    """The picture without its colours, (h, w), at a whole multiple of its size that can be read."""
    height, width = picture.shape[:2]
    times = -(-SMALLEST // min(height, width))
    image = Image.fromarray(picture).convert("L")
    shown = image.resize((width * times, height * times), Image.Resampling.BICUBIC)
    return np.asarray(shown, dtype=np.float32)


def share_of(
    values: np.ndarray,
    shape: tuple[int, ...],
    peak: float,
    way: Image.Resampling = Image.Resampling.BICUBIC,
) -> np.ndarray:
    """A map at the picture's size, as a share of `peak`; zeros where there is nothing to show."""
    small = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    large = np.asarray(small.resize((shape[1], shape[0]), way))
    return large / peak if peak > 0 else np.zeros_like(large)


def blended(grey: np.ndarray, cover: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Colours (..., 3) from 0 to 255 over grey, as far as they cover it, as uint8 pixels."""
    blended = (1 - cover[..., None]) * grey[..., None] + cover[..., None] * colours
    return np.asarray(blended.round().clip(0, 255).astype(np.uint8))
