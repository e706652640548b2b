"""Tiny models of each kind, saved, and opened with their weights altered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from generator.altered_schema import Altered
from generator.exhibit import ModelSpec
from generator.models.load import AnyModel, load_model
from tests import tiny_vision
from tests.tiny_transformers import save_tiny

FAMILIES = ("llama", "gpt2", "bert", "t5", "albert")


def save_all(base: Path) -> Path:
    """Save one model of each kind below a folder, which is returned."""
    for family in FAMILIES:
        save_tiny(family, base / family)
    tiny_vision.save("vit", base / "vit")
    return base


def opened(base: Path, family: str, **altered: Any) -> AnyModel:
    """One of them, loaded, with these keys of `altered`."""
    spec = ModelSpec(id=family, source=f"./{family}", altered=Altered(**altered))
    return load_model(spec, base, base / "cache", seed=3)
