"""What is drawn in one go: a function, its arguments, and where its pictures go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

PHOTOGRAPHS = "panels"  # the kind that is never turned over on a dark ground


@dataclass(frozen=True, eq=False)
class Drawing:
    """Pictures that are drawn in one go.

    `kind` names the function that draws them from `arguments`, arrays and plain values; `paths` says where in
    the site each of them goes, in the order in which they are drawn. `draw` is the function itself where it
    is the user's own.
    """

    kind: str
    arguments: Mapping[str, Any] = field(repr=False)
    paths: tuple[str, ...]
    draw: Callable[..., Any] | None = None
