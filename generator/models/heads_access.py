"""Each attention head's queries, keys, values and weights, in any transformer of transformers.

The library's attention functions are called through one table, so that q, k, v and the result can be
read there, rotary positions, shared key-value groups and scaling included. The matrices behind them
are found by value: W_V is the matrix whose output holds the values, W_O the one that is given the
heads' results. A layout that does not fit is refused with a reason, not guessed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.models.model import LanguageModel
from generator.models.stream import Norm, Watched, norm_of, probe_ids, watch

_CLOSE = 1e-4  # relative: two float32 paths to one number


@dataclass(frozen=True, eq=False)
class Call:
    """What one block's attention computed for one sequence, on the model's device.

    `query` and `mixed` (what each head hands on, A v) are (heads, tokens, d_head); `key` and `value`
    are (kv groups, tokens, d_head); `weights` A is (heads, tokens, tokens). Query and key are as they
    meet: after rotary positions. A = softmax(query key^T * scaling + mask).
    """

    module: nn.Module = field(repr=False)
    query: Tensor
    key: Tensor
    value: Tensor
    weights: Tensor
    mixed: Tensor
    scaling: float

    @property
    def values(self) -> Tensor:
        """The values that each head reads, (heads, tokens, d_head): groups repeated."""
        return self.value.repeat_interleave(len(self.query) // len(self.value), dim=0)

    @property
    def keys(self) -> Tensor:
        """The keys that each head reads, (heads, tokens, d_head): groups repeated."""
        return self.key.repeat_interleave(len(self.query) // len(self.key), dim=0)


def attention_calls(model: LanguageModel, ids: tuple[int, ...]) -> tuple[Call, ...]:
    """The attention of each block on one sequence. Raises CutawayError where it cannot be read."""
    with _recorded(model) as calls:
        model.run(ids)
    owners = {part: index for index, block in enumerate(model.blocks) for part in block.modules()}
    found = [owners.get(call.module, -1) for call in calls]
    if found != list(range(len(model.blocks))):
        raise CutawayError(
            f"{model.id}: {type(model.module).__name__} computes its attention in a way that "
            "shows no queries, keys and values (one self-attention in each block is needed)."
        )
    return tuple(calls)


@contextmanager
def _recorded(model: LanguageModel) -> Iterator[list[Call]]:
    """Within the block, each attention that the model computes is added to a list."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    calls: list[Call] = []

    def watched(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **named: Any
    ) -> Any:
        plain = sys.modules[type(module).__module__].eager_attention_forward
        mixed, weights = plain(module, query, key, value, *rest, **named)
        scaling = float(named.get("scaling") or query.shape[-1] ** -0.5)
        read = (query, key, value, weights, mixed.transpose(1, 2))
        first = [part.detach()[0] for part in read]
        calls.append(Call(module, first[0], first[1], first[2], first[3], first[4], scaling))
        return mixed, weights

    ALL_ATTENTION_FUNCTIONS["eager"] = watched
    try:
        yield calls
    finally:
        del ALL_ATTENTION_FUNCTIONS["eager"]


@dataclass(frozen=True, eq=False)
class Reading:
    """How heads or groups read the stream: x -> x weight + bias, times `factor`.

    `weight` is (heads or groups, width, d_head), `bias` (heads or groups, d_head). `rotated` says
    that a rotation by position follows.
    """

    weight: Tensor
    bias: Tensor
    rotated: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """What each head reads of normed stream vectors (tokens, width): (heads, tokens, d_head)."""
        return x @ self.weight + self.bias[:, None]

    def repeated(self, heads: int) -> Reading:
        """One for each head: a key-value group serves several."""
        times = heads // len(self.weight)
        weight, bias = (part.repeat_interleave(times, dim=0) for part in (self.weight, self.bias))
        return Reading(weight, bias, self.rotated)


@dataclass(frozen=True, eq=False)
class HeadPlace:
    """Where one block's heads read and write.

    `norm` stands before the heads; None where they read the stream itself. `projection` is the module
    of W_O. `value`, `query` and `key` are for each head, groups repeated; `query` and `key` are None,
    with `why` in words, where no matrix makes them alone. `output` is W_O, (heads, d_head, width).
    """

    norm: Norm | None
    projection: nn.Module = field(repr=False)
    output: Tensor = field(repr=False)
    output_bias: Tensor = field(repr=False)
    value: Reading = field(repr=False)
    query: Reading | None = field(repr=False)
    key: Reading | None = field(repr=False)
    scaling: float
    why: str = ""

    def normed(self, stream: Tensor) -> Tensor:
        """What the heads read of stream vectors (tokens, width)."""
        return stream if self.norm is None else self.norm(stream)


# Found once for each model, however many probes ask.
_FOUND: WeakKeyDictionary[LanguageModel, tuple[HeadPlace, ...]] = WeakKeyDictionary()


