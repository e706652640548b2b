"""Attention over patches, measured: where each head of a vision transformer looks in each picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from generator.models.patches import PatchGrid, VisionAttention
from generator.probes.patch_attention import (
    SIDE,
    PatchControl,
    PatchMaps,
    PatchWeights,
    measure_patch_control,
    measure_patch_maps,
    measure_patch_weights,
)
from generator.run import PICTURES, Run, Technique

# All weights of all heads are published for the first pictures, as far as they weigh no more than this.
PLAYED, BYTES = 3, 24_000_000


@dataclass(frozen=True, eq=False)
class PatchAttention:
    """Attention over patches: a map of every head on each picture, all weights on the first few.

    `control` has the maps of random weights.
    """

    attention: VisionAttention
    maps: Mapping[str, PatchMaps]
    weights: Mapping[str, PatchWeights]
    control: PatchControl

    @property
    def grid(self) -> PatchGrid:
        """The patches that a picture is cut into, and the tokens beside them."""
        return self.attention.grid


def why_not(run: Run) -> str:
    """Whether the network attends over patches in a way that is known."""
    if run.vision.attention is not None:
        return ""
    reason = run.vision.no_attention
    return (
        f"its attention is not laid over pictures: {reason}." if reason else "it does not attend."
    )


def measure(run: Run) -> PatchAttention:
    """The maps of all heads, and those of random weights."""
    model, pixels, store = run.vision, run.pixels, run.store
    attention = model.attention
    assert attention is not None
    maps = {name: measure_patch_maps(model, name, each, store) for name, each in pixels.items()}
    run.step(f"{model.id}: attention over patches")
    played = list(pixels)[: _played(attention)]
    weights = {name: measure_patch_weights(model, name, pixels[name], store) for name in played}
    control = measure_patch_control(model, pixels, run.seed, store)
    run.step(f"{model.id}: attention with random weights")
    return PatchAttention(attention, maps, weights, control)


def _played(attention: VisionAttention) -> int:
    grid = attention.grid
    tokens = min(grid.tokens, SIDE * SIDE + len(grid.special))
    weight = len(attention.blocks) * attention.heads * tokens**2 * 4 / 3
    return int(np.clip(BYTES // weight, 1, PLAYED))


PATCH_MAPS = Technique(
    name="patch_maps",
    title="Attention over patches",
    search="vision transformer attention",
    reads=PICTURES,
    why_not=why_not,
    measure=measure,
)
