"""Blocks that are applied several times, as ALBERT's are (Lan et al. 2020), taken apart turn by turn.

A probe looks at layers one by one, and a layer that is another one's module again could not be told from
it. So a repeated block is replaced by one copy for each turn. The copies share its parameters: the
network computes what it did, and takes no more room.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from generator.models.dispatch import hooks


class Unrolled(nn.Module):
    """A block as one copy for each turn in a pass; all copies share its parameters."""

    def __init__(self, block: nn.Module, turns: int) -> None:
        super().__init__()
        shared = {id(tensor): tensor for tensor in (*block.parameters(), *block.buffers())}
        self.copies = nn.ModuleList(copy.deepcopy(block, dict(shared)) for _ in range(turns))
        self._turn = 0

    def begin(self, *_: Any) -> None:
        """The next call is the first turn: a pass may have been given up half-way."""
        self._turn = 0

    def forward(self, *args: Any, **named: Any) -> Any:
        """What the copy whose turn it is returns."""
        made = self.copies[self._turn](*args, **named)
        self._turn += 1
        return made


def unroll_repeated(module: nn.Module, run: Callable[[], object]) -> tuple[nn.Module, ...]:
    """Unroll every block that `run`, one pass, calls more than once; the blocks turn by turn."""
    for name, turns in _repeated(module, run).items():
        _unroll(module, name, turns)
    parts = [part for part in module.modules() if isinstance(part, Unrolled)]
    return tuple(turn for part in parts for turn in part.copies)


def unroll_like(module: nn.Module, other: nn.Module) -> None:
    """Unroll the blocks of a network that are unrolled in another one of the same architecture."""
    for name, part in other.named_modules():
        if isinstance(part, Unrolled):
            _unroll(module, name, len(part.copies))


def _repeated(module: nn.Module, run: Callable[[], object]) -> dict[str, int]:
    """How often each module with parameters is called, of those called again the outermost, by name."""
    calls: Counter[nn.Module] = Counter()
    parts = [part for part in module.modules() if any(True for _ in part.parameters())]
    with hooks(
        part.register_forward_pre_hook(lambda part, _: calls.update([part])) for part in parts
    ):
        run()
    found: dict[str, int] = {}
    for name, part in module.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if calls[part] > 1 and not inside:
            found[name] = calls[part]
    return found


def _unroll(module: nn.Module, name: str, turns: int) -> None:
    made = Unrolled(module.get_submodule(name), turns)
    module.set_submodule(name, made)
    for outer in _around(name):
        module.get_submodule(outer).register_forward_pre_hook(made.begin)


def _around(name: str) -> Iterator[str]:
    """The names of the modules that a module lies in, the whole network's first."""
    parts = name.split(".")
    for end in range(len(parts)):
        yield ".".join(parts[:end])
