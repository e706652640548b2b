"""Views of a picture, so that only what survives small changes of it is drawn (Olah 2017).

Scale, rotation and two jitters, one before and one after them, are one affine map a sample: the
picture is resampled once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Shake:
    """How much a view may differ. `scale` and `turn` (degrees) are drawn evenly within their bounds.

    `jitter` and `late_jitter`, in pixels, are the widths of the ranges of the two shifts.
    """

    scale: tuple[float, float] = (0.8, 1.2)
    turn: float = 15.0
    jitter: float = 16.0
    late_jitter: float = 8.0


def draw_views(seeds: Sequence[int], steps: int, shake: Shake, size: int) -> Tensor:
    """Affine maps (steps, N, 2, 3) from places in the view to places in the picture.

    Places run from -1 to 1. Each sample draws from its own seed.
    """
    drawn = [
        torch.rand((steps, 6), generator=torch.Generator().manual_seed(seed)) for seed in seeds
    ]
    chance = torch.stack(drawn, dim=1)
    low, high = shake.scale
    scale = low + (high - low) * chance[..., 0]
    turn = torch.deg2rad(shake.turn * (2 * chance[..., 1] - 1))
    early = (chance[..., 2:4] - 0.5) * 2 * shake.jitter / size
    late = (chance[..., 4:6] - 0.5) * 2 * shake.late_jitter / size
    return affine(scale, turn, early, late)


def affine(scale: Tensor, turn: Tensor, early: Tensor, late: Tensor) -> Tensor:
    """The maps (..., 2, 3) of: shift by `early`, enlarge and turn (radians), shift by `late`."""
    cosine, sine = turn.cos() / scale, turn.sin() / scale
    linear = torch.stack(
        [torch.stack([cosine, -sine], dim=-1), torch.stack([sine, cosine], dim=-1)], dim=-2
    )
    shift = (linear @ late[..., None])[..., 0] + early
    return torch.cat([linear, shift[..., None]], dim=-1)


def view(pictures: Tensor, maps: Tensor) -> Tensor:
    """Pictures (N, C, H, W) seen through maps (N, 2, 3); what lies outside is mirrored."""
    grid = functional.affine_grid(maps, list(pictures.shape), align_corners=False)
    return functional.grid_sample(
        pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
