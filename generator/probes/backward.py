"""How a signal passes an activation on its way back to the pixels.

On the way back every other operation of a network in evaluation mode is its own transpose: autograd turns
a convolution (strided or depthwise as well) into the transposed one, batch norm is a fixed scale, and a
max pooling sends the signal to where its maximum was, which are the switches of Zeiler & Fergus. Only the
activations differ, g being the signal that arrives from above and x the activation's own input:

    gradient        g * f'(x)
    deconvolution   max(g, 0)                       Zeiler & Fergus 2014
    guided          max(g, 0) * [low < x < high]    Springenberg et al. 2015

with low and high the limits that the activation clips at: 0 and infinity for ReLU, 0 and 6 for ReLU6.
A smooth activation (SiLU, GELU, ...) clips at nothing, and neither paper says what to do there: x > 0 stands
for "was let through", which is a heuristic, and `Rules.heuristic` says that it was needed.

The deconvolution rule never looks at x. What a picture has to say to it comes from the switches alone: in a
network without max pooling a deconvolution is the same for every picture (Springenberg et al. 2015).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

DECONVOLUTION, GUIDED, GRADIENT = "deconvolution", "guided", "gradient"
RULES = (DECONVOLUTION, GUIDED, GRADIENT)

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
_SMOOTH: Mapping[Any, str] = {
    F.silu: "SiLU",
    F.gelu: "GELU",
    F.hardswish: "hard swish",
    F.mish: "Mish",
    F.leaky_relu: "leaky ReLU",
    torch._C._nn.leaky_relu_: "leaky ReLU",
    F.prelu: "PReLU",
    torch.prelu: "PReLU",
    F.rrelu: "RReLU",
    F.elu: "ELU",
    torch._C._nn.elu_: "ELU",
    F.selu: "SELU",
    torch.selu: "SELU",
    torch.selu_: "SELU",
    F.celu: "CELU",
    torch.celu: "CELU",
    torch.celu_: "CELU",
    F.softplus: "softplus",
}


class Rules(TorchFunctionMode):
    """Within the block, activations pass the signal back as `rule` says *while it is passed back*.

    One forward pass thus serves every rule. The responses are those of the network, to the last bit.
    `met` names the activations that were computed, `heuristic` those among them that have no rule of their
    own. An activation written out by hand (x * sigmoid(x)), a gate (sigmoid) and a compiled one are not
    noticed and keep their true derivative.

    `switches` says whether a max pooling was met.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rule = GRADIENT
        self._own = 0
        self.switches = False
        self._met: set[str] = set()
        self._heuristic: set[str] = set()

    @property
    def met(self) -> tuple[str, ...]:
        """The activations that were computed, in alphabetical order."""
        return tuple(sorted(self._met))

    @property
    def heuristic(self) -> tuple[str, ...]:
        """Those of them that have no canonical rule."""
        return tuple(sorted(self._heuristic))

    def start_at(self, response: Tensor) -> None:
        """Leave out the activation that ends a neuron: its signal starts in front of it.

        A neuron at its limit (6 for ReLU6) then has a gradient as well. `response` must outlive the use.
        """
        # Its identity, not the node itself: nodes know these rules, and Python sees no cycle through them.
        self._own = id(response.grad_fn)

    def is_own(self, node: Any) -> bool:
        """Whether a node is the activation that `start_at` left out."""
        return id(node) == self._own

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Put an activation with a rule in the place of a known one."""
        named = dict(kwargs or {})
        self.switches |= "max_pool" in getattr(func, "__name__", "")
        if func in _CLIPS:
            return self._clip(func, args, named)
        if func in _SMOOTH:
            return self._smooth(func, args, named)
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
        return _applied(_Clip, given["x"], limits, _inplace(func, given), self)

    def _smooth(self, func: Callable[..., Any], args: Sequence[Any], named: dict[str, Any]) -> Any:
        name = _SMOOTH[func]
        self._met.add(name)
        self._heuristic.add(name)
        signature = _signature(func)
        if signature is not None:
            given = signature.bind(*args, **named).arguments
            inplace = bool(given.pop("inplace", False))
            x = given.pop("input")
            return _applied(_Smooth, x, lambda value: func(input=value, **given), inplace, self)
        # Built in: the input comes first, and the name says what works in place.
        x, rest = args[0] if args else named.pop("input"), args[1:]
        if _inplace(func, named):
            return _applied(
                _Smooth, x, lambda value: func(value.clone(), *rest, **named), True, self
            )
        return _applied(_Smooth, x, lambda value: func(value, *rest, **named), False, self)


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


def _inplace(func: Callable[..., Any], given: Mapping[str, Any]) -> bool:
    return func.__name__.endswith("_") or bool(given.get("inplace", False))


@cache
def _signature(func: Callable[..., Any]) -> inspect.Signature | None:
    return inspect.signature(func) if inspect.isfunction(func) else None


def _applied(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    found: Tensor = function.apply(*arguments)
    return found


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
    """Batch norm; with fixed statistics its way back is one product, three times as fast as autograd's."""
    if training or running_var is None:
        return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    return _applied(_Scale, x, (running_mean, running_var, weight, bias), eps)


