"""Each attention head's queries, keys, values and weights, in any transformer of transformers.

Queries, keys and values are read where they meet, rotary positions, shared key-value groups and
scaling included. The matrices behind them are found by value: W_V is the matrix whose output holds the
values, W_O the one that is given the heads' results. A layout that does not fit is refused with a
reason, not guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.models.meetings import Meeting, Meetings
from generator.models.stream import Norm, Watched, norm_of, probe_ids, rows_of, same, watch
from generator.models.text_model import LanguageModel

_CLOSE = 1e-4  # relative: two float32 paths to one number


def attention_meetings(model: LanguageModel, ids: tuple[int, ...]) -> tuple[Meeting, ...]:
    """The attention of each block on one sequence.

    Raises CutawayError where it does not show, or does not make the weights that the model reports.
    """
    with Meetings() as seen:
        output = model.run(ids, attentions=True)
    stated = [weights[0].float() for weights in output.attentions]
    kind = type(model.module).__name__
    if [one.scores.shape for one in seen.found] != [weights.shape for weights in stated]:
        raise CutawayError(
            f"{model.id}: {kind} computes its attention in a way that shows no queries, keys and values "
            "(one product of queries and keys in each block is needed)."
        )
    pairs = zip(seen.found, stated, strict=True)
    if any((one.weights - weights).abs().max() > _CLOSE for one, weights in pairs):
        raise CutawayError(
            f"{model.id}: the attention weights of {kind} are not the softmax of its scores alone."
        )
    return tuple(seen.found)


@dataclass(frozen=True, eq=False)
class InputProjection:
    """The matrix by which heads read the stream: x -> x weight + bias. Heads of one group read alike.

    Each head's `wide` columns of `matrix` begin at one of `starts`, and are multiplied by `factor`. They are
    cut out when they are asked for: copies for all heads would be as large as all attention of the network.
    `rotated` says that a rotation by position follows.
    """

    matrix: nn.Module
    starts: tuple[int, ...]
    wide: int
    factor: Tensor | None = None
    rotated: bool = False

    @property
    def weight(self) -> Tensor:
        """(heads, width, d_head)."""
        return self._cut(affine(self.matrix)[0])

    @property
    def bias(self) -> Tensor:
        """(heads, d_head)."""
        return self._cut(affine(self.matrix)[1])

    def _cut(self, whole: Tensor) -> Tensor:
        made = torch.stack([whole[..., start : start + self.wide] for start in self.starts])
        return made if self.factor is None else made * self.factor

    def __call__(self, x: Tensor) -> Tensor:
        """What each head reads of normed stream vectors (tokens, width): (heads, tokens, d_head)."""
        return x @ self.weight + self.bias[:, None]


@dataclass(frozen=True, eq=False)
class HeadWeights:
    """The matrices of one block's heads, by which they read the stream and write to it.

    `norm` stands before the heads; None where they read the stream itself. `projection` is the module
    of W_O. `value`, `query` and `key` are for each head, groups repeated; `query` and `key` are None,
    with `why` in words, where no matrix makes them alone. `output` is W_O, (heads, d_head, width).
    """

    norm: Norm | None
    projection: nn.Module = field(repr=False)
    output: Tensor = field(repr=False)
    output_bias: Tensor = field(repr=False)
    value: InputProjection = field(repr=False)
    query: InputProjection | None = field(repr=False)
    key: InputProjection | None = field(repr=False)
    scaling: float
    why: str = ""

    def normed(self, stream: Tensor) -> Tensor:
        """What the heads read of stream vectors (tokens, width)."""
        return stream if self.norm is None else self.norm(stream)


# Found once for each model, however many probes ask.
_FOUND: WeakKeyDictionary[LanguageModel, tuple[HeadWeights, ...]] = WeakKeyDictionary()


def find_heads(model: LanguageModel) -> tuple[HeadWeights, ...]:
    """Where the heads of each block read and write. Raises CutawayError with the reason if unknown."""
    if model not in _FOUND:
        ids = probe_ids(model)
        meetings, seen = attention_meetings(model, ids), watch(model, ids)
        pairs = zip(model.blocks, meetings, strict=True)
        _FOUND[model] = tuple(
            _head_weights(model, block, meeting, seen) for block, meeting in pairs
        )
    return _FOUND[model]


def _head_weights(
    model: LanguageModel, block: nn.Module, found: Meeting, seen: Watched
) -> HeadWeights:
    matrices = [part for part in block.modules() if is_matrix(part) and part in seen.outputs]
    heads, mixed = len(found.query), found.mixed.transpose(0, 1).flatten(1)
    projection = next((m for m in matrices if same(rows_of(seen.inputs[m]), mixed)), None)
    values = _reading(matrices, seen, found.value, same)
    if projection is None or values is None:
        what = "W_O" if projection is None else "W_V"
        raise CutawayError(
            f"{model.id}: no matrix of {type(block).__name__} was found to be {what}."
        )
    query, key = (_turned(matrices, seen, part) for part in (found.query, found.key))
    weight, bias = affine(projection)
    return HeadWeights(
        norm=_norm_before(model, block, values.matrix, seen),
        projection=projection,
        output=weight.reshape(heads, -1, weight.shape[-1]),
        output_bias=bias,
        value=values,
        query=query,
        key=key,
        scaling=found.scaling,
        why="" if query and key else "queries or keys are not one matrix times what is read",
    )


def _reading(
    matrices: list[nn.Module],
    seen: Watched,
    target: Tensor,
    alike: Callable[[Tensor, Tensor], bool],
) -> InputProjection | None:
    """The matrix that makes `target` (heads, tokens, d_head), and each head's columns of it.

    Columns are searched by value: fused and interleaved layouts need no special case.
    """
    wide = target.shape[-1]
    for matrix in matrices:
        made = rows_of(seen.outputs[matrix])
        starts = range(0, made.shape[-1] - wide + 1, wide)
        at = [
            next((s for s in starts if alike(made[:, s : s + wide], head)), None) for head in target
        ]
        if all(start is not None for start in at):
            return InputProjection(matrix, tuple(start for start in at if start is not None), wide)
    return None


def _turned(matrices: list[nn.Module], seen: Watched, target: Tensor) -> InputProjection | None:
    """The matrix of queries or keys. A rotation keeps the length of each vector, so lengths decide.

    A constant factor (OPT scales its queries before they are used) goes into the matrix.
    """
    plain = _reading(matrices, seen, target, _same_lengths)
    if plain is None:
        return None
    made = plain(rows_of(seen.inputs[plain.matrix]))
    factor = target.norm() / made.norm()
    rotated = not same(made * factor, target)
    return replace(plain, factor=factor, rotated=rotated)


def _norm_before(
    model: LanguageModel, block: nn.Module, matrix: nn.Module, seen: Watched
) -> Norm | None:
    """The norm between the stream and what the heads read. None if they read the stream itself."""
    read, stream = seen.inputs[matrix], seen.inputs[block]
    if same(read, stream):
        return None
    for part in block.modules():
        if part in seen.outputs and same(seen.outputs[part], read):
            if not same(seen.inputs[part], stream):
                continue
            found = norm_of(part, stream.shape[-1], model.device)
            if found is not None:
                return found
    raise CutawayError(
        f"{model.id}: the heads of {type(block).__name__} do not read the normed stream."
    )


def is_matrix(module: nn.Module) -> bool:
    """Whether a module is a matrix, as transformers has them."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, nn.Linear | Conv1D)


def affine(module: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight (in, out) and bias (out) of a matrix; GPT-2's Conv1D keeps its weight transposed."""
    weight: Any = module.weight.detach()  # type: ignore[operator]
    weight = weight.t() if isinstance(module, nn.Linear) else weight
    bias: Any = getattr(module, "bias", None)
    return weight, torch.zeros(weight.shape[1]).to(weight) if bias is None else bias.detach()


def _same_lengths(one: Tensor, other: Tensor) -> bool:
    """Whether the rows of two tensors have the same lengths, up to one factor."""
    ratio = one.norm(dim=-1) / other.norm(dim=-1)
    return bool(ratio.max() - ratio.min() <= _CLOSE * ratio.mean())
