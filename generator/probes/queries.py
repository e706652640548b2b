"""Queries, keys and values as they enter a head's products, for any transformer that takes text.

A head's weights are softmax(q . k * scale + mask). What q and k are differs from model to model: a bias
here, a rotary position there (RoPE, Su et al. 2021), keys shared by groups of heads (GQA, Ainslie et
al. 2023). All are read where they meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from generator.errors import CutawayError
from generator.inputs.texts import CuratedText
from generator.models.heads_access import attention_meetings, find_heads
from generator.models.meetings import Meeting
from generator.models.text_model import Encoding, LanguageModel
from generator.probes.attention import Attention, visible
from generator.store import Store, empty

VERSION = 2
AGREE = 1e-4  # of a weight: products of the same numbers in another order


@dataclass(frozen=True)
class Queries:
    """Vectors of all heads on one text, as float32.

    `query` is (layers, heads, tokens, width), `key` and `value` are (layers, KV groups, tokens,
    width), `scores` (layers, heads, queries, keys) what enters the softmax. `scale` (layers,) is the
    factor from q . k to the score of every visible key, NaN where something else is added (a position
    bias, a cap). All are empty where `reason` says in words why nothing was found. `source`, `stack`
    and `windows` are those of `Attention`.
    """

    text: str
    tokens: tuple[str, ...]
    query: np.ndarray = empty(0, 0, 0, 0)
    key: np.ndarray = empty(0, 0, 0, 0)
    value: np.ndarray = empty(0, 0, 0, 0)
    scores: np.ndarray = empty(0, 0, 0, 0)
    scale: np.ndarray = empty(0)
    causal: bool = False
    reason: str = ""
    source: tuple[str, ...] | None = None
    stack: str = ""
    windows: tuple[int, ...] = ()

    def visible_in(self, layer: int) -> np.ndarray:
        """Which keys each query can see in one layer, (queries, keys)."""
        window = self.windows[layer] if self.windows else 0
        keys = self.tokens if self.source is None else self.source
        return visible(len(self.tokens), self.causal, window, len(keys))


def measure_queries(model: LanguageModel, text: CuratedText, store: Store) -> Queries:
    """Queries, keys and values of one text, run alone and without padding.

    Raises UsageError if the text is too long for the model.
    """
    encoding = model.encode(text)

    def make() -> Queries:
        return read_queries(model, text.id, encoding)

    parts = {"model": model.key, "text": text.id, "ids": list(encoding.ids)}
    return store.result("queries", VERSION, parts, Queries, make)


def read_queries(model: LanguageModel, text: str, encoding: Encoding) -> Queries:
    """Queries, keys and values of one sequence; empty, with a reason, where they do not show."""
    try:
        meetings = attention_meetings(model, encoding.ids)
    except CutawayError as error:
        return Queries(text, encoding.tokens, causal=model.causal, reason=str(error))
    group = model.heads // model.kv_groups
    return of_meetings(meetings, text, encoding.tokens, model.causal, group, windows=model.windows)


def of_meetings(
    meetings: Sequence[Meeting],
    text: str,
    tokens: tuple[str, ...],
    causal: bool,
    group: int = 1,
    **more: Any,
) -> Queries:
    """What was read where queries meet keys, keys and values once for each `group` of heads."""
    query, key, value, scores = (
        torch.stack([getattr(meeting, name) for meeting in meetings]).cpu().numpy()
        for name in ("query", "key", "value", "scores")
    )
    once = key[:, ::group], value[:, ::group]
    found = Queries(text, tokens, query, *once, scores, np.zeros(0), causal, **more)
    seen = [found.visible_in(layer) for layer in range(len(query))]
    return replace(found, scale=_scales(query, key, scores, seen))


def _scales(
    query: np.ndarray, key: np.ndarray, scores: np.ndarray, visible: Sequence[np.ndarray]
) -> np.ndarray:
    """The factor from q . k to the visible scores of each layer; NaN where there is no such factor."""
    found = []
    for q, k, score, seen in zip(query, key, scores, visible, strict=True):
        products = np.einsum("hqd,hkd->hqk", q, k, dtype=np.float64)[:, seen]
        reached = score[:, seen].astype(np.float64)
        size = float((products**2).sum())  # zero where queries or keys are
        scale = float((products * reached).sum()) / size if size else 0.0
        rest = np.abs(reached - scale * products).max()
        found.append(scale if rest <= AGREE * max(1.0, np.abs(reached).max()) else np.nan)
    return np.array(found)


@dataclass(frozen=True)
class Worked:
    """One head on one text, step by step, as float32.

    `stream` (tokens, width) is what enters the layer; `query` and `key` (tokens, d), `value` and
    `mixed` (tokens, d_value), the weighted sums of values; `written` (tokens, width) is `mixed` times the
    head's part of the output matrix, without the bias that all heads share; `together` is what all heads
    of the layer write, with that bias. `scores` and `weights` are (queries, keys).
    """

    text: str
    tokens: tuple[str, ...]
    layer: int
    head: int
    stream: np.ndarray
    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    scores: np.ndarray
    weights: np.ndarray
    mixed: np.ndarray
    written: np.ndarray
    together: np.ndarray
    scale: float
    causal: bool
    window: int = 0


def work_through(
    model: LanguageModel, text: CuratedText, layer: int, head: int, store: Store
) -> Worked:
    """Follow one head on one text from the stream to what it writes.

    Raises CutawayError, with the reason, for a model whose queries or output matrix do not show.
    """
    encoding = model.encode(text)
    queries = measure_queries(model, text, store)
    if queries.reason:
        raise CutawayError(queries.reason)

    def make() -> Worked:
        stream = model.run(encoding.ids).hidden_states[layer][0].float().cpu().numpy()
        return _work_through(model, queries, stream, layer, head)

    parts = {"model": model.key, "ids": list(encoding.ids), "text": text.id}
    return store.result("worked", VERSION, {**parts, "head": [layer, head]}, Worked, make)


def _work_through(
    model: LanguageModel, queries: Queries, stream: np.ndarray, layer: int, head: int
) -> Worked:
    place = find_heads(model)[layer]
    output = place.output.float().cpu().numpy()
    group = head * model.kv_groups // model.heads
    values = np.repeat(queries.value[layer], model.heads // model.kv_groups, axis=0)
    weights = softmax(queries.scores[layer], axis=-1)
    mixed = weights @ values
    return Worked(
        text=queries.text,
        tokens=queries.tokens,
        layer=layer,
        head=head,
        stream=stream,
        query=queries.query[layer, head],
        key=queries.key[layer, group],
        value=queries.value[layer, group],
        scores=queries.scores[layer, head],
        weights=weights[head],
        mixed=mixed[head],
        written=mixed[head] @ output[head],
        together=(mixed @ output).sum(0) + place.output_bias.float().cpu().numpy(),
        scale=float(queries.scale[layer]),
        causal=queries.causal,
        window=queries.windows[layer] if queries.windows else 0,
    )


def telling_place(attention: Attention) -> tuple[int, int, int] | None:
    """Layer, head and query of the largest weight from one word to another that stands apart.

    Left out are the first token, special tokens, neighbours and copies of the same word. None if
    nothing is left.
    """
    names = [token.strip().lower() for token in attention.tokens]
    length = len(names)
    query, key = np.indices((length, length))
    word = np.array([any(c.isalpha() for c in name) and name[0] != "[" for name in names])
    other = np.array([[one != two for two in names] for one in names])
    wanted = (np.abs(query - key) > 1) & (key > 0) & other & word[None, :] & word[:, None]
    weights = np.where(wanted, np.round(attention.weights, 6), -1)
    if weights.max() <= 0:
        return None
    layer, head, place, _ = np.unravel_index(int(weights.argmax()), weights.shape)
    return int(layer), int(head), int(place)
