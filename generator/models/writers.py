"""Who writes into the stream: whether the parts of a block account for all that the block does to it.

A block adds what its attention and its MLP write, each perhaps through a norm or times a factor of its own
(Gemma 2, Granite); or it adds one, takes a norm, adds the other, and takes a norm again (BERT). Both are
tried on what one pass shows. Where neither holds, something else writes, and a matrix that was taken for the
end of the MLP may be none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from generator.models.stream import Watched
from generator.models.trial import apart

_NOTHING = 1e-6


def block_rest(seen: Watched, block: nn.Module, attention: nn.Module, mlp: nn.Module) -> float:
    """How much of a block's output its two writers leave unexplained, as a share of the largest value.

    `attention` and `mlp` are the matrices that end them. Infinite where one of the two did not run.
    """
    if attention not in seen.outputs or mlp not in seen.outputs:
        return float("inf")
    before, after = _rows(seen.inputs[block]), _rows(seen.outputs[block])
    first = _behind(seen, block, _rows(seen.outputs[attention]))
    second = _behind(seen, block, _rows(seen.outputs[mlp]))
    rests = [_rest(after, before, one, two) for one in first for two in second]
    rests += _with_norms_behind(seen, block, before, after, (first, second))
    return min(rests, default=float("inf"))


def _behind(seen: Watched, block: nn.Module, written: Tensor) -> list[Tensor]:
    """What a writer writes, as it is and behind each module that is handed just that."""
    found = [written]
    for part in block.modules():
        if part in seen.outputs and part is not block and _takes(seen, part, written):
            made = _rows(seen.outputs[part])
            if made.shape == written.shape:
                found.append(made)
    return found


def _with_norms_behind(
    seen: Watched,
    block: nn.Module,
    before: Tensor,
    after: Tensor,
    written: tuple[list[Tensor], list[Tensor]],
) -> list[float]:
    """The same for a norm that follows each sum: norm(norm(x + attention) + MLP)."""
    parts = [part for part in block.modules() if part in seen.outputs and part is not block]
    shaped = [part for part in parts if _rows(seen.inputs[part]).shape == before.shape]
    last = [part for part in shaped if apart(_rows(seen.outputs[part]), after) == 0]
    rests = []
    for norm in last:
        entering = _rows(seen.inputs[norm])
        for middle in shaped:
            between = _rows(seen.outputs[middle])
            if middle is norm or between.shape != before.shape:
                continue
            one = min(_rest(_rows(seen.inputs[middle]), before, a) for a in written[0])
            two = min(_rest(entering, between, b) for b in written[1])
            rests.append(max(one, two))
    return rests


def _takes(seen: Watched, part: nn.Module, written: Tensor) -> bool:
    given = _rows(seen.inputs[part])
    return given.shape == written.shape and torch.equal(given, written)


def _rest(made: Tensor, before: Tensor, *written: Tensor) -> float:
    """What is left of `made` without `before` and the best multiples of what was written."""
    shapes = {made.shape, before.shape, *(one.shape for one in written)}
    if len(shapes) > 1:
        return float("inf")
    columns = torch.stack([one.double().flatten() for one in written], dim=1).cpu()
    target = (made - before).double().flatten().cpu()
    factors = torch.linalg.lstsq(columns, target[:, None]).solution[:, 0]
    # What is written and does not arrive is written elsewhere.
    if bool(((factors.abs() < _NOTHING) & (columns.abs().amax(0) > 0)).any()):
        return float("inf")
    left = target - columns @ factors
    return float(left.abs().max() / made.double().abs().max().clamp_min(1e-30))


def _rows(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1, tensor.shape[-1])
