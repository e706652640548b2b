"""With what everything is measured: the interpreter, the machine and the libraries."""

from __future__ import annotations

import platform
from importlib.metadata import version
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
