"""What an operation is: linear, with its weights, whatever PyTorch computes it as, or an activation.

`F.linear` on a matrix of positions is one product with a bias; on a transposed or four-dimensional tensor
it is a product, or a batch of products with the same matrix, and a sum. All of them are linear maps.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

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


_PRODUCTS = {"mm", "addmm", "linear", "bmm", "baddbmm"}
_BATCHED = {"bmm", "baddbmm"}


@dataclass(frozen=True, eq=False)
class Weighted:
    """What is linear in an operation.

    `weight` is (units, inputs) or (units, inputs of a group, height, width); `axis` is the axis of the
    output that holds the units. `learned` is false where the weights are computed from the picture.
    """

    weight: Tensor
    axis: int
    learned: bool = True

    @property
    def convolves(self) -> bool:
        """Whether it is a convolution."""
        return self.weight.dim() == 4


def weights_in(operation: Operation) -> Weighted | None:
    """The weights of a convolution over pictures or of a linear map; None for any other operation."""
    if operation.name == "convolution":
        weight = operation.arguments[1]
        over_pictures = weight.dim() == 4 and operation.depends[0]
        return Weighted(weight.detach(), 1, not operation.depends[1]) if over_pictures else None
    if operation.name not in _PRODUCTS:
        return None
    left, right = _operands(operation)
    if operation.depends[left] == operation.depends[right]:
        return None  # queries with keys, or nothing of the picture
    tensors = [each for each in operation.arguments if isinstance(each, Tensor)]
    fixed, axis = (left, -2) if operation.depends[right] else (right, -1)
    matrix = tensors[fixed].detach()
    if operation.name in _BATCHED:
        one = matrix.shape[0] == 1 or matrix.stride(0) == 0
        if not operation.weights[fixed] or not one:
            return None
        matrix = matrix[0]
    by_rows = operation.name == "linear" or axis == -2
    return Weighted(matrix if by_rows else matrix.t(), axis)


def reason_against(operation: Operation) -> str:
    """Why an operation with weights of the network is no layer; empty if it is one, or has no weights."""
    if operation.name == "convolution" and operation.weights[1]:
        dimensions = operation.arguments[1].dim() - 2
        if not operation.depends[0]:
            return "it is computed from the weights alone and is the same for every picture"
        along = "one axis" if dimensions == 1 else f"{dimensions} axes"
        return "" if dimensions == 2 else f"a convolution along {along}, not over a picture"
    if operation.name not in _PRODUCTS or weights_in(operation) is not None:
        return ""
    places = [place for place in _operands(operation) if operation.weights[place]]
    if not places:
        return ""
    if not any(operation.depends[place] for place in _operands(operation)):
        return "it is computed from the weights alone and is the same for every picture"
    if operation.name in _BATCHED:
        return "it multiplies each part of its input by another matrix"
    return ""


def _operands(operation: Operation) -> tuple[int, int]:
    """The places of the two factors among an operation's tensors."""
    if operation.name == "linear":
        return 0, 1
    return len(operation.inputs) - 2, len(operation.inputs) - 1


def adds_bias(operation: Operation, product: Operation) -> bool:
    """Whether an operation adds the bias that a product of the same module comes without."""
    return (
        operation.name.rstrip("_") == "add"
        and len(operation.inputs) == 2
        and operation.weights[1]
        and operation.input_shapes[1] == product.shape[-1:]
        and operation.module == product.module
        and product.name in {"mm", "bmm"}
    )
