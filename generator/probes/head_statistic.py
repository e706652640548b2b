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


def _ablation(
    measured: str,
    column: str = "ablation_delta_loss",
    probe: str = TEXTS,
    applies: Callable[[Stack], bool] = of_tokens,
) -> HeadStatistic:
    return HeadStatistic(column, "Ablation", measured, probe, "Michel et al. 2019", applies)


_SILENCED = "with the head’s output set to its mean over the probes, minus"

# What counts as an effect depends on what a network does: predict the next token, write a target, or
# neither.
TARGET = "target"  # an encoder-decoder's
LOGIT, EMBEDDING = "logit", "embedding"  # a vision transformer's, with classes and without
ABLATIONS = {
    "loss": _ablation(f"loss on the next token {_SILENCED} that loss, in nats a token"),
    TARGET: _ablation(
        f"loss on the target, which the decoder is given, {_SILENCED} that loss, in nats a token"
    ),
    "representation": _ablation(
        "1 − cosine similarity of the final states without and with the head’s output set to its mean over "
        "the probes, mean over tokens"
    ),
    LOGIT: _ablation(
        "logit of the class that the whole network finds most probable, with the head’s output set to its "
        "mean over the pictures, minus that logit; negative if the head speaks for the class",
        "ablation_delta_logit",
        PICTURES,
        over_patches,
    ),
    EMBEDDING: _ablation(
        "1 − cosine similarity of the final features without and with the head’s output set to its mean over "
        "the pictures",
        "ablation_delta_embedding",
        PICTURES,
        over_patches,
    ),
}


ESTIMATE = HeadStatistic(
    "ablation_estimate",
    "Ablation, estimated",
    "the ablation to first order, for heads that were not silenced too: gradient of the loss by the head’s "
    "output times the change to its mean, summed over positions; of an encoder, half the squared movement of "
    "its normed final states",
    TEXTS,
    "attribution patching, Nanda 2023",
    alone,
)


def ablation_column(measure: str) -> str:
    """The column of the effect of silencing a head, by what it is measured by."""
    return ABLATIONS[measure].column


# The unit of the columns `loss` and `delta` of ablation.csv.
MEASURED = {
    "loss": "loss on the next token, nats a token",
    TARGET: "loss on the target, nats a token",
    "representation": "1 - cosine similarity of the final states",
    LOGIT: "logit of the class that the whole network finds most probable",
    EMBEDDING: "1 - cosine similarity of the final features",
}
