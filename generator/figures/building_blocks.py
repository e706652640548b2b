"""What a layer says of each cell of a picture: strongest channels, class support, groups of channels."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from generator.figures.overlay import QUALITY, blended, grey_of, share_of, signed_overlays
from generator.figures.style import Picture, as_photograph

SIDE = 672
TILE = 64
COLUMNS = 16
# Told apart by eyes that mix up red and green, too (after Okabe and Ito), on a grey photograph.
GROUP_COLOURS = ("#e69f00", "#56b4e9", "#00a878", "#f0e442", "#e8602c", "#d98cc0")
_COLOURS = 255 * np.array([to_rgb(colour) for colour in GROUP_COLOURS])
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
    ground = Image.fromarray((DIM * grey_of(picture)).round().astype(np.uint8)).convert("RGB")
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
    ground = grey_of(picture)
    share = _share(groups[number], ground, float(groups.max(initial=0)))
    return blended(ground, _cover(share), _COLOURS[number % len(_COLOURS)])


def all_groups(picture: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Every cell in the colour of the group that is strongest in it, as strongly as it is.

    Each group is scaled by its own peak, and the square root of that lets weak values be seen.
    """
    ground = grey_of(picture)
    shares = np.stack([_share(values, ground, float(values.max())) for values in groups])
    return blended(ground, _cover(shares.max(0)), _COLOURS[shares.argmax(0) % len(_COLOURS)])


def _share(values: np.ndarray, ground: np.ndarray, peak: float) -> np.ndarray:
    # The square root would show the small waves around what is enlarged with a cubic.
    return share_of(values, ground.shape, peak, Image.Resampling.BILINEAR)


def _cover(share: np.ndarray) -> np.ndarray:
    return np.asarray(COVER * np.sqrt(np.clip(share, 0, 1)))
