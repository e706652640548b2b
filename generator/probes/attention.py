"""Attention weights of every head on a text, as the model computes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from generator.inputs.texts import CuratedText
from generator.models.text_model import LanguageModel
from generator.store import Store

VERSION = 1
_TOGETHER = 8  # sequences in one pass: weights are read from memory once for all


@dataclass(frozen=True)
class Attention:
    """Weights of shape (layers, heads, queries, keys); rows sum to 1.

    `tokens` are those that look, as readable text. They look at themselves, or in cross attention at
    `source`. `stack` names the part of an encoder-decoder; empty for any other transformer. `windows` says
    how far each layer sees, 0 where nothing ends it; empty where nothing does in any.
    """

    text: str
    tokens: tuple[str, ...]
    weights: np.ndarray
    causal: bool
    source: tuple[str, ...] | None = None
    stack: str = ""
    windows: tuple[int, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The tokens that are looked at."""
        return self.tokens if self.source is None else self.source


def measure_attention(model: LanguageModel, text: CuratedText, store: Store) -> Attention:
    """Attention of one text, run alone and without padding.

    Raises UsageError if the text is too long for the model.
    """
    encoding = model.encode(text)

    def make() -> Attention:
        weights = attention_weights(model, encoding.ids)
        return Attention(
            text.id, encoding.tokens, weights, model.causal, windows=tuple(model.windows)
        )

    parts = {"model": model.key, "text": text.id, "ids": list(encoding.ids)}
    return store.result("attention", VERSION, parts, Attention, make)


def attention_weights(model: LanguageModel, ids: tuple[int, ...]) -> np.ndarray:
    """Float32 weights of shape (layers, heads, queries, keys) for one sequence of token ids.

    Rows sum to 1: where a learned sink takes a share, what it leaves is scaled.
    """
    return attention_of_several(model, [ids])[0]


def attention_of_several(
    model: LanguageModel, sequences: Sequence[tuple[int, ...]]
) -> list[np.ndarray]:
    """The same for each of some sequences: those of one length are run together."""
    places: dict[int, list[int]] = {}
    for place, ids in enumerate(sequences):
        places.setdefault(len(ids), []).append(place)
    found: dict[int, np.ndarray] = {}
    for alike in places.values():
        for some in (alike[at : at + _TOGETHER] for at in range(0, len(alike), _TOGETHER)):
            weights = _as_computed(model, [sequences[place] for place in some])
            found |= dict(zip(some, weights, strict=True))
    every = (found[place] for place in range(len(sequences)))
    return [one / one.sum(-1, keepdims=True) if model.sinks else one for one in every]


def _as_computed(model: LanguageModel, sequences: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Weights (sequences, layers, heads, queries, keys) on sequences of one length."""
    layers = [weights.float().cpu().numpy() for weights in model.attend(sequences)]
    return np.stack(layers, axis=1).astype(np.float32)


@dataclass(frozen=True)
class SinkShares:
    """What the learned sink of each head takes of a row, mean over queries: (texts, layers, heads)."""

    shares: np.ndarray


def measure_sinks(
    model: LanguageModel, texts: Sequence[tuple[int, ...]], store: Store
) -> SinkShares:
    """The share of attention that goes to learned sinks, on each of some texts."""

    def make() -> SinkShares:
        rows = [1 - _as_computed(model, [ids])[0].sum(-1) for ids in texts]
        return SinkShares(np.stack([one.mean(-1) for one in rows]))

    parts = {"model": model.key, "texts": [list(ids) for ids in texts]}
    return store.result("sink_shares", VERSION, parts, SinkShares, make)


def visible(length: int, causal: bool, window: int = 0, keys: int | None = None) -> np.ndarray:
    """Which keys each query can see, (queries, keys): none ahead, none as far away as the window.

    There are as many keys as queries if left out.
    """
    shape = length, length if keys is None else keys
    seen = np.tri(*shape, dtype=bool) if causal else np.ones(shape, dtype=bool)
    if not 0 < window < length:
        return seen
    return seen & (np.abs(np.subtract.outer(*map(np.arange, shape))) < window)


def visible_keys(length: int, causal: bool, window: int = 0) -> np.ndarray:
    """How many keys each query can see, shape (queries,)."""
    return visible(length, causal, window).sum(-1)


def by_layer(
    function: Callable[[np.ndarray, int], np.ndarray], weights: np.ndarray, windows: Sequence[int]
) -> np.ndarray:
    """A function of weights and window, of all layers at once or, where some have one, of each.

    `weights` are (layers, ...).
    """
    if not any(windows):
        return function(weights, 0)
    return np.stack([function(one, w) for one, w in zip(weights, windows, strict=True)])
