"""PyTorch's dispatcher, watched: which operations have a number, and the modes that see them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

# What hands its tensor on. PyTorch adds a `detach` to `torch.arange` and the like if somebody keeps what
# they return, as the recorder does and a listener does not.
_SAME = {"detach", "detach_", "alias", "lift_fresh"}


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


@contextmanager
def watched(mode: TorchDispatchMode) -> Iterator[None]:
    """Within the block `mode` sees every operation; the short cut of PyTorch's own transformers is closed.

    They take it unless a module has a hook, as all have in a trace.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), mode:
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def flat(args: tuple[Any, ...] | list[Any]) -> Iterator[Any]:
    """The items of nested tuples and lists, in order."""
    for item in args:
        if isinstance(item, tuple | list):
            yield from flat(item)
        else:
            yield item
