"""What an attention head does, in numbers. Every function takes weights A[..., query, key].

Rows of A sum to 1. Definitions: entropy, previous and next token after Clark et al. 2019; mean
distance after Vig & Belinkov 2019; sink mass after Xiao et al. 2023; duplicate token after Wang et
al. 2022; induction after Olsson et al. 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from operator import itemgetter

import numpy as np
from scipy.stats import t as student

from generator.deviation import sample_deviation
from generator.errors import CutawayError
from generator.models.model import LanguageModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.tokens import embedding_rows
from generator.probes.attention import (
    attention_weights,
    visible,
    visible_keys,
)
from generator.store import Store

VERSION = 2
SEQUENCES = 12
SHORTEST_COPY, LONGEST_COPY, LONGEST_GAP = 8, 16, 12


def entropy(weights: np.ndarray) -> np.ndarray:
    """Mean over queries of the entropy of a row, in nats."""
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    return 0.0 - (weights * logs).sum(-1).mean(-1)  # a bare minus makes a negative zero


def relative_entropy(weights: np.ndarray, causal: bool, window: int = 0) -> np.ndarray:
    """Mean over queries of row entropy / ln(visible keys); queries that see one key are left out."""
    seen = visible_keys(weights.shape[-1], causal, window)
    several = seen > 1
    if not several.any():
        return np.full(weights.shape[:-2], np.nan)
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    rows = 0.0 - (weights * logs).sum(-1)[..., several]
    return (rows / np.log(seen[several])).mean(-1)


def mean_distance(weights: np.ndarray) -> np.ndarray:
    """Mean over queries of the expected distance to the key, in tokens."""
    place = np.arange(weights.shape[-1])
    distance = np.abs(place[:, None] - place[None, :])
    return (weights * distance).sum(-1).mean(-1)


def previous_token(weights: np.ndarray) -> np.ndarray:
    """Mean weight from a query to the token just before it."""
    return _mean_diagonal(weights, -1)


def next_token(weights: np.ndarray) -> np.ndarray:
    """Mean weight from a query to the token just after it; zero under a causal mask."""
    return _mean_diagonal(weights, 1)


def sink_mass(weights: np.ndarray) -> np.ndarray:
    """Mean weight on the first token, over all later queries."""
    if weights.shape[-2] < 2:
        return np.full(weights.shape[:-2], np.nan)
    return weights[..., 1:, 0].mean(-1)


def duplicate_token(weights: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """Mean over repeated tokens of the mass on earlier copies of the same token."""
    names = np.asarray(ids)
    earlier = (names[:, None] == names[None, :]) & np.tri(len(names), k=-1, dtype=bool)
    repeated = earlier.any(-1)
    if not repeated.any():
        return np.full(weights.shape[:-2], np.nan)
    return (weights * earlier).sum(-1)[..., repeated].mean(-1)


def induction(weights: np.ndarray, second: slice, period: int) -> np.ndarray:
    """Mean weight, over queries q in the `second` copy, on the key q - period + 1.

    That key is the token that followed the same token the first time.
    """
    queries = np.arange(weights.shape[-2])[second]
    return weights[..., queries, queries - period + 1].mean(-1)


def _mean_diagonal(weights: np.ndarray, offset: int) -> np.ndarray:
    diagonal = np.diagonal(weights, offset=offset, axis1=-2, axis2=-1)
    if not diagonal.shape[-1]:
        return np.full(weights.shape[:-2], np.nan)
    return diagonal.mean(-1)


@dataclass(frozen=True)
class Statistic:
    """One statistic of all heads. `values` has shape (probes, layers, heads).

    A statistic that is taken of all texts at once has one value, and `error` (layers, heads), its standard
    error over `drawn` texts. `control` is what an even spread over visible keys gives, (probes,), or
    (probes, layers) where layers differ in how far they see.
    """

    name: str
    values: np.ndarray
    control: np.ndarray
    error: np.ndarray | None = None
    drawn: int = 0

    @property
    def mean(self) -> np.ndarray:
        """Mean over the probe texts or sequences, shape (layers, heads)."""
        return _over_probes(np.nanmean, self.values)

    @property
    def spread(self) -> np.ndarray:
        """Sample standard deviation over the probe texts or sequences, shape (layers, heads).

        NaN where the statistic is defined on one alone.
        """
        defined = self.values[np.isfinite(self.values).reshape(len(self.values), -1).all(-1)]
        return sample_deviation(defined)

    @property
    def probes(self) -> int:
        """On how many texts or sequences the statistic is defined."""
        return int(np.isfinite(self.values).all(axis=(1, 2)).sum())

    def lower(self, level: float) -> np.ndarray:
        """One-sided lower bound of the mean (layers, heads) if inputs are drawn at random (Student's t).

        The mean itself where there is one input only.
        """
        count = self.drawn or self.probes
        if count < 2:
            return self.mean
        defined = self.values[np.isfinite(self.values).all(axis=(1, 2))]
        error = sample_deviation(defined) / np.sqrt(count) if self.error is None else self.error
        return self.mean - student.ppf(1 - level, count - 1) * error

    @property
    def uniform(self) -> float:
        """The same statistic for a head that spreads its weight evenly: the control.

        The mean over layers where they differ in how far they see.
        """
        return float(np.mean(_over_probes(np.nanmean, self.control)))

    def uniform_in(self, layer: int) -> float:
        """The control of one layer's heads."""
        if self.control.ndim < 2:
            return self.uniform
        return float(_over_probes(np.nanmean, self.control)[layer])


def _over_probes(function: Callable[..., np.ndarray], values: np.ndarray) -> np.ndarray:
    defined = values[np.isfinite(values).reshape(len(values), -1).all(-1)]
    return function(defined, axis=0) if len(defined) else np.full(values.shape[1:], np.nan)


@dataclass(frozen=True)
class RepeatedSequences:
    """Duplicate-token and induction scores on seeded random tokens, (sequences, layers, heads)."""

    duplicate_token: np.ndarray
    induction: np.ndarray
    control_duplicate: np.ndarray
    control_induction: np.ndarray

    def part(self, some: slice) -> RepeatedSequences:
        """The scores on some of the sequences."""
        every = (
            self.duplicate_token,
            self.induction,
            self.control_duplicate,
            self.control_induction,
        )
        return RepeatedSequences(*(each[some] for each in every))


@dataclass(frozen=True)
class RepeatedSequence:
    """Ids of BOS + r + filler + r; `second` is the later copy of r, `period` behind the first."""

    ids: tuple[int, ...]
    period: int
    second: slice

    @property
    def first(self) -> slice:
        """Where r stands for the first time."""
        return slice(self.second.start - self.period, self.second.stop - self.period)


def random_sequences(
    model: LanguageModel | Seq2SeqModel, seed: int, count: int = SEQUENCES, start: int = 0
) -> tuple[RepeatedSequence, ...]:
    """Seeded sequences of random tokens number `start` and on, of varied length and gap.

    Raises CutawayError if the model's context or vocabulary is too small for the longest.
    """
    _refuse_small(model)
    return tuple(_random_sequence(model, seed, number) for number in range(start, start + count))


def repeated_sequences(model: LanguageModel, seed: int, store: Store) -> RepeatedSequences:
    """Run BOS + r + filler + r with random tokens r, of varied length and gap.

    A constant gap would score heads that count positions as if they matched tokens. Raises CutawayError
    if the model's context or vocabulary is too small for the longest sequence.
    """
    made = random_sequences(model, seed)

    def make() -> RepeatedSequences:
        weights = [attention_weights(model, sequence.ids) for sequence in made]
        return score_repeats(made, weights, model.causal, model.windows)

    parts = {"model": model.key, "seed": seed, "sequences": SEQUENCES}
    return store.result("repeated_sequences", VERSION, parts, RepeatedSequences, make)


def score_repeats(
    sequences: Sequence[RepeatedSequence],
    weights: Sequence[np.ndarray],
    causal: bool,
    windows: Sequence[int] = (),
) -> RepeatedSequences:
    """Scores of weights (layers, heads, tokens, tokens), one for each sequence, and of even ones."""
    scores: list[list[np.ndarray]] = [[], [], [], []]
    for sequence, found in zip(sequences, weights, strict=True):
        even = even_weights(len(sequence.ids), causal, windows)
        scores[0].append(duplicate_token(found, sequence.ids))
        scores[1].append(induction(found, sequence.second, sequence.period))
        scores[2].append(duplicate_token(even, sequence.ids))
        scores[3].append(induction(even, sequence.second, sequence.period))
    return RepeatedSequences(*(np.stack(score) for score in scores))


def _refuse_small(model: LanguageModel | Seq2SeqModel) -> None:
    before, after = _frame(model)
    longest = 2 * LONGEST_COPY + LONGEST_GAP + len(before) + len(after)
    words = len(ordinary_tokens(model))
    if model.max_tokens < longest or words < LONGEST_COPY + LONGEST_GAP:
        raise CutawayError(
            f"{model.id}: the repeated sequences of the induction test need {longest} tokens of context "
            f"and {LONGEST_COPY + LONGEST_GAP} words; the model has {model.max_tokens} and {words}."
        )


def _random_sequence(
    model: LanguageModel | Seq2SeqModel, seed: int, number: int
) -> RepeatedSequence:
    random = np.random.default_rng([seed, number])
    length = int(random.integers(SHORTEST_COPY, LONGEST_COPY + 1))
    gap = int(random.integers(0, LONGEST_GAP + 1))
    return repeated_sequence(model, random, length, gap)


def repeated_sequence(
    model: LanguageModel | Seq2SeqModel,
    random: np.random.Generator,
    length: int,
    gap: int,
    *,
    framed: bool = True,
) -> RepeatedSequence:
    """Random tokens r, `length` long, `gap` others, and r again; no token is drawn twice.

    `framed` puts the tokenizer's own tokens around them, BOS where it has none.
    """
    ordinary = ordinary_tokens(model)
    drawn = random.choice(ordinary, size=length + gap, replace=False).tolist()
    repeated, filler = drawn[:length], drawn[length:]
    before, after = _frame(model) if framed else ([], [])
    ids = (*before, *repeated, *filler, *repeated, *after)
    start = len(before) + length + gap
    return RepeatedSequence(tuple(ids), length + gap, slice(start, start + length))


def ordinary_tokens(model: LanguageModel | Seq2SeqModel) -> np.ndarray:
    """Ids that stand for text: neither [CLS] and its like nor markers such as <repo_name>."""
    tokenizer = model.tokenizer
    added = tokenizer.added_tokens_decoder.items()
    special = {*tokenizer.all_special_ids, *(i for i, token in added if token.special)}
    # What a tokenizer knows beyond the table cannot be read.
    known = min(len(tokenizer), embedding_rows(model.module))
    return np.array([i for i in range(known) if i not in special])


def _frame(model: LanguageModel | Seq2SeqModel) -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer puts around a text, or BOS where it puts none."""
    made = model.tokenizer("a", return_special_tokens_mask=True)
    pairs = list(zip(made["input_ids"], made["special_tokens_mask"], strict=True))
    before = [int(i) for i, _ in takewhile(itemgetter(1), pairs)]
    after = [int(i) for i, _ in takewhile(itemgetter(1), reversed(pairs))][::-1]
    if before or after:  # T5 puts one behind alone
        return before, after
    start = model.tokenizer.bos_token_id
    return ([] if start is None else [int(start)]), []


def uniform_attention(length: int, causal: bool, window: int = 0) -> np.ndarray:
    """The weights of a head that looks at all visible keys alike, shape (queries, keys)."""
    seen = visible(length, causal, window).astype(np.float64)
    return (seen / seen.sum(-1, keepdims=True)).astype(np.float32)


def even_weights(length: int, causal: bool, windows: Sequence[int] = ()) -> np.ndarray:
    """The same for all layers (queries, keys), or (layers, queries, keys) where some have a window."""
    if not any(windows):
        return uniform_attention(length, causal)
    return np.stack([uniform_attention(length, causal, window) for window in windows])


def rank(values: np.ndarray) -> np.ndarray:
    """Rank among all heads, 1 for the largest; equal values share the better rank."""
    flat = values.ravel()
    above = (flat[None, :] > flat[:, None]).sum(-1)
    ranks: np.ndarray = (above + 1).reshape(values.shape)
    return ranks
