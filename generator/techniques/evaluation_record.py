"""One evaluated number, with all that it needs to be understood."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from generator.uncertainty import share_interval

NAN = float("nan")


@dataclass(frozen=True)
class Control:
    """What the same measure gives where nothing was learned."""

    name: str
    value: float
    spread: float = NAN


@dataclass(frozen=True)
class Data:
    """What was evaluated on: the Hub's name of the task, our name of the set, and a digest of its inputs."""

    task: str
    id: str
    name: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One number with all that it needs to be understood. `metric` is the Hub's name of it.

    `limit` marks one that was made to be failed: it stands among the probes, not in the metadata; nor does
    one that is not the model's `own` answer, but that of something fitted to its features. `error` is
    the standard error of `value`, `spread` a standard deviation over what `counted` names;
    nan where they have no meaning. `unit` is "share", "nats" or "".
    """

    key: str
    title: str
    data: Data
    metric: str
    metric_name: str
    value: float
    error: float = NAN
    spread: float = NAN
    count: int
    counted: str
    unit: str = ""
    definition: str
    controls: tuple[Control, ...]
    limit: bool = False
    own: bool = True

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of a share, what was counted taken as independent; nan for other values."""
        return share_interval(self.value, self.count) if self.unit == "share" else (NAN, NAN)


def digest(parts: Sequence[object]) -> str:
    """What tells one set of inputs from another: twelve hexadecimal digits."""
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:12]
