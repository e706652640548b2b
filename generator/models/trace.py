"""What a network computes for one input, as a list of tensor operations.

Hooks on modules miss functional calls and confuse a module that serves several calls. The trace
watches PyTorch's dispatcher instead, below modules: every convolution, normalisation, activation
and sum of one forward pass, each with the module it ran in. Layers, receptive fields and the place
of each activation are read off this list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass(frozen=True, eq=False)
class Operation:
    """One dispatched operation. `inputs` and `output` are value numbers, not tensor objects.

    `others` are the further values of an operation that returns several, such as a split.
    """

    index: int
    name: str
    module: str
    inputs: tuple[int, ...]
    output: int
    others: tuple[int, ...]
    pointwise: bool
    input_shapes: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]
    arguments: tuple[Any, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Trace:
    """All operations of one forward pass, in order, and the value that each module returned."""

    operations: tuple[Operation, ...]
    module_values: Mapping[str, tuple[int, ...]]
    module_inputs: Mapping[str, tuple[int, ...]]
    input_value: int

    def consumers(self) -> dict[int, list[Operation]]:
        """The operations that read each value."""
        found: dict[int, list[Operation]] = {}
        for operation in self.operations:
            for value in operation.inputs:
                found.setdefault(value, []).append(operation)
        return found

    def producers(self) -> dict[int, Operation]:
        """The operation that made each value."""
        return {operation.output: operation for operation in self.operations}


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


class _Recorder(TorchDispatchMode):
    """Numbers values and operations as they are made; keeps tensors alive so ids stay unique."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self.modules: list[str] = []
        self._values: dict[int, int] = {}
        self._alive: list[Tensor] = []
        self._count = 0

    def number(self, tensor: Tensor) -> int:
        if id(tensor) not in self._values:
            self.renumber(tensor)
        return self._values[id(tensor)]

    def renumber(self, tensor: Tensor) -> int:
        # An operation in place returns the tensor it was given: the value is new all the same.
        self._alive.append(tensor)
        self._values[id(tensor)] = self._count
        self._count += 1
        return self._count - 1

    def __torch_dispatch__(
        self, func: Any, kinds: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        tensors = [item for item in _flat(args) if isinstance(item, Tensor)]
        inputs = tuple(self.number(tensor) for tensor in tensors)
        result = func(*args, **(kwargs or {}))
        made = first_tensor(result)
        if made is not None:
            self.operations.append(
                Operation(
                    index=len(self.operations),
                    name=func.overloadpacket.__name__,
                    module=self.modules[-1] if self.modules else "",
                    inputs=inputs,
                    output=self.renumber(made),
                    others=tuple(self.renumber(other) for other in _others(result, made)),
                    pointwise=torch.Tag.pointwise in func.tags,
                    input_shapes=tuple(tuple(tensor.shape) for tensor in tensors),
                    shape=tuple(made.shape),
                    arguments=args,
                )
            )
        return result


def _others(result: Any, first: Tensor) -> list[Tensor]:
    several = _flat(result) if isinstance(result, tuple | list) else ()
    return [item for item in several if isinstance(item, Tensor) and item is not first]


def _flat(args: tuple[Any, ...] | list[Any]) -> Iterator[Any]:
    for item in args:
        if isinstance(item, tuple | list):
            yield from _flat(item)
        else:
            yield item


def trace(module: nn.Module, pixels: Tensor) -> Trace:
    """List what `module` computes for `pixels` (1, C, H, W).

    Some networks keep part of what they compute in their first pass, and skip it in every later one: the
    second pass is listed.
    """
    with torch.no_grad():
        module(pixels)
    recorder = _Recorder()
    returned: dict[str, list[int]] = {}
    received: dict[str, list[int]] = {}

    def enter(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            recorder.modules.append(name)
            given = first_tensor(inputs)
            if given is not None:
                received.setdefault(name, []).append(recorder.number(given))

        return hook

    def leave(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            recorder.modules.pop()
            made = first_tensor(output)
            if made is not None:
                returned.setdefault(name, []).append(recorder.number(made))

        return hook

    handles: list[Any] = []
    for name, part in module.named_modules():
        handles.append(part.register_forward_pre_hook(enter(name)))
        handles.append(part.register_forward_hook(leave(name)))
    try:
        with torch.no_grad(), recorder:
            start = recorder.number(pixels)
            module(pixels)
    finally:
        for handle in handles:
            handle.remove()
    return Trace(
        operations=tuple(recorder.operations),
        module_values={name: tuple(values) for name, values in returned.items()},
        module_inputs={name: tuple(values) for name, values in received.items()},
        input_value=start,
    )


class _Listener(TorchDispatchMode):
    """Calls back with the output of chosen operations, by their place in the pass."""

    def __init__(
        self, wanted: Mapping[int, list[str]], take: Callable[[str, Tensor], None]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._wanted = wanted
        self._take = take
        self._index = 0

    def __torch_dispatch__(
        self, func: Any, kinds: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        made = first_tensor(result)
        if made is not None:
            for name in self._wanted.get(self._index, ()):
                self._take(name, made)
            self._index += 1
        return result


@contextmanager
def listen(points: Mapping[str, int], take: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Within the block, hand `take` the output of each operation that `points` names by index.

    The tensor is live: copy or reduce it at once, since a later operation may write over it.
    """
    wanted: dict[int, list[str]] = {}
    for name, index in points.items():
        wanted.setdefault(index, []).append(name)
    with torch.no_grad(), _Listener(wanted, take):
        yield
