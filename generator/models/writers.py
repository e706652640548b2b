"""Who writes into the stream: whether the parts of a block account for all that the block does to it.

A block adds what its attention and its MLP write, each perhaps through a norm or times a factor of its own
(Gemma 2, Granite); or it adds one, takes a norm, adds the other, and takes a norm again (BERT). Both are
tried on what one pass shows. In a decoder that has an encoder a third writes between the two: what is read of
the other text. Where neither holds, something else writes, and a matrix that was taken for the end of the MLP
may be none.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from generator.models.stream import Seen, rows_of
from generator.models.trial import apart

_NOTHING = 1e-6


def block_rest(seen: Seen, block: nn.Module, *ends: nn.Module) -> float:
    """How much of a block's output its writers leave unexplained, as a share of the largest value.

    `ends` are the matrices that end them, in the order in which they write. Infinite where one did not run.
    """
    if any(end not in seen.outputs for end in ends):
        return float("inf")
    before, after = rows_of(seen.inputs[block]), rows_of(seen.outputs[block])
    written = [[rows_of(seen.outputs[part]) for part in behind(seen, block, end)] for end in ends]
    rests = [_rest(after, before, *these) for these in itertools.product(*written)]
    return min([*rests, _with_norms_behind(seen, block, before, after, written)])


def behind(seen: Seen, block: nn.Module, end: nn.Module) -> list[nn.Module]:
    """A writer's last matrix, and each module of the block that is handed what it makes and changes it."""
    made, found = rows_of(seen.outputs[end]), [end]
    for part in block.modules():
        if part in seen.outputs and part is not block and part is not end:
            given, makes = rows_of(seen.inputs[part]), rows_of(seen.outputs[part])
            alike = given.shape == made.shape == makes.shape
            if alike and torch.equal(given, made) and not torch.equal(makes, made):
                found.append(part)
    return found


def _with_norms_behind(
    seen: Seen,
    block: nn.Module,
    before: Tensor,
    after: Tensor,
    written: Sequence[Sequence[Tensor]],
) -> float:
    """The same for a norm that follows each sum: norm(norm(x + attention) + MLP)."""
    parts = [part for part in block.modules() if part in seen.outputs and part is not block]
    shaped = [part for part in parts if rows_of(seen.inputs[part]).shape == before.shape]
    last = [part for part in shaped if apart(rows_of(seen.outputs[part]), after) == 0]
    return min((_sums(seen, shaped, norm, before, written) for norm in last), default=float("inf"))


def _sums(
    seen: Seen,
    shaped: Sequence[nn.Module],
    norm: nn.Module,
    before: Tensor,
    written: Sequence[Sequence[Tensor]],
) -> float:
    """What is left of a norm's input without what was written last and the norm of the sum before that."""
    entering = rows_of(seen.inputs[norm])
    *earlier, last = written
    if not earlier:
        return min(_rest(entering, before, one) for one in last)
    others = [part for part in shaped if part is not norm]
    found = [
        (min(_rest(entering, rows_of(seen.outputs[part]), one) for one in last), at)
        for at, part in enumerate(others)
    ]
    least = float("inf")
    for rest, at in sorted(found):  # the best first: most need not be followed further
        if rest >= least:
            break
        least = min(least, max(rest, _sums(seen, others, others[at], before, earlier)))
    return least


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
