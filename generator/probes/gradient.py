"""The gradient of a vision network with respect to its input, for less; its responses stay what they are.

Autograd asks of batch norm with fixed statistics three times what one product costs, and of ReLU6 a copy of
its input. Here a batch norm that reads a convolution goes back through that convolution at once, with its
scale within the weight: one product of the signal less, where the maps are largest. Forward nothing is
folded: an activation close to its limit would fall on the other side of it.

Weights get no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

VERSION = 1

_INFINITY = float("inf")
# Activations that clip, with the names of their arguments.
_CLIPS: Mapping[Any, tuple[str, tuple[str, ...]]] = {
    F.relu: ("ReLU", ("x", "inplace")),
    torch.relu: ("ReLU", ("x",)),
    torch.relu_: ("ReLU", ("x",)),
    Tensor.relu: ("ReLU", ("x",)),
    Tensor.relu_: ("ReLU", ("x",)),
    F.relu6: ("ReLU6", ("x", "inplace")),
    F.hardtanh: ("hard tanh", ("x", "min_val", "max_val", "inplace")),
    torch._C._nn.hardtanh_: ("hard tanh", ("x", "min_val", "max_val")),
    torch.clamp: ("clamp", ("x", "min", "max")),
    torch.clamp_: ("clamp", ("x", "min", "max")),
    Tensor.clamp: ("clamp", ("x", "min", "max")),
    Tensor.clamp_: ("clamp", ("x", "min", "max")),
    torch.clip: ("clamp", ("x", "min", "max")),
    torch.clip_: ("clamp", ("x", "min", "max")),
    Tensor.clip: ("clamp", ("x", "min", "max")),
    Tensor.clip_: ("clamp", ("x", "min", "max")),
    torch.clamp_min: ("clamp", ("x", "min")),
    torch.clamp_min_: ("clamp", ("x", "min")),
    Tensor.clamp_min: ("clamp", ("x", "min")),
    Tensor.clamp_min_: ("clamp", ("x", "min")),
}


class Gradient(TorchFunctionMode):
    """Within the block, batch norms and activations that clip are made to cost less on the way back.

    `met` names the activations that clip and were computed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._met: set[str] = set()

    @property
    def met(self) -> tuple[str, ...]:
        """The activations that were computed, in alphabetical order."""
        return tuple(sorted(self._met))

    def clipped_back(
        self, _node: Any, signal: Tensor, result: Tensor, low: float, high: float
    ) -> Tensor:
        """The signal in front of an activation that made `result`; zero where that lies at a limit."""
        found: Tensor = torch.ops.aten.hardtanh_backward(signal, result, low, high)  # one kernel
        return found

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Put what costs less in the place of a call that is known."""
        named = dict(kwargs or {})
        if func in _CLIPS:
            return self._clip(func, args, named)
        if func in {torch.conv2d, F.batch_norm} and "input" in named:
            args = (named.pop("input"), *args)
        if func is torch.conv2d:
            return _convolved(*args, **named)
        if func is F.batch_norm:
            return _normalised(*args, **named)
        return func(*args, **named)

    def _clip(self, func: Callable[..., Any], args: Sequence[Any], named: dict[str, Any]) -> Any:
        name, words = _CLIPS[func]
        given = dict(zip(words, args, strict=False))
        given |= {"x" if word in {"input", "self"} else word: named[word] for word in named}
        limits = _limits(name, given)
        if limits is None:
            return func(*args, **named)
        self._met.add("ReLU6" if limits == (0.0, 6.0) else name)  # nn.ReLU6 calls hardtanh
        return applied(_Clip, given["x"], limits, works_in_place(func, given), self)


def _limits(name: str, given: Mapping[str, Any]) -> tuple[float, float] | None:
    """What an activation clips at; None for a clamp that is no rectifier, such as a bound on a scale."""
    if name in {"ReLU", "ReLU6"}:
        return 0.0, 6.0 if name == "ReLU6" else _INFINITY
    if name == "hard tanh":
        return float(given.get("min_val", -1.0)), float(given.get("max_val", 1.0))
    low, high = given.get("min"), given.get("max")
    if isinstance(low, Tensor) or isinstance(high, Tensor) or low != 0:
        return None
    return 0.0, _INFINITY if high is None else float(high)


def works_in_place(func: Callable[..., Any], given: Mapping[str, Any]) -> bool:
    """Whether a call of an activation writes into its input."""
    return func.__name__.endswith("_") or bool(given.get("inplace", False))


def applied(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    """What an operation with a way back of its own returns."""
    found: Tensor = function.apply(*arguments)
    return found


class _Clip(torch.autograd.Function):
    """Clip to two limits. The output alone tells where the input lay between them."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, limits: tuple[float, float], inplace: bool, mode: Gradient
    ) -> Tensor:
        result = x.clamp_(*limits) if inplace else x.clamp(*limits)
        if inplace:
            ctx.mark_dirty(x)
        ctx.save_for_backward(result)
        ctx.limits, ctx.mode = limits, mode
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, signal: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.mode.clipped_back(ctx, signal, *ctx.saved_tensors, *ctx.limits), None, None, None


