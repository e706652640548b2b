"""Repairs for known faults between releases of the libraries that load models."""

from __future__ import annotations

import importlib
import sys
from typing import Any

_FAULT = "operator torchvision::nms does not exist"
_OPERATORS = ("nms", "qnms")

# The declaration is withdrawn when this object dies.
_declared: Any = None


def repaired() -> bool:
    """Whether torchvision had to be repaired: a plain import of it fails here."""
    return _declared is not None


def repair_torchvision() -> Any:
    """torchvision, made importable beside a build of torch that its compiled part does not match.

    torchvision's models need none of the operators in that part, but its import stops because two
    of them are missing. They are declared, without a body, only if the import fails so.
    transformers and timm import torchvision themselves: call this before importing either. Returns the
    module.
    """
    global _declared
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _FAULT not in str(error):
            raise
    import torch

    if _declared is None:
        _declared = torch.library.Library("torchvision", "DEF")
        for name in _OPERATORS:
            _declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    return importlib.import_module("torchvision")
