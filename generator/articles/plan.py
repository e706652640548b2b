"""What a figure of an article shows: the design it is drawn in, its arguments, and words for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator


@dataclass(frozen=True, eq=False)
class Plan:
    """`design` and `arguments` draw it, but for its width; `alt` and `caption` say what it shows."""

    design: str
    arguments: Mapping[str, Any]
    alt: str
    caption: str


def _several(value: Any) -> Any:
    """One name or number stands for a list of one."""
    return (value,) if isinstance(value, str | int) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_several)]
Numbers = Annotated[tuple[int, ...], BeforeValidator(_several)]
Classes = Annotated[tuple[int | str, ...], BeforeValidator(_several)]


def listed(words: Sequence[str]) -> str:
    """Words in a row: a, b and c."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
