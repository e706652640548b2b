"""Heads and units that are pruned: their weights are set so that they put out nothing.

A head's output is silenced where W_O reads it; the bias of W_O stays. Of units `silence_units` takes care.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generator.errors import CutawayError, UsageError, did_you_mean
from generator.models.any_model import AnyModel
from generator.models.dispatch import hooks, listen, noise
from generator.models.heads_access import affine, find_heads, is_matrix
from generator.models.model import VisionModel
from generator.models.patches import unfused
from generator.models.seq2seq import Seq2SeqModel
from generator.models.silence_units import check_alone, silence_unit
from generator.models.stacks import ONLY, PAIR, Stack
from generator.models.stream import rows_of, same


def silence(model: AnyModel, names: Sequence[str]) -> None:
    """Silence heads and units in place. Raises UsageError for a name that is not there, with the nearest."""
    with torch.no_grad():
        for name in names:
            if "/" in name:
                silence_unit(model, name)
            else:
                _head(model, name)


def _head(model: AnyModel, name: str) -> None:
    stacks = PAIR if isinstance(model, Seq2SeqModel) else (ONLY,)
    shapes = {stack: _heads(model, stack) for stack in stacks}
    places = {
        stack.head(*place): (stack, *place)
        for stack in stacks
        for place in np.ndindex(shapes[stack])
    }
    if name not in places:
        hint = did_you_mean(name, places)
        if len(places) >= 40 and not hint.startswith("Did"):
            hint = f"Its heads are {next(iter(places))} to {list(places)[-1]}."
        raise UsageError(
            f"{model.id}: altered.silent: it has no head '{name}'. {hint}".strip(),
            hint="A head is written L5H1; a unit LAYER/UNIT.",
        )
    stack, layer, head = places[name]
    matrix = _projection(model, stack, layer)
    check_alone(model, matrix, name)
    rows, _ = affine(matrix)
    wide = len(rows) // shapes[stack][1]
    rows[head * wide : (head + 1) * wide] = 0


def _heads(model: AnyModel, stack: Stack) -> tuple[int, int]:
    """How many layers a stack has, and heads in each."""
    if isinstance(model, VisionModel):
        return (len(model.attention.blocks), model.attention.heads) if model.attention else (0, 0)
    if isinstance(model, Seq2SeqModel):
        return len(model.projections[stack.name]), model.heads[stack.name]
    return len(model.blocks), model.heads


def _projection(model: AnyModel, stack: Stack, layer: int) -> nn.Module:
    if isinstance(model, VisionModel):
        return _patch_projection(model, layer)
    if isinstance(model, Seq2SeqModel):
        return model.projections[stack.name][layer]
    return find_heads(model)[layer].projection


def _patch_projection(model: VisionModel, layer: int) -> nn.Module:
    """W_O of a block of a vision transformer: the matrix that is given the heads' results."""
    attention = model.attention
    assert attention is not None
    block = model.module.get_submodule(attention.blocks[layer])
    fused = [part for part in block.modules() if isinstance(part, nn.MultiheadAttention)]
    if len(fused) == 1:
        return fused[0].out_proj
    entered, mixed = dict[nn.Module, Tensor](), list[Tensor]()

    def keep(part: nn.Module, given: tuple[Any, ...]) -> None:
        entered[part] = given[0]  # as it is: a copy would be an operation more than there were

    parts = [part for part in block.modules() if is_matrix(part)]
    point = {"mixed": attention.mixed[layer]}
    with (
        hooks(part.register_forward_pre_hook(keep) for part in parts),
        unfused(),
        listen(point, lambda _, found: mixed.append(found.clone())),
    ):
        model.module(noise(model.preprocessing.size, seed=1).to(model.device))
    heads = mixed[0].view(attention.heads, *mixed[0].shape[-2:]).transpose(0, 1).flatten(1)
    for part, given in entered.items():
        if same(rows_of(given), heads):
            return part
    raise CutawayError(
        f"{model.id}: no matrix of {attention.blocks[layer]} was found that is given what the heads hand on, "
        "so that none of them can be silenced in the weights."
    )
