"""Differentiable responses of a vision network: read them, put others in their place, stop early.

`dispatch.listen` watches the dispatcher, below autograd: it costs nothing and sees every operation, but
what it sees has no gradient. Here a hook sits on the module call that returns a layer's response, or on the
call of an activation where the network's own code calls a function.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.models.dispatch import Enough, first_tensor, hooks
from generator.models.functions import Activations
from generator.models.layer import Layer
from generator.models.model import VisionModel, logits_of

Touch = Callable[[Layer, Tensor], Tensor | None]


@contextmanager
def tapped(model: VisionModel, layers: Sequence[Layer], touch: Touch) -> Iterator[None]:
    """Within the block, hand `touch` the response of each layer as soon as it is computed.

    A response is (N, units, H, W), or (N, units). The network goes on with what `touch` returns, or
    with the response if that is None. What no call returns is touched as it enters the module that alone
    reads it. Raises CutawayError for a layer that no call returns, and that has no such reader.
    """
    by_function = {layer.function: layer for layer in layers if layer.function >= 0}
    by_module: dict[str, dict[int, list[Layer]]] = {}
    entering: list[Any] = []
    for layer in layers:
        if not layer.tapped:
            raise CutawayError(f"{model.id}: no module returns {layer.name}; gradients need one.")
        if layer.module:
            # A block that ends in a part of it hands on what that part returns: one call, two layers.
            by_module.setdefault(layer.module, {}).setdefault(layer.call, []).append(layer)
        elif layer.function < 0:
            reader = model.module.get_submodule(layer.reader)
            entering.append(reader.register_forward_pre_hook(partial(_enter, layer, touch)))
    calls: Counter[str] = Counter()

    def hook_of(name: str) -> Callable[..., Any]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            met = by_module[name].get(calls[name], ())
            calls[name] += 1
            for layer in met:
                changed = _touch(layer, output, touch)
                output = output if changed is None else changed
            return output if met else None

        return hook

    def take(number: int, made: Tensor) -> Tensor:
        layer = by_function.get(number)
        changed = made if layer is None else _touch(layer, made, touch)
        return made if changed is None else changed

    functions = Activations(take)

    def start(*_: Any) -> None:
        calls.clear()
        functions.number = 0

    anew = model.module.register_forward_pre_hook(start)
    parts = {name: model.module.get_submodule(name) for name in by_module}
    own = [part.register_forward_hook(hook_of(name)) for name, part in parts.items()]
    with hooks([anew, *own, *entering]), functions if by_function else nullcontext():
        yield


def _enter(layer: Layer, touch: Touch, _module: nn.Module, inputs: tuple[Any, ...]) -> Any:
    changed = _touch(layer, inputs[0], touch)
    return None if changed is None else (changed, *inputs[1:])


def _touch(layer: Layer, output: Any, touch: Touch) -> Any:
    response = first_tensor(output)
    if response is None:
        raise CutawayError(f"{layer.name} returns no tensor.")
    last = layer.axis == -1 and len(layer.shape) == 3
    changed = touch(layer, response.movedim(-1, 1) if last else response)
    if changed is None:
        return None
    changed = changed.movedim(1, -1) if last else changed
    if isinstance(output, Tensor):
        return changed
    if isinstance(output, tuple):
        return (changed, *output[1:])
    output[next(iter(output))] = changed  # transformers' ordered outputs
    return output


def responses(model: VisionModel, batch: Tensor, layers: Sequence[Layer]) -> dict[str, Tensor]:
    """The responses of some layers to pixels (N, 3, H, W), with their gradient.

    The pass ends behind the last of them.
    """
    found: dict[str, Tensor] = {}

    def touch(layer: Layer, response: Tensor) -> Tensor:
        found[layer.name] = response
        if len(found) == len(layers):
            raise Enough
        return response.clone()  # an activation that works in place must not write over it

    with tapped(model, layers, touch), suppress(Enough):
        model.module(batch)
    missing = [layer.name for layer in layers if layer.name not in found]
    if missing:
        raise CutawayError(f"{model.id}: {missing[0]} was not computed for this input.")
    return found


def tail(model: VisionModel, batch: Tensor, layer: Layer) -> tuple[Tensor, Tensor]:
    """One layer's response, cut off from what made it, and the logits (N, classes) computed from it.

    The response is a leaf: the logits have a gradient with respect to it alone.
    """
    (response,), logits = tails(model, batch, (layer,))
    return response, logits


def tails(
    model: VisionModel, batch: Tensor, layers: Sequence[Layer]
) -> tuple[tuple[Tensor, ...], Tensor]:
    """The responses of some layers in one pass, and the logits (N, classes).

    The logits have a gradient with respect to each. What is computed before the first has none.
    """
    kept: dict[str, Tensor] = {}

    def touch(layer: Layer, response: Tensor) -> Tensor:
        cut = response if response.requires_grad else response.detach().clone().requires_grad_()
        kept[layer.name] = cut
        return cut.clone()

    with torch.enable_grad(), tapped(model, layers, touch):
        logits = logits_of(model.module(batch))
    return tuple(kept[layer.name] for layer in layers), logits
