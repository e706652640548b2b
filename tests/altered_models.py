"""Tiny networks of which one thing was changed on purpose, so that a comparison must find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors.torch import load_file, save_file
from tiny_transformers import save_tiny
from tiny_vision import save

from generator.exhibit import ModelSpec
from generator.models.load import load_model

Weights = dict[str, Any]


def altered(
    family: str, change: Callable[[Weights], None], *, seed: int = 0, name: str = ""
) -> Any:
    """A tiny network that reads texts, one of whose tensors `change` has set."""
    return _altered(family, lambda folder: save_tiny(family, folder, seed), change, name)


def altered_vision(family: str, change: Callable[[Weights], None], *, name: str = "") -> Any:
    """The same of one that sees pictures."""
    return _altered(family, lambda folder: save(family, folder), change, name)


def _altered(
    family: str, write: Callable[[Path], None], change: Callable[[Weights], None], name: str
) -> Any:
    with TemporaryDirectory() as folder:
        write(Path(folder))
        file = Path(folder) / "model.safetensors"
        weights = load_file(file)
        change(weights)
        save_file(weights, file, metadata={"format": "pt"})
        spec = ModelSpec(id=name or f"{family}-altered", source=folder)
        return load_model(spec, Path(folder), Path(folder))


def renamed(model: Any, name: str) -> Any:
    """The same network under another name."""
    return replace(model, id=name, title=name)


def silence_columns(name: str, head: int, width: int) -> Callable[[Weights], None]:
    """Nothing of a head passes an output matrix that is stored as (out, in)."""

    def change(weights: Weights) -> None:
        weights[name][:, head * width : (head + 1) * width] = 0

    return change


def silence_rows(name: str, head: int, width: int) -> Callable[[Weights], None]:
    """The same of a matrix that is stored as (in, out), as GPT-2's are."""

    def change(weights: Weights) -> None:
        weights[name][head * width : (head + 1) * width] = 0

    return change
