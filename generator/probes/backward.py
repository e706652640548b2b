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

from generator.probes.gradient import Gradient, applied, works_in_place

DECONVOLUTION, GUIDED, GRADIENT = "deconvolution", "guided", "gradient"
RULES = (DECONVOLUTION, GUIDED, GRADIENT)

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


class Rules(Gradient):
    """Within the block, activations pass the signal back as `rule` says *while it is passed back*.

    One forward pass thus serves every rule. The responses are those of the network, to the last bit.
    `met` names the activations that were computed, `heuristic` those among them that have no rule of their
    own. An activation written out by hand (x * sigmoid(x)), a gate (sigmoid) and a compiled one are not
    noticed and keep their true derivative. `switches` says whether a max pooling was met.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rule = GRADIENT
        self._own = 0
        self.switches = False
        self._heuristic: set[str] = set()

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

    def clipped_back(
        self, node: Any, signal: Tensor, result: Tensor, low: float, high: float
    ) -> Tensor:
        """The signal in front of an activation that made `result`, by the rule."""
        if self.is_own(node):
            return signal
        if self.rule == DECONVOLUTION:
            return signal.clamp(min=0)
        passed = super().clipped_back(node, signal, result, low, high)
        return passed.clamp_(min=0) if self.rule == GUIDED else passed

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Put an activation with a rule in the place of a known one."""
        self.switches |= "max_pool" in getattr(func, "__name__", "")
        if func in _SMOOTH:
            return self._smooth(func, args, dict(kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs)

    def _smooth(self, func: Callable[..., Any], args: Sequence[Any], named: dict[str, Any]) -> Any:
        name = _SMOOTH[func]
        self._met.add(name)
        self._heuristic.add(name)
        signature = _signature(func)
        if signature is not None:
            given = signature.bind(*args, **named).arguments
            inplace = bool(given.pop("inplace", False))
            x = given.pop("input")
            return applied(_Smooth, x, lambda value: func(input=value, **given), inplace, self)
        # Built in: the input comes first, and the name says what works in place.
        x, rest = args[0] if args else named.pop("input"), args[1:]
        if works_in_place(func, named):
            return applied(
                _Smooth, x, lambda value: func(value.clone(), *rest, **named), True, self
            )
        return applied(_Smooth, x, lambda value: func(value, *rest, **named), False, self)


@cache
def _signature(func: Callable[..., Any]) -> inspect.Signature | None:
    return inspect.signature(func) if inspect.isfunction(func) else None


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
