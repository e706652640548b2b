"""Reading chosen operations of a network that was traced, as it computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from generator.errors import CutawayError
from generator.models.dispatch import Point, counted, first_tensor, follow, tensors_in, watched


class _Listener(TorchDispatchMode):
    """Calls back with the output of chosen operations, by their place in the pass."""

    def __init__(
        self,
        points: Mapping[str, Point],
        take: Callable[[str, Tensor], None],
        batch: int,
        resized: bool,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waiting: dict[int, list[str]] = {}
        for name, point in points.items():
            self.waiting.setdefault(point.index, []).append(name)
        self._points = points
        self._take = take
        self._batch = batch
        self._resized = resized
        self._index = 0
        self._trail = 0

    def __torch_dispatch__(
        self, func: Any, kinds: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        made = first_tensor(result)
        if made is not None and counted(func, tensors_in(args)):
            operation = func.overloadpacket.__name__
            self._trail = follow(self._trail, operation)
            for name in self.waiting.pop(self._index, ()):
                self._check(name, operation, made)
                self._take(name, made)
            self._index += 1
        return result

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
) -> Iterator[None]:
    """Within the block, one pass of `batch` pictures, hand `take` the output of each operation in `points`.

    The tensor is live: copy or reduce it at once, since a later operation may write over it. Raises
    CutawayError if the operation of that number, or any before it, has another name than in the trace, if
    its output has another shape, or if it is missing. Shapes may differ where the pictures are `resized`.
    """
    listener = _Listener(points, take, batch, resized)
    with watched(listener):
        yield
    if listener.waiting:
        name = next(iter(listener.waiting.values()))[0]
        raise CutawayError(
            f"{name} was not computed: the network does not compute the same operations on every pass"
        )
