"""Calls of a program that have a module of their own in PyTorch: convolutions, norms, activations, pools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from generator.errors import CutawayError

Given = Mapping[str, Any]
"""What a call is given, by the names of the operator's schema; its weights are tensors."""


def _convolution(given: Given) -> nn.Module:
    weight, groups = given["weight"], given.get("groups", 1)
    made = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),
        _pair(given.get("stride", 1)),
        _pair(given.get("padding", 0)),
        _pair(given.get("dilation", 1)),
        groups,
        bias=given.get("bias") is not None,
    )
    return _weighted(made, given)


def _linear(given: Given) -> nn.Module:
    outputs, inputs = given["weight"].shape
    return _weighted(nn.Linear(inputs, outputs, bias=given.get("bias") is not None), given)


def _batch_norm(given: Given) -> nn.Module:
    if given.get("training"):
        raise CutawayError(
            "it was exported while it was training.",
            "Call eval() on the network, and export again.",
        )
    channels = given["running_mean"].shape[0]
    affine = given.get("weight") is not None
    made = nn.BatchNorm2d(channels, given["eps"], given["momentum"], affine=affine)
    made.running_mean, made.running_var = given["running_mean"], given["running_var"]
    return _weighted(made, given)


def _layer_norm(given: Given) -> nn.Module:
    affine, biased = given.get("weight") is not None, given.get("bias") is not None
    shape, eps = given["normalized_shape"], given.get("eps", 1e-5)
    return _weighted(nn.LayerNorm(shape, eps, elementwise_affine=affine, bias=biased), given)


def _weighted(made: nn.Module, given: Given) -> nn.Module:
    for name in ("weight", "bias"):
        if given.get(name) is not None:
            setattr(made, name, nn.Parameter(given[name]))
    return made


def _bounded(given: Given) -> nn.Module:
    low, high = given.get("min_val", -1.0), given.get("max_val", 1.0)
    return nn.ReLU6() if (low, high) == (0, 6) else nn.Hardtanh(low, high)


def _max_pool(given: Given) -> nn.Module:
    size = _pair(given["kernel_size"])
    return nn.MaxPool2d(
        size,
        _pair(given.get("stride") or size),
        _pair(given.get("padding", 0)),
        _pair(given.get("dilation", 1)),
        ceil_mode=given.get("ceil_mode", False),
    )


def _pair(value: Any) -> Any:
    """Two numbers for two axes, where one or both are stated; what is no list stays as it is."""
    if not isinstance(value, list):
        return value
    return tuple(value) if len(value) == 2 else value[0]


_MADE: Mapping[str, Callable[[Given], nn.Module]] = {
    "conv2d": _convolution,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "relu": lambda _: nn.ReLU(),
    "hardtanh": _bounded,
    "relu6": lambda _: nn.ReLU6(),
    "gelu": lambda given: nn.GELU(given.get("approximate", "none")),
    "silu": lambda _: nn.SiLU(),
    "sigmoid": lambda _: nn.Sigmoid(),
    "hardswish": lambda _: nn.Hardswish(),
    "hardsigmoid": lambda _: nn.Hardsigmoid(),
    "mish": lambda _: nn.Mish(),
    "leaky_relu": lambda given: nn.LeakyReLU(given.get("negative_slope", 0.01)),
    "elu": lambda given: nn.ELU(given.get("alpha", 1.0)),
    "max_pool2d": _max_pool,
    "adaptive_avg_pool2d": lambda given: nn.AdaptiveAvgPool2d(given["output_size"]),
}
_PASSED = ("input", "self")


def module_of(operator: str, given: Given) -> nn.Module | None:
    """The module that makes the call of an operator of aten, in place if that is; None where there is none.

    All that it is given, but for what passes through it, must be known: numbers, and tensors of the archive.
    """
    known = {name: value for name, value in given.items() if name not in _PASSED}
    name = operator.removesuffix("_")
    if name not in _MADE or not all(_is_known(value) for value in known.values()):
        return None
    made = _MADE[name](known)
    if name != operator:
        vars(made)["inplace"] = True
    return made


def _is_known(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_known(one) for one in value)
    return value is None or isinstance(value, (bool, int, float, str, Tensor))
