"""What was tried when a model was opened: the record that its page and the manifest state."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from generator.errors import CutawayError

# Against the largest value that is compared: 32-bit numbers, added up in another order.
CLOSE = 1e-4

ANSWER = "Answer"
ROWS = "Attention"
HEADS = "Heads"
BLOCKS = "Blocks"
MLPS = "MLPs"


@dataclass(frozen=True)
class Check:
    """One thing that was tried on a model before anything was measured.

    `name` is short; `says` is a sentence that states what holds if the check passed. `difference` is the
    largest that was seen between the two sides that were compared, nan where nothing was subtracted.
    """

    name: str
    says: str
    passed: bool
    difference: float


@dataclass(frozen=True)
class LeftOut:
    """A part of a model that is not shown, and why: the `reason` follows "left out: "."""

    name: str
    reason: str


def apart(one: Tensor, other: Tensor) -> float:
    """The largest difference, as a share of the largest value; infinite where shapes differ."""
    if one.shape != other.shape:
        return float("inf")
    size = float(other.abs().max()) if other.numel() else 0.0
    difference = float((one - other).abs().max()) if other.numel() else 0.0
    return difference / size if size > 0 else difference


def require(model: str, checks: Iterable[Check]) -> tuple[Check, ...]:
    """The checks, if all of them passed. Raises CutawayError that names the first that did not."""
    kept = tuple(checks)
    failed = next((check for check in kept if not check.passed), None)
    if failed is not None:
        raise CutawayError(
            f"{model}: refused, since a check failed when it was opened ({by_name(failed)}). "
            f"It should hold that: {failed.says}"
        )
    return kept


def by_name(failed: Check) -> str:
    """The name of a check that failed, and by how much."""
    size = f"{failed.difference:.1e}" if math.isfinite(failed.difference) else "not defined"
    return f"{failed.name}; largest difference {size}"
