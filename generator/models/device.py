"""The device that a network runs on."""

from __future__ import annotations

import torch

from generator.errors import UsageError


def pick_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `mps` as a device. Raises UsageError if it is not there."""
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    if name not in there:
        raise UsageError(f"There is no device '{name}': auto, cpu, cuda or mps.")
    if not there[name]:
        raise UsageError(f"The device '{name}' is not available to PyTorch here.")
    return torch.device(name)
