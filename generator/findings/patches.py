"""What was measured of a vision transformer's attention: model + pictures -> findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from generator.findings.stack import StackFindings
from generator.models.model import VisionModel
from generator.models.patches import VisionAttention
from generator.models.stacks import PATCHES
from generator.probes.ablation import Ablation
from generator.probes.ablation_words import ablation_column
from generator.probes.head_control import RandomControl
from generator.probes.likeness import Likeness
from generator.probes.patch_ablation import SPAN, ablate_patch_heads, measure_of
from generator.probes.patch_attention import (
    SIDE,
    PatchControl,
    PatchMaps,
    PatchWeights,
    alike_patch_heads,
    measure_patch_control,
    measure_patch_maps,
    measure_patch_weights,
    patch_statistics,
)
from generator.store import Store

# All weights of all heads are published for the first pictures, as far as they weigh no more than this.
PLAYED, BYTES = 3, 24_000_000
NO_ROLES = (
    "Roles are not named here: the known ones tell of tokens in a sequence (the token before, a copy, what "
    "followed it), and patches have neither an order nor copies."
)


@dataclass(frozen=True, eq=False)
class PatchFindings:
    """Attention over patches: a map of every head on each picture, all weights on the first few.

    `control` has the maps of random weights; `stack` has all heads, its layers being the blocks.
    """

    attention: VisionAttention
    maps: Mapping[str, PatchMaps]
    weights: Mapping[str, PatchWeights]
    control: PatchControl
    stack: StackFindings


def measure_patches(
    model: VisionModel,
    pixels: Mapping[str, np.ndarray],
    ablate: int,
    seed: int,
    store: Store,
    step: Callable[[str], None],
) -> PatchFindings | None:
    """Run the probes of attention over patches; None where the network's attention is not known.

    Heads are silenced on the first `ablate` pictures.
    """
    attention = model.attention
    if attention is None:
        return None
    maps = {name: measure_patch_maps(model, name, each, store) for name, each in pixels.items()}
    step(f"{model.id}: attention over patches")
    played = list(pixels)[: _played(attention)]
    weights = {name: measure_patch_weights(model, name, pixels[name], store) for name in played}
    control = measure_patch_control(model, pixels, seed, store)
    step(f"{model.id}: attention with random weights")
    ablation = ablate_patch_heads(model, pixels, ablate, store)
    step(f"{model.id}: heads silenced")
    twin = ablate_patch_heads(model, pixels, ablate, store, random=seed)
    step(f"{model.id}: heads silenced with random weights")
    likeness = alike_patch_heads(model, pixels, store)
    step(f"{model.id}: heads that look alike")
    stack = _stack(model, attention, maps, control.control, ablation, twin, likeness)
    return PatchFindings(attention, maps, weights, control, stack)


def _stack(
    model: VisionModel,
    attention: VisionAttention,
    maps: Mapping[str, PatchMaps],
    control: RandomControl,
    ablation: Ablation,
    twin: Ablation,
    likeness: Likeness,
) -> StackFindings:
    layers = {layer.name: layer for layer in model.layers}
    measure = measure_of(model)
    statistics = patch_statistics(list(maps.values()), attention.grid)
    effects = [] if ablation.reason else [ablation.statistic(SPAN, ablation_column(measure))]
    known = (
        {} if twin.reason else {one.name: twin.statistic(SPAN, one.name).mean for one in effects}
    )
    return StackFindings(
        model=model,
        stack=PATCHES,
        layers=tuple(layers[name] for name in attention.blocks),
        heads=attention.heads,
        kv_groups=attention.heads,
        inputs=tuple(maps),
        measure=measure,
        statistics=(*statistics, *effects),
        control=replace(control, values={**control.values, **known}),
        ablation=ablation,
        likeness=likeness,
        why_no_roles=NO_ROLES,
    )


def _played(attention: VisionAttention) -> int:
    grid = attention.grid
    tokens = min(grid.tokens, SIDE * SIDE + len(grid.special))
    weight = len(attention.blocks) * attention.heads * tokens**2 * 4 / 3
    return int(np.clip(BYTES // weight, 1, PLAYED))
