"""A model that reads, at one state of its training: what its heads do, and how well it predicts where.

What heads do is measured by the very functions that measure the final model (`generator.probes.heads`): on
the same texts, on the same random tokens. How well it predicts is kept by position, since what stands before
a position is what a model can use: on curated texts, and on random tokens that come twice (r, others, r),
where the second copy can be foretold only by looking back (Olsson et al. 2022). Two differences follow:

- the *copy gain*: loss on the first copy minus loss on the second, the mean over their tokens but the first,
  which nothing announces. Zero for a model that does not look back;
- the *in-context score*: mean loss on the second half of a text minus that on its first half. Olsson et al.
  take token 500 minus token 50, for which curated texts are too short; theirs too is below zero where what
  came before helps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.models.checkpoints import Checkpoint
from generator.models.stacks import ONLY
from generator.models.text_model import Encoding, LanguageModel
from generator.models.token_units import token_neurons
from generator.probes.ablation import ablate
from generator.probes.attention import Attention, attention_weights, measure_sinks
from generator.probes.circuits import measure_copying
from generator.probes.embedding import next_token_losses
from generator.probes.head_statistics import versions_of
from generator.probes.language_loss import text_losses
from generator.probes.repeated_sequences import (
    LONGEST_COPY,
    random_sequences,
    repeated_sequences,
    why_no_repeats,
)
from generator.probes.stack_statistics import text_statistics
from generator.probes.sweep import sweep_repeats
from generator.probes.unit_pass import Read, pass_over
from generator.store import Store
from generator.uncertainty import sample_deviation

VERSION = 1
COPIED = 64  # sequences of random tokens that losses are taken on


@dataclass(frozen=True)
class Course:
    """A mean, and its standard error over what it is drawn from; NaN where there is nothing."""

    mean: float
    error: float

    @classmethod
    def over(cls, values: np.ndarray) -> Course:
        """Of values (drawn,), those that are not defined left out."""
        known = values[np.isfinite(values)]
        if not len(known):
            return cls(float("nan"), float("nan"))
        return cls(float(known.mean()), float(sample_deviation(known) / np.sqrt(len(known))))


@dataclass(frozen=True)
class TextState:
    """One state of a model that reads.

    `statistics` (columns, layers, heads) are means over the probes. `silenced` (layers, heads) is what
    silencing a head adds to the loss on the second copy, in nats a token; NaN where it was not measured.
    `map` and `repeat_map` (layers, heads, queries, keys) are the weights on the text that is shown, and on
    the first of the repeated sequences; that has no entry where such do not fit. Losses are -ln p in nats,
    NaN where nothing is predicted: of `texts` (texts, longest), of the `first` and `second` copy (sequences,
    longest copy).
    """

    columns: tuple[str, ...]
    statistics: np.ndarray
    silenced: np.ndarray
    map: np.ndarray
    repeat_map: np.ndarray
    texts: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def of(self, column: str) -> np.ndarray:
        """One statistic of all heads, (layers, heads)."""
        return np.asarray(self.statistics[self.columns.index(column)])

    @property
    def copy_gain(self) -> Course:
        """What a second copy gains over the first, nats a token; sequences are what is drawn."""
        if not self.first.size:
            return Course.over(np.zeros(0))
        return Course.over(np.nanmean((self.first - self.second)[:, 1:], axis=1))

    @property
    def in_context(self) -> Course:
        """Loss on the second half of a text minus that on its first; texts are what is drawn."""
        return Course.over(np.array([_halves(row[np.isfinite(row)]) for row in self.texts]))

    @property
    def loss(self) -> float:
        """Mean over all predicted tokens of all texts; NaN where none is."""
        known = self.texts[np.isfinite(self.texts)]
        return float(known.mean()) if len(known) else float("nan")


def _halves(losses: np.ndarray) -> float:
    middle = len(losses) // 2
    return float(losses[middle:].mean() - losses[:middle].mean()) if middle else float("nan")


def by_position(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean loss at each position of (rows, positions), and over how many rows; NaN over none."""
    known = np.isfinite(losses)
    count = known.sum(0)
    total = np.where(known, losses, 0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), count


def measure_text_state(
    state: Checkpoint,
    texts: Mapping[str, Encoding],
    shown: str,
    seed: int,
    store: Store,
    *,
    silence: bool,
) -> TextState:
    """What the heads of a state do, and its losses; it is opened where that is not in the store.

    `shown` is the text whose maps are kept. With `silence` each head is silenced on repeated random tokens.
    """
    parts = {
        "model": dict(state.key),
        "texts": {name: list(one.ids) for name, one in texts.items()},
        "shown": shown,
        "seed": seed,
        "silence": silence,
        "statistics": versions_of(ONLY),
    }

    def make() -> TextState:
        return _state(state.language(), texts, shown, seed, store, silence=silence)

    return store.result("text_state", VERSION, parts, TextState, make)


