"""Responses of layers as the calls of modules return them: a hook each, where listening sees every operation.

`dispatch.listen` finds a response whatever computes it, and takes twenty microseconds an operation. Where a
trial saw that a call of a module returns a layer's response, a hook there is handed the same tensor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from generator.errors import CutawayError
from generator.models.dispatch import first_tensor, hooks, unlearning
from generator.models.layer import Layer


@contextmanager
def called(
    module: nn.Module,
    layers: Sequence[Layer],
    take: Callable[[Layer, Tensor], None],
    usual: Mapping[str, int] | None = None,
    enter: Callable[[Layer, Tensor], None] | None = None,
) -> Iterator[Counter[str]]:
    """Within the block, one pass, hand `take` what the call of its module returns for each of some layers.

    `enter` is handed what enters the activations of those that have an `entry`. Tensors are live, as in
    `dispatch.listen`. Yields how often each of these modules has been called. Raises CutawayError where one
    of them is called more or less often than is `usual`, if that is stated.
    """
    # A block that adds nothing shares its response with its last layer.
    wanted: dict[tuple[str, int], list[Layer]] = {}
    for layer in layers:
        wanted.setdefault((layer.module, layer.call), []).append(layer)
    calls: Counter[str] = Counter()

    def returned(name: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        met = wanted.get((name, calls[name]), ())
        calls[name] += 1
        made = first_tensor(output) if met else None
        for layer in met if made is not None else ():
            assert made is not None
            take(layer, made)

    names = dict.fromkeys(layer.module for layer in layers)
    own = [
        module.get_submodule(name).register_forward_hook(partial(returned, name)) for name in names
    ]
    entered = [layer for layer in layers if enter and layer.entry]
    with hooks([*own, *_entries(module, entered, enter)]), unlearning():
        yield calls
    other = next((name for name in names if usual and usual[name] != calls[name]), None)
    if usual and other is not None:
        raise CutawayError(
            f"{other} was called {calls[other]} times, and {usual[other]} when its layers were listed: the "
            "network does not compute the same operations on every pass"
        )


def _entries(
    module: nn.Module, layers: Sequence[Layer], enter: Callable[[Layer, Tensor], None] | None
) -> Iterator[Any]:
    calls: Counter[str] = Counter()

    def given(name: str, met: Mapping[int, Layer], _module: nn.Module, inputs: Any) -> None:
        layer = met.get(calls[name])
        calls[name] += 1
        if layer and enter:
            enter(layer, inputs[0])

    wanted: dict[str, dict[int, Layer]] = {}
    for layer in layers:
        wanted.setdefault(layer.entry, {})[layer.call] = layer
    for name, met in wanted.items():
        hook = partial(given, name, met)
        yield module.get_submodule(name).register_forward_pre_hook(hook)
