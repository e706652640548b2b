"""Random tokens that repeat: where induction and duplicate-token heads show (Olsson et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from operator import itemgetter
from weakref import WeakKeyDictionary

import numpy as np

from generator.errors import CutawayError
from generator.models.seq2seq import Seq2SeqModel
from generator.models.text_model import LanguageModel, TextModel
from generator.models.tokens import embedding_rows
from generator.probes.attention import attention_weights
from generator.probes.heads import duplicate_token, even_weights, induction
from generator.store import Store

VERSION = 2
SEQUENCES = 12
SHORTEST_COPY, LONGEST_COPY, LONGEST_GAP = 8, 16, 12


@dataclass(frozen=True)
class RepeatedSequences:
    """Duplicate-token and induction scores on seeded random tokens, (sequences, layers, heads)."""

    duplicate_token: np.ndarray
    induction: np.ndarray
    control_duplicate: np.ndarray
    control_induction: np.ndarray

    def part(self, some: slice) -> RepeatedSequences:
        """The scores on some of the sequences."""
        return RepeatedSequences(**{name: each[some] for name, each in vars(self).items()})


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
    model: TextModel, seed: int, count: int = SEQUENCES, start: int = 0
) -> tuple[RepeatedSequence, ...]:
    """Seeded sequences of random tokens number `start` and on, of varied length and gap.

    Raises CutawayError where they do not fit (`why_no_repeats`).
    """
    reason = why_no_repeats(model)
    if reason:
        raise CutawayError(f"{model.id}: {reason}")
    return tuple(_random_sequence(model, seed, number) for number in range(start, start + count))


def repeated_sequences(model: LanguageModel, seed: int, store: Store) -> RepeatedSequences:
    """Run BOS + r + filler + r with random tokens r, of varied length and gap.

    A constant gap would score heads that count positions as if they matched tokens. Raises CutawayError
    where they do not fit (`why_no_repeats`).
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


def why_no_repeats(model: TextModel) -> str:
    """Why a model is given no repeated random tokens; "" where the longest of them fit.

    Shorter ones are not made instead: scores on another recipe could not be compared with those of others.
    """
    before, after = _frame(model)
    # What a decoder that has an encoder reads before anything else.
    start = 1 if isinstance(model, Seq2SeqModel) else 0
    longest = start + 2 * LONGEST_COPY + LONGEST_GAP + len(before) + len(after)
    words, different = len(ordinary_tokens(model)), LONGEST_COPY + LONGEST_GAP
    if model.max_tokens >= longest and words >= different:
        return ""
    return (
        "Induction and duplicate tokens are left out: they are measured on repeated random tokens, which "
        f"need {longest} tokens of context and {different} different ones; this model has "
        f"{model.max_tokens:,} and {words:,}."
    )


def _random_sequence(model: TextModel, seed: int, number: int) -> RepeatedSequence:
    random = np.random.default_rng([seed, number])
    length = int(random.integers(SHORTEST_COPY, LONGEST_COPY + 1))
    gap = int(random.integers(0, LONGEST_GAP + 1))
    return repeated_sequence(model, random, length, gap)


def repeated_sequence(
    model: TextModel,
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


# Found once for each model, however many sequences are drawn.
_ORDINARY: WeakKeyDictionary[TextModel, np.ndarray] = WeakKeyDictionary()


def ordinary_tokens(model: TextModel) -> np.ndarray:
    """Ids that stand for text: neither [CLS] and its like nor markers such as <repo_name>."""
    if model not in _ORDINARY:
        _ORDINARY[model] = _ordinary_tokens(model)
    return _ORDINARY[model]


def _ordinary_tokens(model: TextModel) -> np.ndarray:
    tokenizer = model.tokenizer
    added = tokenizer.added_tokens_decoder.items()
    special = {*tokenizer.all_special_ids, *(i for i, token in added if token.special)}
    # What a tokenizer knows beyond the table cannot be read.
    known = min(len(tokenizer), embedding_rows(model.module))
    return np.array([i for i in range(known) if i not in special])


def _frame(model: TextModel) -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer puts around a text, or BOS where it puts none."""
    made = model.tokenizer("a", return_special_tokens_mask=True)
    pairs = list(zip(made["input_ids"], made["special_tokens_mask"], strict=True))
    before = [int(i) for i, _ in takewhile(itemgetter(1), pairs)]
    after = [int(i) for i, _ in takewhile(itemgetter(1), reversed(pairs))][::-1]
    if before or after:  # T5 puts one behind alone
        return before, after
    start = model.tokenizer.bos_token_id
    return ([] if start is None else [int(start)]), []
