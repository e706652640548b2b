"""Weights rounded: to a few bits by blocks, as GGUF's formats with a scale and a minimum are, or to 16 bits.

A matrix is cut into blocks of 32 weights along its input dimension, the last of a row perhaps shorter. One
from its least weight m to its greatest M is written in whole numbers q of b bits:

    d = (M - m) / (2^b - 1)        q = floor((w - m) / d + 1/2), no more than 2^b - 1
    w' = q d' + m'                 d', m' = d and m in 16 bits, as they are stored

With 4 and 5 bits this is Q4_1 and Q5_1 of ggml. No matrix is spared, embeddings and the last one included,
where llama.cpp keeps some in more bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from generator.errors import CutawayError

BLOCK = 32
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_AT_ONCE = 2**22  # weights that are rounded at a time: temporary copies stay small


def round_matrices(module: nn.Module, bits: int) -> float:
    """Round every parameter of two or more dimensions in place; the relative error of all of them.

    That is the norm of what changed over the norm of what was there. What is tied is rounded once.
    """
    with torch.no_grad():
        changes = [_write(one, rows, bits) for one, rows in matrices(module)]
    return relative(changes)


def round_all(module: nn.Module, dtype: str) -> float:
    """Round all weights, and statistics of norms, in place to a type of 16 bits; the relative error."""
    changes = []
    with torch.no_grad():
        for one in _state(module):
            rounded = one.to(DTYPES[dtype]).to(one.dtype)
            if not bool(rounded.isfinite().all()):
                raise CutawayError(f"some weights are too large for {dtype}")
            changes.append(difference(rounded, one))
            one.copy_(rounded)
    return relative(changes)


def relative(changes: list[tuple[float, float]]) -> float:
    """The norm of what changed over the norm of what was there, from the squares of both."""
    changed, there = (sum(each) for each in zip(*changes, strict=True)) if changes else (0.0, 0.0)
    return float((changed / there) ** 0.5) if there else 0.0


def matrices(module: nn.Module) -> Iterator[tuple[nn.Parameter, Callable[[Tensor], Tensor]]]:
    """Each parameter of two or more dimensions, and how it is turned into a view of rows of inputs.

    A row holds the weights of one output, or the vector of one token. Most keep outputs first; transposed
    convolutions and GPT-2's matrices keep inputs first.
    """
    seen = set[int]()
    for part in module.modules():
        turned = isinstance(part, nn.modules.conv._ConvTransposeNd) or (
            type(part).__name__ == "Conv1D" and hasattr(part, "nf")
        )
        for one in part.parameters(recurse=False):
            if one.dim() < 2 or id(one) in seen or not one.is_floating_point():
                continue
            seen.add(id(one))
            yield one, _inputs_first if turned else lambda weights: weights.flatten(1)


def _inputs_first(weights: Tensor) -> Tensor:
    return weights.transpose(0, 1).flatten(1)


def _write(
    parameter: nn.Parameter, rows: Callable[[Tensor], Tensor], bits: int
) -> tuple[float, float]:
    weights = rows(parameter.data)
    step = max(1, _AT_ONCE // max(1, weights.shape[1]))
    rounded = torch.cat([by_blocks(part, bits) for part in weights.split(step)])
    change = difference(rounded, weights)
    if rows is _inputs_first:
        first, second, *rest = parameter.shape
        rounded = rounded.reshape(second, first, *rest).transpose(0, 1)
    parameter.data.copy_(rounded.reshape(parameter.shape))
    return change


def by_blocks(weights: Tensor, bits: int) -> Tensor:
    """Rows of weights (rows, inputs), rounded to `bits` bits by blocks.

    Raises CutawayError where the scales of blocks are beyond 16 bits.
    """
    rows, inputs = weights.shape
    short = -inputs % BLOCK
    # A short block is filled up with its own last weight, which changes neither end of it.
    filled = torch.cat([weights, weights[:, -1:].expand(rows, short)], 1) if short else weights
    blocks = filled.float().reshape(rows, -1, BLOCK)
    low = blocks.amin(-1, keepdim=True)
    scale = (blocks.amax(-1, keepdim=True) - low) / (2**bits - 1)
    per = (1 / scale).nan_to_num(posinf=0)  # 0 where all weights of a block are equal
    whole = ((blocks - low) * per + 0.5).floor().clamp(max=2**bits - 1)
    stored = whole * scale.half().float() + low.half().float()
    if not bool(stored.isfinite().all()):
        raise CutawayError(
            "some weights are too large for the scales of their blocks, which have 16 bits"
        )
    return stored.reshape(rows, -1)[:, :inputs].to(weights.dtype)


def difference(made: Tensor, there: Tensor) -> tuple[float, float]:
    """The squared norm of what changed, and of what was there: `relative` takes several."""
    changed = was = 0.0
    both = (one.flatten().split(_AT_ONCE) for one in (made, there))
    for new, old in zip(*both, strict=True):
        changed += float((new.double() - old.double()).square().sum())
        was += float(old.double().square().sum())
    return changed, was


def _state(module: nn.Module) -> Iterator[Tensor]:
    """The tensors of real numbers that a network is saved with, each once."""
    seen = set[int]()
    for one in module.state_dict(keep_vars=True).values():
        if id(one) not in seen and one.is_floating_point():
            seen.add(id(one))
            yield one.data
