"""Attention over patches, measured: where each head of a vision transformer looks in each picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from generator.models.patches import PatchGrid, VisionAttention
from generator.models.stacks import PATCHES
from generator.probes.head_statistics import versions_of
from generator.probes.patch_attention import (
    SIDE,
    PatchMaps,
    PatchWeights,
    measure_patch_maps,
    measure_patch_weights,
)
from generator.run import PICTURES, Run, Technique

# All weights of all heads are published for the first pictures, as far as they weigh no more than this.
PLAYED, BYTES = 3, 24_000_000


def why_not(run: Run) -> str:
    """Whether the network attends over patches in a way that is known."""
    if run.vision.attention is not None:
        return ""
    reason = run.vision.no_attention
    return (
        f"its attention is not laid over pictures: {reason}." if reason else "it does not attend."
    )


def measure(run: Run) -> Mapping[str, PatchMaps]:
    """The maps of all heads on every curated picture, by its id."""
    model, pixels = run.vision, run.pixels
    maps = {name: measure_patch_maps(model, name, each, run.store) for name, each in pixels.items()}
    run.step(f"{model.id}: attention over patches")
    return maps


def grid_of(run: Run) -> PatchGrid:
    """The patches that a picture is cut into, and the tokens beside them."""
    assert run.vision.attention is not None
    return run.vision.attention.grid


def weights_of(run: Run) -> Mapping[str, PatchWeights]:
    """All weights of all heads on the first few pictures."""
    return run.once("patch weights", lambda: _weights(run))


def _weights(run: Run) -> Mapping[str, PatchWeights]:
    assert run.vision.attention is not None
    played = list(run.pixels.items())[: _played(run.vision.attention)]
    return {name: measure_patch_weights(run.vision, name, each, run.store) for name, each in played}


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
    versions=lambda _: versions_of(PATCHES),
)
