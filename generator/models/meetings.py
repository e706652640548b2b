"""Queries, keys and values where they meet, in any transformer: read below its modules.

The batched matrix product whose result enters a softmax holds exactly the queries and keys that were
multiplied, whatever made them (a bias, a rotation by position, shared groups); the product after the
softmax holds the values. No module is looked up, so that blocks that are applied several times, cross
attention and position biases need no special case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from generator.models.dispatch import first_tensor

_PRODUCTS = {"bmm": (0, 1), "baddbmm": (1, 2)}
_SOFTMAX = {"_softmax", "_safe_softmax"}
_FACTORS = {"mul", "mul_", "div", "div_"}
_SHAPES = {"view", "_unsafe_view", "reshape", "transpose", "permute", "clone", "detach", "_to_copy"}


@dataclass(eq=False)
class Meeting:
    """One attention on one sequence, as float32 on the model's device, a group's keys for each head.

    `query` and `key` are (heads, queries or keys, width), `scores` (heads, queries, keys) what enters
    the softmax, bias and mask included; `value` is (heads, keys, width), `mixed` (heads, queries,
    width) the weighted sums of values. `scaling` is the factor that the products are taken times
    before anything is added to them. `sink` (heads, queries, 1) is a learned score that stands beside those
    of the keys and has no value; None where there is none.
    """

    query: Tensor
    key: Tensor
    scores: Tensor
    value: Tensor
    mixed: Tensor
    scaling: float = 1.0
    sink: Tensor | None = None

    @property
    def weights(self) -> Tensor:
        """The attention weights (heads, queries, keys); with a sink their rows sum to less than 1."""
        return self._shares[..., : self.scores.shape[-1]]

    @property
    def taken(self) -> Tensor:
        """The share of each row (heads, queries) that the sink takes; zeros without one."""
        return self._shares[..., self.scores.shape[-1] :].sum(-1)

    @property
    def _shares(self) -> Tensor:
        parts = [self.scores] if self.sink is None else [self.scores, self.sink]
        return torch.cat(parts, dim=-1).softmax(-1)


@dataclass(frozen=True)
class _PendingProduct:
    """What came of a product, until its softmax: kept alive, so that its id stays its own.

    `scaling` is None until something other than a change of shape happens to the product, `scores` is
    None until it passes a softmax. `beside` is 1 while a column stands beside the keys, as a learned sink
    does, which is `sink` behind the softmax.
    """

    tensor: Tensor
    left: Tensor
    right: Tensor
    scaling: float | None = None
    scores: Tensor | None = None
    beside: int = 0
    sink: Tensor | None = None


class Meetings(TorchDispatchMode):
    """Within the block, follows each product into a softmax, and from there into the next product.

    `found` has a meeting for each attention, in the order in which they are computed.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Meeting] = []
        self._kin: dict[int, _PendingProduct] = {}

    def __torch_dispatch__(
        self, func: Any, kinds: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        made = first_tensor(result)
        if made is not None:
            self._see(func.overloadpacket.__name__, args, kwargs or {}, made)
        return result

    def _see(self, name: str, args: tuple[Any, ...], named: dict[str, Any], made: Tensor) -> None:
        if name in _PRODUCTS:
            left, right = (args[i] for i in _PRODUCTS[name])
            known = self._kin.get(id(left))
            if known is not None and known.scores is not None:
                if not known.beside:
                    self.found.append(_meeting(known, known.scores, right, made))
                self._kin.clear()
                return
            alpha = named.get("alpha") if name == "baddbmm" else None
            self._kin[id(made)] = _PendingProduct(made, left.detach(), right.detach(), alpha)
            return
        given = args[0] if name == "cat" else args
        known = next((self._kin[id(a)] for a in given if id(a) in self._kin), None)
        if known is None:
            return
        if made.numel() != known.tensor.numel():
            self._widen(name, known, made)
            return
        scores, scaling, sink = known.scores, known.scaling, known.sink
        if name in _SOFTMAX and scores is None:
            entering: Tensor = args[0].detach()
            found = entering.float().reshape(-1, *entering.shape[-2:])
            scores = found[..., : found.shape[-1] - known.beside]
            sink = found[..., -1:] if known.beside else None
        if scaling is None and name not in _SHAPES:
            scaling = _factor(name, args)
        kin = _PendingProduct(made, known.left, known.right, scaling, scores, known.beside, sink)
        self._kin[id(made)] = kin

    def _widen(self, name: str, known: _PendingProduct, made: Tensor) -> None:
        """Follow scores to which a column is added behind, and weights from which it is cut off again."""
        more = made.shape[-1] - known.tensor.shape[-1]
        if made.shape[:-1] != known.tensor.shape[:-1]:
            return
        if (name, more, known.beside) in {("cat", 1, 0), ("slice", -1, 1)}:
            scaling = 1.0 if known.scaling is None else known.scaling
            beside = known.beside + more
            self._kin[id(made)] = replace(known, tensor=made, scaling=scaling, beside=beside)


def _meeting(known: _PendingProduct, scores: Tensor, value: Tensor, mixed: Tensor) -> Meeting:
    query, key, value, mixed = (
        part.detach().float() for part in (known.left, known.right.transpose(1, 2), value, mixed)
    )
    scaling = 1.0 if known.scaling is None else float(known.scaling)
    return Meeting(query, key, scores, value, mixed, scaling, known.sink)


def _factor(name: str, args: tuple[Any, ...]) -> float:
    """What an operation multiplies by; 1 if it does something else."""
    if name not in _FACTORS:
        return 1.0
    other = args[1]
    if isinstance(other, Tensor) and other.numel() != 1:
        return 1.0
    return float(other) if name.startswith("mul") else 1 / float(other)


def shared_groups(meetings: Sequence[Meeting]) -> int:
    """The number of groups, the same in every layer; the number of heads where none are shared.

    Heads of a group stand in a row and are given the same keys and the same values (Ainslie et al. 2023).
    Where heads are alike in any other way, each counts as one with keys and values of its own.
    """
    heads = len(meetings[0].query)
    counts = {_groups(one) for one in meetings}
    return counts.pop() if len(counts) == 1 else heads


def _groups(one: Meeting) -> int:
    heads = len(one.query)
    both = one.key, one.value
    alike = [all(_same(each, head - 1, head) for each in both) for head in range(1, heads)]
    groups = heads - sum(alike)
    if heads % groups:
        return heads
    size = heads // groups
    in_rows = [head % size != 0 for head in range(1, heads)]
    return groups if alike == in_rows else heads


def _same(parts: Tensor, first: int, second: int) -> bool:
    """Whether two heads' vectors are the same numbers; zeros say nothing."""
    return bool(parts[first].any()) and bool((parts[first] == parts[second]).all())
