"""The activations that are known by the operation that computes them."""

from __future__ import annotations

from generator.models.trace import Operation

ACTIVATIONS = {
    "relu": "relu",
    "hardtanh": "hardtanh",
    "clamp": "clamp",
    "clamp_min": "clamp",
    "silu": "silu",
    "gelu": "gelu",
    "hardswish": "hardswish",
    "hardsigmoid": "hardsigmoid",
    "leaky_relu": "leaky_relu",
    "elu": "elu",
    "mish": "mish",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
}


# Those whose outputs tie at a limit: what is equal behind them need not be so in front of them.
SATURATING = {
    "relu",
    "hardtanh",
    "clamp",
    "clamp_min",
    "hardswish",
    "hardsigmoid",
    "sigmoid",
    "tanh",
}


_BOUNDED = {"hardtanh", "clamp", "clamp_min"}


def activation_of(operation: Operation, name: str) -> str:
    """The name of an activation; a clamp is told by what it stops at."""
    if name not in _BOUNDED:
        return ACTIVATIONS[name]
    low, high = (*operation.arguments[1:3], None, None)[:2]
    named = {(0, None): "relu", (0, 6): "relu6"}
    plain = all(bound is None or isinstance(bound, int | float) for bound in (low, high))
    return named.get((low, high), ACTIVATIONS[name]) if plain else ACTIVATIONS[name]
