"""The same network for less: batch norm folded into convolutions; and a way out of dead gradients.

Both act on the calls that a network makes, not on its modules: nothing in the model is changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode

from generator.models.dispatch import noise
from generator.models.layer import Layer
from generator.models.model import VisionModel, logits_of

TOLERANCE = 1e-4
LEAK = 0.1

_RELU = {functional.relu, torch.relu, Tensor.relu}
_BOUNDED = {functional.hardtanh, functional.relu6}


@dataclass(frozen=True, eq=False)
class Folded:
    """The weight and bias to use in place of `original`, whose batch norm they contain."""

    original: Tensor
    weight: Tensor
    bias: Tensor


class Folding(TorchFunctionMode):
    """Runs folded convolutions in channels-last order and skips their batch norms.

    With `redirect`, the gradient of a loss passes ReLU and ReLU6 where a step against it would bring a
    response back into the range in which the activation moves, as in Lucid. Forward nothing changes.
    """

    def __init__(self, folds: Iterable[Folded] = (), *, redirect: bool = False) -> None:
        self._folds = {id(fold.original): fold for fold in folds}
        self._redirect = redirect
        self._pending: dict[int, Tensor] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.conv2d and id(args[1]) in self._folds:
            fold = self._folds[id(args[1])]
            rest = {key: value for key, value in kwargs.items() if key != "bias"}
            output = func(args[0], fold.weight, fold.bias, *args[3:], **rest)
            self._pending[id(output)] = output
            return output
        if func is functional.batch_norm and id(args[0]) in self._pending:
            return self._pending.pop(id(args[0]))
        if func in _BOUNDED:
            low, high = kwargs.get("min_val", 0.0), kwargs.get("max_val", 6.0)
            return _clamp(args[0], low, high, self._redirect, kwargs.get("inplace", False))
        if func in _RELU:
            return _clamp(args[0], 0.0, math.inf, self._redirect, kwargs.get("inplace", False))
        return func(*args, **kwargs)


class _Clamp(torch.autograd.Function):
    """A clamp that keeps its output for the way back, where PyTorch's ReLU6 keeps a copy of its input.

    Redirected, it blocks only what would lead further out of its range. Outside of the range a share of
    `leak` of the gradient passes.
    """

    @staticmethod
    def forward(
        ctx: Any, signal: Tensor, low: float, high: float, redirect: bool, inplace: bool
    ) -> Tensor:
        clamped = signal.clamp_(low, high) if inplace else signal.clamp(low, high)
        if inplace:
            ctx.mark_dirty(signal)
        ctx.save_for_backward(clamped)
        ctx.settings = low, high, redirect
        ctx.leak = 0.0
        return clamped

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (clamped,), (low, high, redirect), grad = ctx.saved_tensors, ctx.settings, grads[0]
        if redirect:
            outwards = ((clamped <= low) & (grad > 0)) | ((clamped >= high) & (grad < 0))
            return grad.masked_fill(outwards, 0.0), None, None, None, None
        passed = torch.ops.aten.hardtanh_backward(grad, clamped, low, high)
        if ctx.leak:
            passed = torch.lerp(passed, grad, ctx.leak)
        return passed, None, None, None, None


_clamp: Callable[..., Tensor] = _Clamp.apply


def leak(responses: Iterable[Tensor], share: float = LEAK) -> None:
    """Let part of the gradient pass where a response, made under `Folding`, is clipped by its activation.

    A unit that is silent everywhere, or at the ceiling everywhere, has no gradient otherwise. Only the
    activation that ends the layer leaks, none of those before it; the response stays what it is.
    """
    for response in responses:
        node: Any = response.grad_fn
        if hasattr(node, "leak"):  # made by _Clamp
            node.leak = share


def foldable(model: VisionModel) -> tuple[Folded, ...]:
    """The convolutions of a network that can be folded; none if that changed its logits.

    Exact but for rounding where a convolution is called once and read by one batch norm only.
    """
    example = noise(model.preprocessing.size).to(next(model.module.parameters()))
    record = _Record()
    with torch.no_grad():
        with record:
            plain = logits_of(model.module(example))
        folds = tuple(_fold(*pair) for pair in record.pairs())
        with Folding(folds):
            folded = logits_of(model.module(example))
    same = float((plain - folded).abs().max()) <= TOLERANCE * float(plain.abs().max() + 1)
    return folds if same else ()


def foldable_between(model: VisionModel, layers: Sequence[Layer]) -> tuple[Folded, ...]:
    """Those that can be folded while some layers are read; none where all operations are counted for that."""
    return foldable(model) if model.hooked(layers, entering=True) else ()


class _Record(TorchFunctionMode):
    """Notes which convolution each batch norm reads."""

    def __init__(self) -> None:
        self._calls: dict[int, int] = {}
        self._made: dict[int, tuple[Tensor, Tensor, Tensor | None]] = {}
        self._read: dict[int, list[tuple[Any, ...]]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if func is torch.conv2d:
            bias = args[2] if len(args) > 2 else kwargs.get("bias")
            self._calls[id(args[1])] = self._calls.get(id(args[1]), 0) + 1
            # The output is kept, so that no later tensor gets its identity.
            self._made[id(output)] = (output, args[1], bias)
        elif func is functional.batch_norm and id(args[0]) in self._made and not kwargs["training"]:
            _, weight, bias = self._made[id(args[0])]
            self._read.setdefault(id(weight), []).append((weight, bias, *args[1:3], kwargs))
        return output

    def pairs(self) -> list[tuple[Any, ...]]:
        """Convolution weight and bias, mean, variance and settings of a batch norm, called once."""
        once = [found for key, found in self._read.items() if self._calls[key] == len(found) == 1]
        return [found[0] for found in once]


def _fold(
    weight: Tensor, bias: Tensor | None, mean: Tensor, var: Tensor, norm: Mapping[str, Any]
) -> Folded:
    made, shifted = fuse_conv_bn_weights(
        weight, bias, mean, var, norm["eps"], norm["weight"], norm["bias"]
    )
    ordered = made.detach().contiguous(memory_format=torch.channels_last)
    return Folded(weight, ordered, shifted.detach())
