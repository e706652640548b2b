"""What a network computes for one input, as a list of tensor operations.

Hooks on modules miss functional calls and confuse a module that serves several calls. The trace
watches PyTorch's dispatcher instead, below modules: every convolution, normalisation, activation
and sum of one forward pass, each with the module it ran in. Layers, receptive fields and the place
of each activation are read off this list.

An operation is remembered by its number. Only what computes something from a tensor is counted, and on
every reading the operation of that number must have the name and the shape that it had in the trace:
another operation's numbers would look like any others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from generator.models.dispatch import (
    Point,
    counted,
    first_tensor,
    flat,
    follow,
    hooks,
    tensors_in,
    watched,
)


@dataclass(frozen=True, eq=False)
class Operation:
    """One dispatched operation. `inputs` and `output` are value numbers, not tensor objects.

    `others` are the further values of an operation that returns several, such as a split. Of each
    input `depends` says whether it was computed from the picture, and `weights` whether it is a
    parameter or buffer of the network, or a view of one. `trail` is that of its point.
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
    depends: tuple[bool, ...]
    weights: tuple[bool, ...]
    trail: int

    @property
    def point(self) -> Point:
        """Where to listen for its output."""
        return Point(self.index, self.name, self.shape, self.trail)


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


class _Recorder(TorchDispatchMode):
    """Numbers values and operations as they are made; keeps tensors alive so ids stay unique."""

    def __init__(self, pixels: Tensor, weights: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self.modules: list[str] = []
        self._values: dict[int, int] = {}
        self._alive: list[Tensor] = []
        self._count = 0
        self._trail = 0
        self._weights = weights
        self.start = self.number(pixels)
        self._depends = {self.start}
        self._written: set[int] = set()

    def number(self, tensor: Tensor) -> int:
        if id(tensor) not in self._values:
            self.renumber(tensor)
        return self._values[id(tensor)]

    def renumber(self, tensor: Tensor) -> int:
        # An operation in place returns the tensor it was given: the value is new all the same.
        self._count += 1
        return self._know(tensor, self._count - 1)

    def _know(self, tensor: Tensor, value: int) -> int:
        self._alive.append(tensor)
        self._values[id(tensor)] = value
        return value

    def __torch_dispatch__(
        self, func: Any, kinds: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        tensors = tensors_in(args)
        inputs = tuple(self.number(tensor) for tensor in tensors)
        depends = tuple(self._pictured(tensor) for tensor in tensors)
        result = func(*args, **(kwargs or {}))
        made = first_tensor(result)
        if made is None:
            return result
        if not counted(func, tensors):
            if inputs:
                self._know(made, inputs[0])
            return result
        name = func.overloadpacket.__name__
        self._trail = follow(self._trail, name)
        self.operations.append(
            Operation(
                index=len(self.operations),
                name=name,
                module=self.modules[-1] if self.modules else "",
                inputs=inputs,
                output=self.renumber(made),
                others=tuple(self.renumber(other) for other in _others(result, made)),
                pointwise=torch.Tag.pointwise in func.tags,
                input_shapes=tuple(tuple(tensor.shape) for tensor in tensors),
                shape=tuple(made.shape),
                arguments=args,
                depends=depends,
                weights=tuple(_memory(tensor) in self._weights for tensor in tensors),
                trail=self._trail,
            )
        )
        if any(depends):
            self._depends |= {self.operations[-1].output, *self.operations[-1].others}
            # What is written in place is read through every other view of the same memory.
            if any(made is tensor for tensor in tensors):
                self._written.add(_memory(made))
        return result

    def _pictured(self, tensor: Tensor) -> bool:
        return self.number(tensor) in self._depends or _memory(tensor) in self._written


def _memory(tensor: Tensor) -> int:
    """The address of the memory that a tensor is a view of."""
    return tensor.untyped_storage().data_ptr()


def _others(result: Any, first: Tensor) -> list[Tensor]:
    several = flat(result) if isinstance(result, tuple | list) else ()
    return [item for item in several if isinstance(item, Tensor) and item is not first]


def trace(module: nn.Module, pixels: Tensor) -> Trace:
    """List what `module` computes for `pixels` (1, C, H, W).

    Some networks keep part of what they compute in their first pass, and skip it in every later one: the
    second pass is listed.
    """
    with torch.no_grad():
        module(pixels)
    held = {_memory(each) for each in (*module.parameters(), *module.buffers())} - {0}
    recorder = _Recorder(pixels, held)
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

    parts = list(module.named_modules())
    before = [part.register_forward_pre_hook(enter(name)) for name, part in parts]
    behind = [part.register_forward_hook(leave(name)) for name, part in parts]
    with hooks([*before, *behind]), watched(recorder):
        module(pixels)
    return Trace(
        operations=tuple(recorder.operations),
        module_values={name: tuple(values) for name, values in returned.items()},
        module_inputs={name: tuple(values) for name, values in received.items()},
        input_value=recorder.start,
    )
