"""Digests that say which weights a result was measured on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def state_digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and values of a state dict.

    Equal weights have equal digests on every device and in every memory layout.
    """
    import torch

    found = hashlib.sha256()
    for name in sorted(state):
        # `contiguous` alone would leave lazily conjugated or negated views as they are.
        tensor = state[name].detach().cpu().resolve_conj().resolve_neg().contiguous()
        dtype = str(tensor.dtype).removeprefix("torch.")
        found.update(json.dumps([name, dtype, list(tensor.shape)]).encode() + b"\n")
        # As bytes, because numpy knows neither bfloat16 nor the 8-bit floats.
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