def find_heads(model: LanguageModel) -> tuple[HeadPlace, ...]:
    """Where the heads of each block read and write. Raises CutawayError with the reason if unknown."""
    if model not in _FOUND:
        ids = probe_ids(model)
        calls, seen = attention_calls(model, ids), watch(model, ids)
        pairs = zip(model.blocks, calls, strict=True)
        _FOUND[model] = tuple(_place(model, block, call, seen) for block, call in pairs)
    return _FOUND[model]


def _place(model: LanguageModel, block: nn.Module, call: Call, seen: Watched) -> HeadPlace:
    matrices = [part for part in block.modules() if _is_matrix(part) and part in seen.outputs]
    heads, mixed = len(call.query), call.mixed.transpose(0, 1).flatten(1)
    projection = next((m for m in matrices if _same(_rows(seen.inputs[m]), mixed)), None)
    values = _reading(matrices, seen, call.value, _same)
    if projection is None or values is None:
        what = "W_O" if projection is None else "W_V"
        raise CutawayError(
            f"{model.id}: no matrix of {type(block).__name__} was found to be {what}."
        )
    read, value = values
    query, key = (_turned(matrices, seen, part) for part in (call.query, call.key))
    weight, bias = _affine(projection)
    return HeadPlace(
        norm=_norm_before(model, block, read, seen),
        projection=projection,
        output=weight.reshape(heads, -1, weight.shape[-1]),
        output_bias=bias,
        value=value.repeated(heads),
        query=query,
        key=None if key is None else key.repeated(heads),
        scaling=call.scaling,
        why="" if query and key else "queries or keys are not one matrix times what is read",
    )


def _reading(
    matrices: list[nn.Module],
    seen: Watched,
    target: Tensor,
    alike: Callable[[Tensor, Tensor], bool],
) -> tuple[nn.Module, Reading] | None:
    """The matrix that makes `target` (heads, tokens, d_head), and each head's columns of it.

    Columns are searched by value: fused and interleaved layouts need no special case.
    """
    wide = target.shape[-1]
    for matrix in matrices:
        made = _rows(seen.outputs[matrix])
        starts = range(0, made.shape[-1] - wide + 1, wide)
        at = [
            next((s for s in starts if alike(made[:, s : s + wide], head)), None) for head in target
        ]
        if all(start is not None for start in at):
            weight, bias = _affine(matrix)
            cut = [slice(start, start + wide) for start in at if start is not None]
            found = Reading(
                torch.stack([weight[:, c] for c in cut]), torch.stack([bias[c] for c in cut])
            )
            return matrix, found
    return None


def _turned(matrices: list[nn.Module], seen: Watched, target: Tensor) -> Reading | None:
    """The matrix of queries or keys. A rotation keeps the length of each vector, so lengths decide.

    A constant factor (OPT scales its queries before they are used) goes into the matrix.
    """
    found = _reading(matrices, seen, target, _same_lengths)
    if found is None:
        return None
    matrix, plain = found
    made = plain(_rows(seen.inputs[matrix]))
    factor = target.norm() / made.norm()
    rotated = not _same(made * factor, target)
    return Reading(plain.weight * factor, plain.bias * factor, rotated)


def _norm_before(
    model: LanguageModel, block: nn.Module, matrix: nn.Module, seen: Watched
) -> Norm | None:
    """The norm between the stream and what the heads read. None if they read the stream itself."""
    read, stream = seen.inputs[matrix], seen.inputs[block]
    if _same(read, stream):
        return None
    for part in block.modules():
        if part in seen.outputs and _same(seen.outputs[part], read):
            if not _same(seen.inputs[part], stream):
                continue
            found = norm_of(part, stream.shape[-1], model.device)
            if found is not None:
                return found
    raise CutawayError(
        f"{model.id}: the heads of {type(block).__name__} do not read the normed stream."
    )


def _is_matrix(module: nn.Module) -> bool:
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, nn.Linear | Conv1D)


def _affine(module: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight (in, out) and bias (out) of a matrix; GPT-2's Conv1D keeps its weight transposed."""
    weight: Any = module.weight.detach()  # type: ignore[operator]
    weight = weight.t() if isinstance(module, nn.Linear) else weight
    bias: Any = getattr(module, "bias", None)
    return weight, torch.zeros(weight.shape[1]).to(weight) if bias is None else bias.detach()


def _rows(tensor: Tensor) -> Tensor:
    """Positions as rows, whatever stands before them."""
    return tensor.reshape(-1, tensor.shape[-1])


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    return bool((one - other).abs().max() <= _CLOSE * other.abs().max())


def _same_lengths(one: Tensor, other: Tensor) -> bool:
    """Whether the rows of two tensors have the same lengths, up to one factor."""
    ratio = one.norm(dim=-1) / other.norm(dim=-1)
    return bool(ratio.max() - ratio.min() <= _CLOSE * ratio.mean())
