"""When induction is born in the course of a training that Cutaway does itself, beside its control.

Words of a passage are drawn evenly from V words, so that ln V nats is all that there is to know of one. The
*share foretold* of the second copy is 1 - L / ln V, L the mean loss on it: 0 for an even guess, 1 where every
word is foreseen. Induction is *born* at the first measured step after which the share is at least a half. Who
only knows which words have been said comes to no such share: among n of V words there are still ln n nats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from generator.inputs.repeated_words import WORDS
from generator.inputs.source import Source
from generator.models.own_training import TEXTS
from generator.models.text_training import PRICED, STEPS, course_of, trained_text

BORN = 0.5
EVEN_GUESS = float(np.log(len(WORDS)))


@dataclass(frozen=True)
class Course:
    """Losses of one training in nats a word, each (measurements,), after the `steps`.

    `first` and `second` are of the two copies of a passage without their first words.
    """

    name: str
    layers: int
    steps: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @property
    def foretold(self) -> np.ndarray:
        """Share of the second copy that is foretold, (measurements,)."""
        return np.asarray(1 - self.second / EVEN_GUESS)

    @property
    def born(self) -> int | None:
        """The first measured step after which half of the second copy is foretold; None if none is."""
        return self._first(BORN)

    @property
    def priced(self) -> int | None:
        """The step after which heads have a price, since so much is foretold; None if they never have."""
        return self._first(PRICED)

    def _first(self, share: float) -> int | None:
        there = self.foretold >= share
        return int(self.steps[np.argmax(there)]) if there.any() else None

    @property
    def steepest(self) -> tuple[int, int, float]:
        """Two measurements in a row between which the loss on the second copy falls most, and that fall."""
        falls = self.second[:-1] - self.second[1:]
        place = int(falls.argmax())
        return int(self.steps[place]), int(self.steps[place + 1]), float(falls[place])


def measure_birth(cache: Path, seed: int, steps: int = STEPS) -> tuple[Course, ...]:
    """The course of every training of a network that reads; what the cache does not hold is trained."""
    return tuple(measure_course(name, cache, seed, steps) for name in TEXTS)


def measure_course(name: str, cache: Path, seed: int, steps: int = STEPS) -> Course:
    """The course of one training; it is trained if the cache does not hold it."""
    source = Source("train", name, None, None, f"train:{name}")
    rows = course_of(trained_text(source, cache, seed, steps).root)
    measured, first, second = (
        np.array([getattr(row, key) for row in rows]) for key in ("step", "first", "second")
    )
    return Course(name, TEXTS[name], measured, first, second)
