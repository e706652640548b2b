"""Activations that a network computes by a function, as its own code calls it, and not by a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

_ACTIVATIONS = {
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus"),
    *(
        "sigmoid",
        "tanh",
        "hardtanh",
        "hardswish",
        "hardsigmoid",
        "logsigmoid",
        "threshold",
        "clamp",
    ),
}
Took = Callable[[int, Tensor], Tensor]


class Activations(TorchFunctionMode):
    """Hands `take` what each call of an activation returns, with its number in the pass.

    The network goes on with what `take` returns. Modules call these functions, too, and are counted with
    them. A call that writes over what it is given is counted, and not handed out: what it returns may be
    dropped.
    """

    def __init__(self, take: Took) -> None:
        super().__init__()
        self.take = take
        self.number = 0

    def __torch_function__(
        self, func: Any, kinds: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Called by PyTorch for every function that is given a tensor; not for those within it."""
        made = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") not in _ACTIVATIONS or not isinstance(made, Tensor):
            return made
        number, self.number = self.number, self.number + 1
        return made if made is args[0] else self.take(number, made)