class _Scale(torch.autograd.Function):
    """Batch norm with fixed statistics; only its scale is kept for the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stated: tuple[Tensor | None, ...], eps: float) -> Tensor:
        mean, variance, weight, bias = stated
        assert variance is not None
        scale = (variance + eps).rsqrt()
        scale = scale if weight is None else scale * weight
        ctx.scale = scale.view(1, -1, *[1] * (x.dim() - 2)).to(x.dtype)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, signal: Tensor) -> tuple[Tensor | None, ...]:
        return signal * ctx.scale, None, None


class _Clip(torch.autograd.Function):
    """Clip to two limits. The output alone tells where the input lay between them."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, limits: tuple[float, float], inplace: bool, rules: Rules
    ) -> Tensor:
        low, high = limits
        result = x.clamp_(low, high) if inplace else x.clamp(low, high)
        if inplace:
            ctx.mark_dirty(x)
        ctx.save_for_backward(result)
        ctx.limits, ctx.rules = limits, rules
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, signal: Tensor) -> tuple[Tensor | None, ...]:
        (result,) = ctx.saved_tensors
        if not ctx.rules.is_own(ctx):
            if ctx.rules.rule != GRADIENT:
                signal = signal.clamp(min=0)
            if ctx.rules.rule != DECONVOLUTION:
                # One kernel: the signal where low < result < high, and zero elsewhere.
                signal = torch.ops.aten.hardtanh_backward(signal, result, *ctx.limits)
        return signal, None, None, None


class _Smooth(torch.autograd.Function):
    """Any other activation, computed by `function`; its derivative is that function's own."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor], inplace: bool, rules: Rules
    ) -> Tensor:
        kept = x.clone() if inplace else x
        result = function(kept)
        if inplace:
            result = x.copy_(result)
            ctx.mark_dirty(x)
        ctx.save_for_backward(kept)
        ctx.function, ctx.rules = function, rules
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, signal: Tensor) -> tuple[Tensor | None, ...]:
        if not ctx.rules.is_own(ctx):
            signal = _through_smooth(ctx, signal)
        return signal, None, None, None


def _through_smooth(ctx: Any, signal: Tensor) -> Tensor:
    (kept,) = ctx.saved_tensors
    if ctx.rules.rule == DECONVOLUTION:
        return signal.clamp(min=0)
    if ctx.rules.rule == GUIDED:
        return signal.clamp(min=0) * (kept > 0)
    with torch.enable_grad():
        x = kept.detach().clone().requires_grad_()
        (found,) = torch.autograd.grad(ctx.function(x), x, signal)
    return found
