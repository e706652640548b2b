"""What a model leans to where two sentences differ in one word: minimal pairs, as a probe of bias.

Each probe has subjects (occupations, names, ...), frames they are put into, and pairs of choices (she / he,
honest / dishonest, ...). A subject's *lean* is the mean over frames and pairs of

- a decoder: ln p(frame with the first choice) - ln p(frame with the second), in nats, over the whole
  sentence (as in Nadeem et al. 2021);
- a masked-language encoder: the same for the tokens that differ, masked together;
- a bare encoder: cos(subject, first choice) - cos(subject, second choice) of two short sentences (the
  Sentence Encoder Association Test, May et al. 2019).

Subjects that nobody would expect to lean, such as "person", are the zero: their mean is taken off, and
their spread says what the wording alone does. A lean is a property of these sentences and of this model's
probabilities. It proves neither that a model treats people alike nor that it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from generator.card_schema import CHOICE, SUBJECT, PairedProbe
from generator.models.randomise import random_twin
from generator.models.text_model import LanguageModel
from generator.probes.continued import continued_losses
from generator.probes.embedding import embed, masked_losses, token_ids
from generator.store import Store
from generator.uncertainty import sample_deviation

VERSION = 3
CONTROL = "control"


@dataclass(frozen=True)
class Leans:
    """The leans of all subjects, less the mean of the control subjects; `values` (subjects,).

    `groups` names each subject's group, CONTROL for control subjects.
    """

    subjects: tuple[str, ...]
    groups: tuple[str, ...]
    values: np.ndarray

    def of(self, group: str) -> np.ndarray:
        """The leans of one group."""
        chosen = np.array([name == group for name in self.groups])
        return self.values[chosen]

    def subjects_of(self, group: str) -> tuple[str, ...]:
        """The subjects of one group."""
        pairs = zip(self.subjects, self.groups, strict=True)
        return tuple(subject for subject, name in pairs if name == group)

    @property
    def names(self) -> tuple[str, ...]:
        """The groups in order, without the control."""
        return tuple(dict.fromkeys(name for name in self.groups if name != CONTROL))

    @property
    def difference(self) -> float:
        """Mean of the first group less mean of the second; nan unless there are two."""
        if len(self.names) != 2:
            return float("nan")
        return float(self.of(self.names[0]).mean() - self.of(self.names[1]).mean())

    @property
    def error(self) -> float:
        """Standard error of the difference over subjects (Welch); nan unless there are two groups."""
        if len(self.names) != 2:
            return float("nan")
        return float(np.sqrt(sum(standard_error(self.of(name)) ** 2 for name in self.names)))


def standard_error(values: np.ndarray) -> float:
    """Of the mean; nan for fewer than two values."""
    return float(sample_deviation(values) / np.sqrt(len(values)))


@dataclass(frozen=True)
class PairedTexts:
    """One probe on one model. `measure` is "log-probability" or "cosine"; `sentences` were scored."""

    probe: str
    measure: str
    sentences: int
    trained: Leans
    random: Leans


def measure_paired_texts(
    model: LanguageModel,
    probes: Sequence[PairedProbe],
    seed: int,
    store: Store,
    twin: Callable[[], LanguageModel] | None = None,
) -> tuple[PairedTexts, ...]:
    """Every probe that fits the model: bare encoders need `sentences` of subject and choice.

    A decoder without a head that predicts tokens has neither, and gets none.
    """
    bare = model.head_kind == "representation"
    if bare and model.causal:
        return ()
    make_twin = twin or partial(random_twin, model, seed)
    chosen = [probe for probe in probes if probe.sentences or not bare]
    return tuple(_measure(model, probe, seed, store, make_twin) for probe in chosen)


def _measure(
    model: LanguageModel,
    probe: PairedProbe,
    seed: int,
    store: Store,
    twin: Callable[[], LanguageModel],
) -> PairedTexts:
    said = {"id", "frames", "choices", "groups", "control", "sentences"}
    parts = {
        "model": model.key,
        "head": model.head_kind,
        "probe": probe.model_dump(mode="json", include=said),
        "seed": seed,
    }

    def make() -> PairedTexts:
        subjects = [name for group in probe.groups.values() for name in group]
        every = (*subjects, *probe.control)
        groups = [name for name, group in probe.groups.items() for _ in group]
        score = _similarity if model.head_kind == "representation" else _log_odds
        trained, count = score(model, probe, every)
        random, _ = score(twin(), probe, every)
        labels = (*groups, *(CONTROL for _ in probe.control))
        return PairedTexts(
            probe=probe.id,
            measure="cosine" if model.head_kind == "representation" else "log-probability",
            sentences=count,
            trained=_leans(every, labels, trained),
            random=_leans(every, labels, random),
        )

    return store.result("paired_texts", VERSION, parts, PairedTexts, make)


def _leans(subjects: tuple[str, ...], groups: tuple[str, ...], values: np.ndarray) -> Leans:
    control = np.array([name == CONTROL for name in groups])
    zero = values[control].mean() if control.any() else 0.0
    return Leans(subjects, groups, values - zero)


def _log_odds(
    model: LanguageModel, probe: PairedProbe, subjects: Sequence[str]
) -> tuple[np.ndarray, int]:
    """Mean over frames and pairs of ln p(first) - ln p(second) for each subject."""
    sentences = [
        _fill(frame, subject, choice)
        for subject in subjects
        for frame in probe.frames
        for pair in probe.choices
        for choice in pair
    ]
    ids = [token_ids(model, sentence) for sentence in sentences]
    scores = _masked(model, ids) if model.head_kind == "masked token" else _whole(model, ids)
    pairs = scores.reshape(len(subjects), -1, 2)
    return (pairs[..., 0] - pairs[..., 1]).mean(1), len(sentences)


def _fill(frame: str, subject: str = "", choice: str = "") -> str:
    return frame.replace(SUBJECT, subject).replace(CHOICE, choice)


def _whole(model: LanguageModel, sentences: Sequence[tuple[int, ...]]) -> np.ndarray:
    """ln p of each sentence, (sentences,), less that of what both of its pair begin with."""
    shared = [
        max(1, differing(one, other)[0])
        for one, other in zip(sentences[::2], sentences[1::2], strict=True)
    ]
    losses = continued_losses(model, sentences, [count for count in shared for _ in range(2)])
    return np.array([-each.sum() for each in losses])


def _masked(model: LanguageModel, sentences: Sequence[Sequence[int]]) -> np.ndarray:
    """ln p of what each sentence has and the other one of its pair has not, masked, (sentences,)."""
    found = []
    for one, other in zip(sentences[::2], sentences[1::2], strict=True):
        before, after = differing(one, other)
        for ids in (one, other):
            places = [list(range(before, len(ids) - after))]
            found.append(-masked_losses(model, ids, places)[0].sum())
    return np.array(found)


def differing(one: Sequence[int], other: Sequence[int]) -> tuple[int, int]:
    """How many tokens two sequences share at the start, and behind that at the end."""
    shorter = min(len(one), len(other))
    before = next((i for i in range(shorter) if one[i] != other[i]), shorter)
    rest = shorter - before
    after = next((i for i in range(rest) if one[-1 - i] != other[-1 - i]), rest)
    return before, after


def _similarity(
    model: LanguageModel, probe: PairedProbe, subjects: Sequence[str]
) -> tuple[np.ndarray, int]:
    """Mean over pairs of cos(subject, first) - cos(subject, second) for each subject."""
    assert probe.sentences is not None
    about, says = probe.sentences.subject, probe.sentences.choice
    vectors = embed(model, [_fill(about, subject) for subject in subjects])
    choices = [embed(model, [_fill(says, choice=each) for each in pair]) for pair in probe.choices]
    found = np.mean([vectors @ (one - other) for one, other in choices], axis=0)
    return np.asarray(found), len(subjects) + 2 * len(choices)
