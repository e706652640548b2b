"""With what everything is measured: the libraries, and the versions of the measurements themselves."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from types import ModuleType
from typing import Any

LIBRARIES = (
    "torch",
    "torchvision",
    "transformers",
    "timm",
    "numpy",
    "matplotlib",
    "mkdocs-material",
)


def measured_with() -> dict[str, Any]:
    """The interpreter, the machine and the libraries that everything was measured with."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def versions_beneath(module: str) -> dict[str, int]:
    """The VERSION of a module and of all modules of this package that it imports, through others too.

    Modules without one are left out. What a function returns can change with any function that it calls, so
    that a stored result is as old as the oldest of these.
    """
    stated = ((name, getattr(sys.modules[name], "VERSION", None)) for name in _beneath(module))
    return {name: number for name, number in stated if isinstance(number, int)}


@cache
def _beneath(module: str) -> tuple[str, ...]:
    seen, waiting = {module}, [module]
    while waiting:
        new = {name for name in _imported(waiting.pop()) if name not in seen}
        seen |= new
        waiting += new
    return tuple(sorted(name for name in seen if name in sys.modules))


def _imported(module: str) -> Iterator[str]:
    """The modules of this package that the names in a module come from."""
    for value in vars(sys.modules[module]).values() if module in sys.modules else ():
        name = value.__name__ if isinstance(value, ModuleType) else _origin(value)
        if name.startswith(f"{__package__}."):
            yield name


def _origin(value: Any) -> str:
    # A technique is an object, and belongs to the module that measures it.
    name = getattr(getattr(value, "measure", value), "__module__", None)
    return name if isinstance(name, str) else ""
