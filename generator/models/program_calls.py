"""The calls of a program of torch.export, as its JSON says them: of what, given what, making what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import add, floordiv, mod, mul, sub
from typing import Any

import torch

from generator.errors import CutawayError
from generator.models.exported import TYPES

_OPERATOR = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
# Of sizes, which are known when the program runs.
_OF_NUMBERS = {f"_operator.{one.__name__}": one for one in (add, floordiv, mod, mul, sub)}
# What computes tensors of tensors, and neither reads files nor touches memory that is not its own.
_ALLOWED = """
abs adaptive_avg_pool2d adaptive_max_pool2d add addmm alias amax amin arange avg_pool2d baddbmm batch_norm
bitwise_and bitwise_not bitwise_or bmm broadcast_to cat chunk clamp clamp_max clamp_min clone
constant_pad_nd contiguous conv1d conv2d cos cumsum detach div dropout einsum elu embedding eq erf exp
expand expand_as feature_dropout flatten flip full full_like gather ge gelu group_norm gt hardsigmoid
hardswish hardtanh index index_select instance_norm layer_norm le leaky_relu lift_fresh_copy
linalg_vector_norm linear log log_softmax logical_and logical_not lt masked_fill matmul max max_pool2d
maximum mean min minimum mish mm movedim mul narrow ne neg new_full new_ones new_zeros norm ones ones_like
pad permute pixel_shuffle pixel_unshuffle pow prelu reciprocal relu relu6 repeat repeat_interleave reshape
rms_norm roll rsqrt rsub scaled_dot_product_attention select selu sigmoid silu sin slice softmax softplus
split split_with_sizes sqrt square squeeze stack sub sum sym_size t tanh to transpose type_as unbind
unflatten unfold unsqueeze upsample_bicubic2d upsample_bilinear2d upsample_nearest2d var view where zeros
zeros_like
"""
_MEMORY = {1: torch.contiguous_format, 2: torch.channels_last, 4: torch.preserve_format}


@dataclass(frozen=True)
class Value:
    """What a call is given of an earlier one, or of the archive, by its name."""

    name: str


@dataclass(frozen=True)
class Device:
    """Where the pictures lie, in place of where the program was exported."""


@dataclass(frozen=True)
class Within:
    """A module that a call was made in: `key` tells its calls apart, `path` and `kind` say which it is."""

    key: str
    path: str
    kind: str


@dataclass(frozen=True)
class Call:
    """One call of an `operator`: what it is `given` by name, those of them that go by `keywords`, and names.

    `outputs` are names, and lists of names. `stack` has the modules around it, the outermost first.
    """

    name: str
    operator: str
    function: Any
    given: Mapping[str, Any]
    keywords: frozenset[str]
    outputs: tuple[Any, ...]
    stack: tuple[Within, ...]

    @property
    def reads(self) -> set[str]:
        """The names of all values that it is given."""
        return set(names_in(self.given))

    @property
    def writes(self) -> list[str]:
        """The names of all that it makes."""
        return [name for one in self.outputs for name in (one if isinstance(one, list) else [one])]


def call_of(node: Mapping[str, Any]) -> Call:
    """A call as the JSON says it. Raises CutawayError for one that is not made here."""
    operator, function = _operator(node["target"])
    inputs = node["inputs"]
    return Call(
        name=re.sub(r"\W", "_", str(node.get("name") or operator)),
        operator=operator,
        function=function,
        given={one["name"]: _decoded(one["arg"]) for one in inputs},
        keywords=frozenset(one["name"] for one in inputs if one.get("kind") == 2),
        outputs=tuple(_bound(one) for one in node["outputs"]),
        stack=tuple(_stack(str(node["metadata"].get("nn_module_stack", "")))),
    )


def _stack(stated: str) -> Iterator[Within]:
    for one in stated.split(";"):
        key, path, kind = ([*one.split(","), "", ""])[:3]
        if PATH.fullmatch(path):
            yield Within(key, path, kind.rpartition(".")[2])


PATH = re.compile(r"[A-Za-z_]\w*(\.\w+)*")


def _operator(target: str) -> tuple[str, Any]:
    """An operator that a program may call, by its name in it."""
    if target in _OF_NUMBERS:
        return target, _OF_NUMBERS[target]
    found = _OPERATOR.fullmatch(target)
    name = found[1] if found else ""
    if found is None or name.removesuffix("_") not in _ALLOWED.split():
        raise CutawayError(
            f"its program calls {target}, which is not run from a file.",
            "Name the network's own code: architecture: ./FILE.py:CLASS.",
        )
    overloads = getattr(torch.ops.aten, name)
    if found[2] not in overloads.overloads():
        raise CutawayError(f"its program calls {target}, which this PyTorch does not have.")
    return name, getattr(overloads, found[2])


def _decoded(argument: Mapping[str, Any]) -> Any:
    """What a call is given. Raises CutawayError for what only code could read."""
    ((kind, value),) = argument.items()
    if kind in _PLAIN:
        return _PLAIN[kind](value)
    if kind in {"as_optional_tensors", "as_sym_ints"}:
        return [_decoded(one) for one in value]
    if kind in {"as_sym_int", "as_sym_bool", "as_sym_float"}:
        return _decoded(value)
    if kind == "as_scalar_type" and value in TYPES:
        return getattr(torch, TYPES[value])
    if kind == "as_memory_format" and value in _MEMORY:
        return _MEMORY[value]
    raise CutawayError(f"its program gives a call what is not read from a file ({kind}).")


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "as_none": lambda _: None,
    "as_tensor": lambda value: Value(value["name"]),
    "as_name": lambda value: Value(value),
    "as_tensors": lambda values: [Value(one["name"]) for one in values],
    "as_int": int,
    "as_ints": lambda values: [int(one) for one in values],
    "as_bool": bool,
    "as_bools": lambda values: [bool(one) for one in values],
    "as_float": float,
    "as_floats": lambda values: [float(one) for one in values],
    "as_string": str,
    "as_device": lambda _: Device(),
    "as_layout": lambda _: torch.strided,
}


def names_in(value: Any) -> Iterator[str]:
    """The values that an argument, or several, name."""
    if isinstance(value, Value):
        yield value.name
    elif isinstance(value, Mapping):
        yield from names_in(list(value.values()))
    elif isinstance(value, list):
        for one in value:
            yield from names_in(one)


def _bound(output: Mapping[str, Any]) -> Any:
    """The name of an output, or a list of names."""
    decoded = _decoded(output)
    return list(names_in(decoded)) if isinstance(decoded, list) else next(names_in(decoded), "")
