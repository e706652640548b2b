"""Queries, keys and values where they meet, in any transformer: read below its modules.

The batched matrix product whose result enters a softmax holds exactly the queries and keys that were
multiplied, whatever made them (a bias, a rotation by position, shared groups); the product after the
softmax holds the values. No module is looked up, so that blocks that are applied several times, cross
attention and position biases need no special case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from generator.models.trace import first_tensor

_PRODUCTS = {"bmm": (0, 1), "baddbmm": (1, 2)}
_SOFTMAX = {"_softmax", "_safe_softmax"}


@dataclass(eq=False)
class Meeting:
    """One attention on one sequence, as float32 on the model's device, a group's keys for each head.

    `query` and `key` are (heads, queries or keys, width), `scores` (heads, queries, keys) what enters
    the softmax, bias and mask included; `value` is (heads, keys, width), `mixed` (heads, queries,
    width) the weighted sums of values.
    """

    query: Tensor
    key: Tensor
    scores: Tensor
    value: Tensor
    mixed: Tensor

    @property
    def weights(self) -> Tensor:
        """The attention weights (heads, queries, keys)."""
        return self.scores.softmax(-1)


class Meetings(TorchDispatchMode):
    """Within the block, follows each product into a softmax, and from there into the next product.

    `found` has a meeting for each attention, in the order in which they are computed.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Meeting] = []
        # What came of a product: the tensor, kept alive so that its id stays its own, the two factors,
        # and the scores once it passed a softmax.
        self._kin: dict[int, tuple[Tensor, Tensor, Tensor, Tensor | None]] = {}

    def __torch_dispatch__(
        self, func: Any, kinds: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        made = first_tensor(result)
        if made is not None:
            self._see(func.overloadpacket.__name__, args, made)
        return result

    def _see(self, name: str, args: tuple[Any, ...], made: Tensor) -> None:
        if name in _PRODUCTS:
            left, right = (args[i] for i in _PRODUCTS[name])
            known = self._kin.get(id(left))
            if known is not None and known[3] is not None:
                parts = (known[1], known[2].transpose(1, 2), known[3], right, made)
                self.found.append(Meeting(*(part.detach().float() for part in parts)))
                self._kin.clear()
            else:
                self._kin[id(made)] = (made, left.detach(), right.detach(), None)
            return
        known = next((self._kin[id(a)] for a in args if id(a) in self._kin), None)
        if known is None or made.numel() != known[0].numel():
            return
        scores = known[3]
        if name in _SOFTMAX and scores is None:
            entering: Tensor = args[0].detach()
            scores = entering.float().reshape(-1, *entering.shape[-2:])
        self._kin[id(made)] = (made, known[1], known[2], scores)
