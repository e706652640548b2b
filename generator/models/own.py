"""A network of the user's own: a class of a file that the user names, which is run for that reason."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from generator.errors import UsageError, did_you_mean, first_line
from generator.exhibit import ModelSpec, Preprocessing
from generator.models.compat import repair_torchvision
from generator.models.vision import Network, class_names

# The class comes after the last colon, so that a drive's colon is part of the path.
_OWN = re.compile(r"(.+\.py):([A-Za-z_]\w*)", re.DOTALL)


def is_own(reference: str) -> bool:
    """Whether an architecture is a class of a file that the user names."""
    return _OWN.fullmatch(reference.strip()) is not None


def build_own(reference: str, spec: ModelSpec, base: Path, seed: int) -> Network:
    """The class or function of the file in `./FILE.py:NAME`, called with the arguments of the entry."""
    found = _OWN.fullmatch(reference.strip())
    assert found is not None  # asked for by `is_own`
    file, name = found.groups()
    path = (base / Path(file).expanduser()).resolve()
    if not path.is_file():
        raise UsageError(f"architecture: there is no file {path}.")
    made = _from_file(path, name, spec)
    torch.manual_seed(seed)
    try:
        module = made(**spec.arguments)
    except Exception as error:  # whatever the user's own code raises
        given = ", ".join(f"{key}={value!r}" for key, value in spec.arguments.items())
        raise UsageError(
            f"{spec.id}: {name}({given}) of {path.name} cannot be made: "
            f"{type(error).__name__}: {first_line(error)}",
            "What it is called with stands under arguments: in the model's entry.",
        ) from error
    if not isinstance(module, nn.Module):
        raise UsageError(f"{spec.id}: {name} of {path.name} makes no torch.nn.Module.")
    digest = hashlib.sha256(path.read_bytes())
    digest.update(json.dumps(spec.arguments, sort_keys=True, default=str).encode())
    how = spec.preprocessing or Preprocessing()
    architecture = f"{path.name}:{name} {digest.hexdigest()[:12]}"
    return Network(module, architecture, how, class_names(spec), counted=True, unstated=True)


def _from_file(path: Path, name: str, spec: ModelSpec) -> Any:
    """A name of a Python file, with the files beside it, and torchvision, importable while it is read."""
    repair_torchvision()
    unique = f"_cutaway_own_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    loader = importlib.util.spec_from_file_location(unique, path)
    assert loader is not None and loader.loader is not None  # it ends in .py
    own = importlib.util.module_from_spec(loader)
    sys.modules[unique] = own
    sys.path.append(str(path.parent))  # last, so that no file of the user hides a package
    try:
        loader.loader.exec_module(own)
    except Exception as error:  # whatever the user's own code raises
        raise UsageError(
            f"{spec.id}: {path.name} cannot be run: {type(error).__name__}: {first_line(error)}"
        ) from error
    finally:
        sys.path.remove(str(path.parent))
    if not hasattr(own, name):
        made = [n for n, v in vars(own).items() if inspect.isclass(v) and v.__module__ == unique]
        raise UsageError(f"{path.name} has no '{name}'. {did_you_mean(name, made)}")
    return getattr(own, name)