def _is_product(signal: Tensor, weight: Tensor, geometry: tuple[Any, ...]) -> bool:
    """Whether a convolution is one product of matrices, whose rows stand one after the other in memory."""
    in_rows = signal.is_contiguous(memory_format=torch.channels_last)
    return in_rows and weight.shape[2:] == (1, 1) and geometry == ([1, 1], [0, 0], [1, 1], 1)


@dataclass(frozen=True, eq=False)
class _Convolution:
    """What made a tensor: the input and weight of a convolution, and how often both had been written into."""

    x: Tensor
    weight: Tensor
    geometry: tuple[Any, ...]
    written: tuple[int, int]


def _convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """A convolution, whose output knows what made it."""
    made: Any = F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    if made.grad_fn is not None and made.dim() == 4 and not isinstance(padding, str):
        sides = [[n, n] if isinstance(n, int) else list(n) for n in (stride, padding, dilation)]
        # On the tensor, so that it goes when that goes: a mode is kept by every node that knows it.
        made.made_by = _Convolution(x, weight, (*sides, groups), (x._version, made._version))
    return made


def _normalised(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch norm. Its way back leads past the convolution that it reads, where nothing came in between.

    What else reads that convolution has a way back of its own, so that the sum is right.
    """
    if training or running_var is None or x.grad_fn is None:
        return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    stated = (running_mean, running_var, weight, bias)
    made: _Convolution | None = getattr(x, "made_by", None)
    if made is None or made.written != (made.x._version, x._version) or not made.x.requires_grad:
        return applied(_Scale, x, stated, eps)
    return applied(_Folded, made.x, x.detach(), made, stated, eps)


# Mean and variance, weight and bias of a batch norm.
_Stated = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]


def _fixed_norm(x: Tensor, stated: _Stated, eps: float) -> Tensor:
    mean, variance, weight, bias = stated
    return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)


def _scale(stated: _Stated, eps: float) -> Tensor:
    _, variance, weight, _ = stated
    assert variance is not None
    scale = (variance + eps).rsqrt()
    return scale if weight is None else scale * weight


class _Scale(torch.autograd.Function):
    """Batch norm with fixed statistics; only its scale is kept for the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stated: _Stated, eps: float) -> Tensor:
        ctx.scale = _scale(stated, eps).view(1, -1, *[1] * (x.dim() - 2)).to(x.dtype)
        return _fixed_norm(x, stated, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, signal: Tensor) -> tuple[Tensor | None, ...]:
        return signal * ctx.scale, None, None


class _Folded(torch.autograd.Function):
    """Batch norm of the convolution `made`; its way back leads to the input `x` of that convolution."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        convolved: Tensor,
        made: _Convolution,
        stated: _Stated,
        eps: float,
    ) -> Tensor:
        ctx.weight = made.weight * _scale(stated, eps).view(-1, 1, 1, 1).to(made.weight.dtype)
        ctx.geometry = made.geometry
        ctx.like = x.detach()  # its shape and order alone are used
        return _fixed_norm(convolved, stated, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, signal: Tensor) -> tuple[Tensor | None, ...]:
        *sides, groups = ctx.geometry
        if _is_product(signal, ctx.weight, ctx.geometry):
            # An eighth less work than a convolution.
            rows = signal.movedim(1, -1) @ ctx.weight.flatten(1)
            return rows.movedim(-1, 1), None, None, None, None
        found, _, _ = torch.ops.aten.convolution_backward(
            signal, ctx.like, ctx.weight, None, *sides, False, [0, 0], groups, [True, False, False]
        )
        return found, None, None, None, None
