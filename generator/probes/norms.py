"""Maps of what attention moves, not only of where it looks.

A weight says how much of a value is taken, not how much there is to take: large weights often rest on
tokens with values near zero (Kobayashi et al. 2020). So weights are scaled here by the length of the
value, or of what the value becomes behind W_O; or shown without the tokens that heads rest on; or
followed through all layers (Abnar & Zuidema 2020), which leaves values, W_O and MLPs out of account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from generator.errors import CutawayError
from generator.models.heads_access import attention_meetings, find_heads
from generator.models.text_model import Encoding, LanguageModel
from generator.store import Store

VERSION = 1
_REST = 1e-3  # a query that leaves less than this to other keys has no row without its sinks


@dataclass(frozen=True)
class ValueNorms:
    """How long the values of one text are, for each head: (layers, heads, tokens).

    `value` is the length of x W_V + b_V, `output` that of f(x) = (x W_V + b_V) W_O. `sinks` are the
    positions that heads rest on: the first token, and the special tokens around the text. If
    `reason` is not empty, the values could not be read, and it says why.
    """

    text: str
    value: np.ndarray
    output: np.ndarray
    sinks: tuple[int, ...]
    reason: str = ""


def measure_norms(model: LanguageModel, text: str, encoding: Encoding, store: Store) -> ValueNorms:
    """Lengths of values on one text, run alone and without padding."""

    def make() -> ValueNorms:
        sinks = tuple(sorted({0, *model.special(encoding.ids)}))
        try:
            value, output = _lengths(model, encoding.ids)
        except CutawayError as error:
            nothing = np.zeros((0, 0, len(encoding.ids)))
            return ValueNorms(text, nothing, nothing, sinks, str(error))
        return ValueNorms(text, value, output, sinks)

    parts = {"model": model.key, "text": text, "ids": list(encoding.ids)}
    return store.result("value_norms", VERSION, parts, ValueNorms, make)


def _lengths(model: LanguageModel, ids: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    places, meetings = find_heads(model), attention_meetings(model, ids)
    value, output = [], []
    for place, meeting in zip(places, meetings, strict=True):
        value.append(meeting.value.norm(dim=-1))
        output.append((meeting.value @ place.output).norm(dim=-1))
    return torch.stack(value).cpu().numpy(), torch.stack(output).cpu().numpy()


def weighted(weights: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Weights (..., queries, keys) times the length of each key's vector (..., keys).

    With the lengths of f(x) this is the norm-weighted map of Kobayashi et al. 2020, as a weight is not
    negative: the norm of A[i, j] f(x_j). Its rows do not sum to 1.
    """
    return weights * lengths[..., None, :]


def sink_masked(weights: np.ndarray, sinks: Sequence[int]) -> np.ndarray:
    """Weights without the keys `sinks`, each row scaled to sum to 1 again.

    Rows that leave less than a thousandth to other keys become zero: nothing is left to be shown.
    """
    kept = weights.copy()
    kept[..., list(sinks)] = 0
    rest = kept.sum(-1, keepdims=True)
    return np.divide(kept, rest, out=np.zeros_like(kept), where=rest >= _REST)


def rollout(weights: np.ndarray) -> np.ndarray:
    """R_l = (A_l / 2 + I / 2) R_{l-1} with heads averaged (Abnar & Zuidema 2020).

    From weights (layers, heads, tokens, tokens) to (layers, tokens, tokens): the share of each input
    token in each position behind each block, if blocks did nothing but mix what they are given.
    """
    found, mixed = [], np.eye(weights.shape[-1])
    for layer in weights:
        mixed = rolled(layer, mixed)
        found.append(mixed)
    return np.stack(found)


@dataclass(frozen=True)
class PairRollout:
    """Rollout through an encoder-decoder, (blocks, positions, inputs) behind each block.

    `source` is that of the encoder over the source tokens. A position of the decoder is made of target tokens
    that were read (`target`) and of source tokens (`crossed`): its shares of both sum to 1 together.
    """

    source: np.ndarray
    target: np.ndarray
    crossed: np.ndarray


def pair_rollout(encoder: np.ndarray, decoder: np.ndarray, cross: np.ndarray) -> PairRollout:
    """Rollout from weights (blocks, heads, queries, keys) of the three stacks of an encoder-decoder.

    T_l = (A_l / 2 + I / 2) M_{l-1} behind self-attention and M_l = T_l / 2 + C_l S / 2 behind cross attention
    C_l, S the encoder's rollout behind its last block: attention rollout (Abnar & Zuidema 2020) carried over
    to a stream that reads from another one.
    """
    source = rollout(encoder)
    tokens, inputs = cross.shape[2:]
    final = np.concatenate([np.zeros((inputs, tokens)), source[-1]], axis=1)
    mixed, found = np.eye(tokens, tokens + inputs), []
    for own, across in zip(decoder, cross, strict=True):
        mixed = rolled(own, mixed) / 2 + across.mean(0, dtype=np.float64) @ final / 2
        found.append(mixed)
    both = np.stack(found)
    return PairRollout(source, both[..., :tokens], both[..., tokens:])


def rolled(weights: np.ndarray, before: np.ndarray) -> np.ndarray:
    """What is behind a block of `weights` (heads, tokens, tokens), from `before` it (tokens, tokens)."""
    mean = weights.mean(0, dtype=np.float64)
    return (mean / 2 + np.eye(len(mean)) / 2) @ before
