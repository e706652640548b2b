"""What a layer says of each cell of a picture: strongest channels, class support, groups of channels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from generator.figures.overlay import QUALITY, SMALLEST, signed_overlays
from generator.figures.style import Picture, as_photograph

SIDE = 672
TILE = 64
COLUMNS = 16
# Told apart by eyes that mix up red and green, too (after Okabe and Ito), on a grey photograph.
GROUP_COLOURS = ("#e69f00", "#56b4e9", "#00a878", "#f0e442", "#e8602c", "#d98cc0")
COVER = 0.85
DIM = 0.45


def building_blocks(
    picture: np.ndarray, peak: np.ndarray, strongest: np.ndarray, full: float,
    tiles: np.ndarray, support: np.ndarray, groups: np.ndarray,
) -> list[Picture]:  # fmt: skip
    """Cells, support of each class, all groups and each group over one picture (h, w, 3) uint8.

    `strongest` (rows, columns) is the channel that responds most in each cell, -1 for none, and `peak`
    its response; from `full` on its tile fills the cell. `tiles` (channels, t, t, 3) uint8 shows the
    channels; with none, the grid is left out. `support` (classes, rows, columns) is signed, `groups`
    (groups, rows, columns) is not.
    """
    found = []
    if len(tiles):
        drawn = cells(picture, peak / (full or 1.0), strongest, tiles)
        found.append(as_photograph(drawn, QUALITY))
    if len(support):
        found += signed_overlays(picture, support)
    shown = [all_groups(picture, groups)] if len(groups) else []
    shown += [one_group(picture, groups, number) for number in range(len(groups))]
    return found + [as_photograph(pixels, QUALITY) for pixels in shown]


def cells(
    picture: np.ndarray, share: np.ndarray, strongest: np.ndarray, tiles: np.ndarray
) -> np.ndarray:
    """Each cell as its strongest channel, whose tile takes a `share` of the cell's area, uint8 pixels."""
    rows, columns = strongest.shape
    side = max(16, round(SIDE / max(rows, columns)))
    ground = Image.fromarray((DIM * _grey(picture)).round().astype(np.uint8))
    canvas = ground.resize((columns * side, rows * side), Image.Resampling.BILINEAR)
    for (row, column), channel in np.ndenumerate(strongest):
        if channel < 0:
            continue
        size = max(4, round((side - 1) * min(1.0, float(share[row, column])) ** 0.5))
        tile = Image.fromarray(tiles[channel]).resize((size, size), Image.Resampling.LANCZOS)
        edge = (side - size) // 2
        canvas.paste(tile, (column * side + edge, row * side + edge))
    return np.asarray(canvas)


def one_group(picture: np.ndarray, groups: np.ndarray, number: int) -> np.ndarray:
    """One of the `groups` (groups, rows, columns) over a grey picture; one scale for all groups."""
    picture = _readable(picture)
    colour = _rgb(GROUP_COLOURS[number % len(GROUP_COLOURS)])
    share = _resized(groups[number], picture) / (float(groups.max(initial=0)) or 1.0)
    return _pixels(_blend(_grey(picture), colour, np.sqrt(share)))


def all_groups(picture: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Every cell in the colour of the group that is strongest in it, as strongly as it is.

    Each group is scaled by its own peak, and the square root of that lets weak values be seen.
    """
    picture = _readable(picture)
    most = groups.max(axis=(1, 2), keepdims=True)
    scaled = groups / np.where(most > 0, most, 1)
    shares = np.stack([_resized(values, picture) for values in scaled])
    colours = np.stack([_rgb(GROUP_COLOURS[n % len(GROUP_COLOURS)]) for n in range(len(groups))])
    winner = shares.argmax(0)
    return _pixels(_blend(_grey(picture), colours[winner], np.sqrt(shares.max(0))))


def _blend(ground: np.ndarray, colour: np.ndarray, share: np.ndarray) -> np.ndarray:
    cover = (COVER * np.clip(share, 0, 1))[..., None]
    return np.asarray((1 - cover) * ground + cover * colour, dtype=np.float32)


def _readable(picture: np.ndarray) -> np.ndarray:
    """A small picture at a whole multiple of its size, as the overlays of classes have it."""
    times = -(-SMALLEST // min(picture.shape[:2]))
    size = picture.shape[1] * times, picture.shape[0] * times
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def _resized(values: np.ndarray, picture: np.ndarray) -> np.ndarray:
    size = picture.shape[1], picture.shape[0]
    image = Image.fromarray(values.astype(np.float32))  # maps of groups stay at or above zero
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))


def _grey(picture: np.ndarray) -> np.ndarray:
    grey = np.asarray(Image.fromarray(picture).convert("L"), dtype=np.float32)
    return np.repeat(grey[..., None], 3, axis=2)


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float32)


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(values, 0, 255).round().astype(np.uint8))