def _state(
    model: LanguageModel,
    texts: Mapping[str, Encoding],
    shown: str,
    seed: int,
    store: Store,
    *,
    silence: bool,
) -> TextState:
    repeats = not why_no_repeats(model)
    weights = {name: attention_weights(model, one.ids) for name, one in texts.items()}
    found = _statistics(model, texts, weights, seed, store)
    silenced = np.full((len(model.layers), model.heads), np.nan)
    if silence and repeats and model.causal:
        ablation = ablate(model, sweep_repeats(model, seed), store)
        silenced = silenced if ablation.reason else ablation.of("second").mean(0)
    repeated = np.zeros((*silenced.shape, 0, 0), dtype=np.float16)
    if repeats:
        (sequence,) = random_sequences(model, seed, 1)
        repeated = attention_weights(model, sequence.ids).astype(np.float16)
    copies = _copies(model, seed) if repeats and model.head_kind == "next token" else None
    first, second = (np.zeros((0, 0)), np.zeros((0, 0))) if copies is None else copies
    return TextState(
        tuple(found),
        np.stack(list(found.values())),
        silenced,
        weights[shown].astype(np.float16),
        repeated,
        _text_losses(model, texts),
        first,
        second,
    )


def _statistics(
    model: LanguageModel,
    texts: Mapping[str, Encoding],
    weights: Mapping[str, np.ndarray],
    seed: int,
    store: Store,
) -> dict[str, np.ndarray]:
    """The mean of each statistic of all heads, (layers, heads), by column."""
    attentions = [
        Attention(name, one.tokens, weights[name], model.causal, windows=tuple(model.windows))
        for name, one in texts.items()
    ]
    marked = [model.special(one.ids) for one in texts.values()]
    repeated = None if why_no_repeats(model) else repeated_sequences(model, seed, store)
    found = {name: one.mean for name, one in text_statistics(attentions, marked, repeated).items()}
    if model.sinks:
        shares = measure_sinks(model, [one.ids for one in texts.values()], store).shares
        found["learned_sink"] = shares.mean(0)
    copying = measure_copying(model, store)
    if not copying.reason:
        found["copying"] = copying.values
    return found


def _copies(model: LanguageModel, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Losses on the first and the second copy, (sequences, longest copy) each."""
    made = random_sequences(model, seed, COPIED)
    found = np.full((2, len(made), LONGEST_COPY), np.nan)
    losses = next_token_losses(model, [one.ids for one in made])
    for row, (one, of) in enumerate(zip(made, losses, strict=True)):
        whole = np.concatenate([[np.nan], of])  # nothing predicts the first token
        for copy, span in enumerate((one.first, one.second)):
            found[copy, row, : span.stop - span.start] = whole[span]
    return found[0], found[1]


def _text_losses(model: LanguageModel, texts: Mapping[str, Encoding]) -> np.ndarray:
    """Losses on texts, (texts, longest), at the tokens that are predicted."""
    found = np.full((len(texts), max(len(one.ids) for one in texts.values())), np.nan)
    if model.head_kind == "representation":
        return found
    for row, encoding in enumerate(texts.values()):
        places, losses = text_losses(model, encoding)
        found[row, places] = losses
    return found


@dataclass(frozen=True)
class NeuronPeaks:
    """The largest value of every neuron of some layers on each passage, (passages, neurons) a layer."""

    layers: tuple[str, ...]
    peaks: tuple[np.ndarray, ...]


def measure_peaks(
    state: Checkpoint, layers: Sequence[str], passages: Sequence[Read], store: Store
) -> NeuronPeaks:
    """Peaks of the neurons of `layers` over the tokens that count; the state is opened where they are new."""
    parts = {
        "model": dict(state.key),
        "layers": list(layers),
        "passages": [list(one.ids) for one in passages],
    }

    def make() -> NeuronPeaks:
        model = state.language()
        units = [one for one in token_neurons(model) if one.name in layers]
        found = pass_over(model, units, passages, dict.fromkeys(layers, ()))
        return NeuronPeaks(tuple(layers), tuple(one.peak for one in found))

    return store.result("neuron_peaks", VERSION, parts, NeuronPeaks, make)
