"""PyTorch's dispatcher, watched: which operations have a number, and chosen ones as they are computed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from generator.errors import CutawayError

# Products, convolutions and what costs as much beside them: each returns one tensor in memory of its own.
_DEAR = {"addmm", "mm", "bmm", "baddbmm", "convolution", "_softmax", "gelu", "silu"}
# What hands its tensor on. PyTorch adds a `detach` to `torch.arange` and the like if somebody keeps what
# they return, as the recorder does and a listener does not.
_SAME = {"detach", "detach_", "alias", "lift_fresh"}


class Enough(Exception):
    """Ends a pass from within: what was asked for has been computed."""


@dataclass(frozen=True)
class Point:
    """An operation to listen to: its number, and its name and the shape of its output for one picture.

    `trail` is a checksum of the names of all operations up to it.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    trail: int


NOWHERE = Point(-1, "", (), 0)


def follow(trail: int, name: str) -> int:
    """The checksum of the operations so far and one more."""
    return zlib.crc32(name.encode(), trail)


def device_of(module: nn.Module) -> torch.device:
    """Where a network's parameters are."""
    return next((each.device for each in module.parameters()), torch.device("cpu"))


def first_tensor(value: Any) -> Tensor | None:
    """The first tensor in a module's or an operation's output (tuples, model outputs)."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for item in value:
            found = first_tensor(item)
            if found is not None:
                return found
    return None


def counted(func: Any, tensors: list[Tensor]) -> bool:
    """Whether an operation has a number: it computes something, and not out of nothing."""
    return bool(tensors) and func.overloadpacket.__name__ not in _SAME


def tensors_in(args: tuple[Any, ...]) -> list[Tensor]:
    """The tensors among an operation's arguments."""
    return [item for item in flat(args) if isinstance(item, Tensor)]


def noise(side: int, count: int = 1, seed: int = 0) -> Tensor:
    """Pictures of noise (count, 3, side, side), the same every time."""
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


@contextmanager
def unlearning() -> Iterator[None]:
    """Within the block nothing has a gradient, and the short cut of PyTorch's own transformers is closed.

    They take it unless a module has a hook, as all have in a trace.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def watched(mode: TorchDispatchMode) -> Iterator[None]:
    """Within the block `mode` sees every operation."""
    with unlearning(), mode:
        yield


@contextmanager
def hooks(placed: Iterable[Any]) -> Iterator[None]:
    """Within the block these hooks on modules are in place; they are removed behind it, whatever happened."""
    handles = list(placed)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def flat(args: tuple[Any, ...] | list[Any]) -> Iterator[Any]:
    """The items of nested tuples and lists, in order."""
    for item in args:
        if isinstance(item, tuple | list):
            yield from flat(item)
        else:
            yield item


class Kept:
    """What the dear operations of one pass returned, for other passes that begin as it does.

    By the number of an operation: the checksum of the names up to it, and its result.
    """

    def __init__(self) -> None:
        self.results: dict[int, tuple[int, Tensor]] = {}


class _Listener(TorchDispatchMode):
    """Calls back with the output of chosen operations, by their place in the pass."""

    def __init__(
        self,
        points: Mapping[str, Point],
        take: Callable[[str, Tensor], None],
        batch: int,
        resized: bool,
        kept: Kept | None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waiting: dict[int, list[str]] = {}
        for name, point in points.items():
            self.waiting.setdefault(point.index, []).append(name)
        self._points = points
        self._take = take
        self._batch = batch
        self._resized = resized
        self._kept = {} if kept is None else kept.results
        self._keeps = kept is not None and not points
        self._same_until = min(self.waiting, default=-1)
        self._index = 0
        self._trail = 0

    def __torch_dispatch__(
        self, func: Any, kinds: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        operation = func.overloadpacket.__name__
        result = self._result(operation)
        if result is None:
            result = func(*args, **(kwargs or {}))
        made = first_tensor(result)
        if made is not None and counted(func, tensors_in(args)):
            self._trail = follow(self._trail, operation)
            self._keep(operation, made)
            for name in self.waiting.pop(self._index, ()):
                self._check(name, operation, made)
                self._take(name, made)
            self._index += 1
        return result

    def _result(self, operation: str) -> Tensor | None:
        """What a dear operation returned in the pass that was kept, where nothing was changed before it."""
        if (
            operation not in _DEAR
            or self._index > self._same_until
            or self._index not in self._kept
        ):
            return None
        trail, result = self._kept[self._index]
        if trail != follow(self._trail, operation):
            raise CutawayError("the network does not compute the same operations on every pass")
        return result.clone()  # what comes later may write into it

    def _keep(self, operation: str, made: Tensor) -> None:
        if self._keeps and operation in _DEAR:
            self._kept[self._index] = self._trail, made.clone()

    def _check(self, name: str, operation: str, made: Tensor) -> None:
        point = self._points[name]
        first, *others = point.shape or (1,)
        expected = (first * self._batch, *others) if point.shape else ()
        found = tuple(made.shape)
        alike = len(found) == len(expected) if self._resized else found == expected
        if self._trail != point.trail or not alike:
            raise CutawayError(
                f"{name} is not where it was found: the network does not compute the same operations on "
                f"every pass. Operation {point.index} was {point.name} {expected}, and is {operation} {found}"
            )


@contextmanager
def listen(
    points: Mapping[str, Point],
    take: Callable[[str, Tensor], None],
    batch: int = 1,
    resized: bool = False,
    kept: Kept | None = None,
) -> Iterator[None]:
    """Within the block, one pass of `batch` pictures, hand `take` the output of each operation in `points`.

    The tensor is live: copy or reduce it at once, since a later operation may write over it. Raises
    CutawayError if the operation of that number, or any before it, has another name than in the trace, if
    its output has another shape, or if it is missing. Shapes may differ where the pictures are `resized`.

    Without points a pass fills `kept`. A later one with the same input takes from it what lies before the
    first of its points, and returns the same bytes: `take` may write over what it is handed.
    """
    listener = _Listener(points, take, batch, resized, kept)
    with watched(listener):
        yield
    if listener.waiting:
        name = next(iter(listener.waiting.values()))[0]
        raise CutawayError(
            f"{name} was not computed: the network does not compute the same operations on every pass"
        )
