"""The parameters of a function as an author states them: known by name, checked, told of by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError, validate_call

from generator.errors import UsageError, did_you_mean

T = TypeVar("T")


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a function by name, but for its first: the run, which no author states."""
    stated = dict(inspect.signature(function, eval_str=True).parameters)
    del stated[next(iter(stated))]
    return stated


def check_parameters(
    what: str, known: Mapping[str, inspect.Parameter], names: Collection[str]
) -> None:
    """Raises UsageError for a parameter that is not known, and for one that is needed and not stated."""
    for name in names:
        if name not in known:
            near = did_you_mean(name, known)
            raise UsageError(f"'{what}' takes no parameter '{name}'. {near}")
    for name, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and name not in names:
            raise UsageError(f"'{what}' needs the parameter '{name}'.")


def call_checked(
    what: str, function: Callable[..., T], first: Any, parameters: Mapping[str, Any]
) -> T:
    """What a function returns, its parameters turned into the types that it states.

    Raises UsageError for one that cannot be.
    """
    try:
        return _checked(function)(first, **parameters)
    except ValidationError as error:
        detail = error.errors()[0]
        name = ".".join(str(part) for part in detail["loc"])
        raise UsageError(f"'{what}': {name}: {detail['msg']}.") from error


@cache
def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    return validate_call(config=ConfigDict(arbitrary_types_allowed=True))(function)
