"""Tiny models of each kind, saved, and opened with their weights altered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

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


def lora(base: Path, name: str = "lora", **config: Any) -> Path:
    """A LoRA of the tiny Llama, of rank 3 if nothing else is said, far enough from nothing to be seen."""
    peft = pytest.importorskip("peft")
    module: Any = opened(base, "llama").module
    tuned = peft.get_peft_model(module, peft.LoraConfig(**({"r": 3, "lora_alpha": 6} | config)))
    torch.manual_seed(0)
    for key, values in tuned.named_parameters():
        if "lora_" in key:
            values.data.normal_(0, 0.2)
    tuned.save_pretrained(base / name)
    return base / name


def opened(base: Path, family: str, **altered: Any) -> AnyModel:
    """One of them, loaded, with these keys of `altered`."""
    spec = ModelSpec(id=family, source=f"./{family}", altered=Altered(**altered))
    return load_model(spec, base, base / "cache", seed=3)
