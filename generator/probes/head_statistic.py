"""What a statistic of heads is: its words, where it applies, and how it is computed of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from generator.models.patches import PatchGrid
from generator.models.stacks import CROSS, ONLY, PATCHES, Stack

TEXTS, PICTURES = "curated texts", "curated pictures"


def of_tokens(stack: Stack) -> bool:
    """Whether queries and keys are tokens of texts."""
    return stack is not PATCHES


def along(stack: Stack) -> bool:
    """Whether queries and keys are tokens of the same text, so that they lie at a distance."""
    return stack not in (CROSS, PATCHES)


def alone(stack: Stack) -> bool:
    """Whether it is the one stack of a transformer that reads one text."""
    return stack is ONLY


def across(stack: Stack) -> bool:
    """Whether queries look from one text into another."""
    return stack is CROSS


def over_patches(stack: Stack) -> bool:
    """Whether queries and keys are patches of a picture."""
    return stack is PATCHES


@dataclass(frozen=True, eq=False)
class Scene:
    """What the weights of a stack lie between on one input.

    `delimiters` marks the keys that are punctuation or special tokens. Between two texts, `read` and
    `written` are the tokens at each query, `source` those that are looked at, `special` the ids of no word.
    `grid` has the patches of a picture.
    """

    causal: bool = False
    windows: Sequence[int] = ()
    delimiters: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    read: tuple[int, ...] = ()
    written: tuple[int, ...] = ()
    source: tuple[int, ...] = ()
    special: frozenset[int] = frozenset()
    grid: PatchGrid | None = None


Compute = Callable[[np.ndarray, Scene], np.ndarray | None]
"""Of weights (..., queries, keys) a value for each head (...); None where a scene has no such token."""


@dataclass(frozen=True)
class HeadStatistic:
    """What a statistic is called, how it is computed, what it runs on, and who described it.

    `words` say how, with mathematics between backticks, which pages set; `formula` is the same as plain text.
    `applies` says of which stacks. `compute` makes it of the weights on each text or picture; None for those
    that are made of repeated random tokens, of all texts at once, of weight matrices, or of silent heads.
    `version` is raised when `compute` changes.
    """

    column: str
    name: str
    words: str
    probe: str
    source: str
    applies: Callable[[Stack], bool]
    compute: Compute | None = None
    version: int = 1

    @property
    def formula(self) -> str:
        """How it is computed, as plain text."""
        return self.words.replace("`", "")

    @property
    def each_input(self) -> bool:
        """Whether it stands in the tables of heads by text or picture."""
        return self.compute is not None
