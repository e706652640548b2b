"""Which words mattered: what each token of a text adds to an answer, by three methods, and whether it holds.

- leave-one-out (Li, Monroe & Jurafsky 2016): the score, less what it is without the token;
- input x gradient (Denil et al. 2014; Shrikumar et al. 2016): e_i . dS/de_i, with e_i the token's embedding;
- integrated gradients (Sundararajan et al. 2017): (e_i - b_i) . the mean of dS/de_i on the way from b to e,
  which add up to S(e) - S(b). In the baseline b every ordinary token has the embedding of the mask where the
  network knows one, elsewhere the mean of all embeddings: at zero RMS norms have a pole.

Each is asked of an answer and, contrastively, of an answer rather than another (Yin & Neubig 2022). What it
says is held against the network: tokens are left out in the order of a method, those that add most first, and
the mean loss of score over SHARES of the tokens is its area (AOPC of Samek et al. 2017; comprehensiveness of
DeYoung et al. 2020). DRAWS random orders say what any order does: one that is itself drawn at random is above
all of them with probability 1 / (DRAWS + 1). Leave-one-out knows the first step of every curve already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch

from generator.errors import CutawayError, first_line
from generator.models.dispatch import device_of
from generator.probes.integrated_gradients import TOLERANCE, integrated_gradients
from generator.probes.word_answers import Question
from generator.store import Store, empty

VERSION = 1
METHODS = ("leave-one-out", "input × gradient", "integrated gradients")
SHARES = (0.2, 0.5)
DRAWS = 20
MOST, PIECES = 32, 4  # points of the way, and pieces that it is cut into first
# A sum that misses the rise by a larger share is not lit: its marks are not those of the method.
ADDS_UP = 0.1
TOKENS = 1024  # in flight at once


@dataclass(frozen=True)
class Explained:
    """An answer rather than another, with the score of each: ln p, or a cosine similarity."""

    answer: str
    other: str
    score: float
    other_score: float


@dataclass(frozen=True)
class WordAttribution:
    """What the tokens of a text add to answers. Measures are the score, and what it is above the other's.

    `values` (answers, 2 measures, methods, tokens), NaN for tokens that always stay. `dropped` (answers, 2,
    methods, shares) is how far the measure falls when that share of tokens is left out, `random` (answers, 2,
    draws, shares) the same in random order. `whole` and `baseline` (answers, 2) are the measures of the text
    and of the baseline of integrated gradients, whose gradients were taken at `points` points. A token
    that is left out is `filled` in by the mask, or dropped. If `reason` is not empty, it says why there is
    none.
    """

    text: str
    tokens: tuple[str, ...]
    answers: tuple[Explained, ...] = ()
    unit: str = ""
    filled: bool = False
    values: np.ndarray = empty(0, 2, len(METHODS), 1)
    dropped: np.ndarray = empty(0, 2, len(METHODS), 1)
    random: np.ndarray = empty(0, 2, DRAWS, 1)
    whole: np.ndarray = empty(0, 2)
    baseline: np.ndarray = empty(0, 2)
    points: int = 0
    reason: str = ""

    @property
    def area(self) -> np.ndarray:
        """Mean fall over SHARES, (answers, 2, methods)."""
        return np.asarray(self.dropped.mean(-1))

    @property
    def random_area(self) -> np.ndarray:
        """The same of random orders, (answers, 2, draws)."""
        return np.asarray(self.random.mean(-1))

    @property
    def total(self) -> np.ndarray:
        """The sum of integrated gradients, (answers, 2)."""
        return np.asarray(np.nansum(self.values[:, :, 2], -1))

    @property
    def gap(self) -> np.ndarray:
        """By what share of its rise from the baseline each sum misses it, (answers, 2)."""
        rise = self.whole - self.baseline
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.abs(self.total - rise) / np.abs(rise))


def attribute_words(
    text: str,
    tokens: tuple[str, ...],
    asked: Callable[[], Question],
    depends_on: dict[str, object],
    seed: int,
    store: Store,
) -> WordAttribution:
    """What each token of a text adds; `asked` makes the question, which hangs on `depends_on` alone."""

    def make() -> WordAttribution:
        try:
            return _explain(text, tokens, asked(), seed)
        # What autograd does not follow raises the latter.
        except (CutawayError, RuntimeError) as error:
            return WordAttribution(text, tokens, reason=first_line(error))

    parts = {
        **depends_on,
        "text": text,
        "seed": seed,
        "settings": (TOLERANCE, MOST, PIECES, DRAWS, *SHARES),
    }
    return store.result("word_attribution", VERSION, parts, WordAttribution, make)


def _explain(text: str, tokens: tuple[str, ...], question: Question, seed: int) -> WordAttribution:
    ids = torch.tensor([question.ids], device=device_of(question.embedding))
    free, places = list(question.free), len(question.choices)
    with torch.no_grad():
        scores = question.scores(ids, None)[0].double().cpu().numpy()
    fall = _Falls(question)
    values = np.full((places * 2, len(METHODS), len(question.ids)), np.nan)
    values[:, 0, free] = fall.of([frozenset([place]) for place in free]).T
    gradient, integrated, baseline, points = _by_gradients(question, ids)
    values[:, 1, free], values[:, 2, free] = gradient[:, free], integrated[:, free]
    order = np.argsort(-values[:, :, free].round(6), axis=-1, kind="stable")
    random = np.random.default_rng((seed, *question.ids))
    drawn = np.stack([random.permutation(len(free)) for _ in range(DRAWS)])
    return WordAttribution(
        text=text,
        tokens=tokens,
        answers=tuple(
            Explained(
                question.name(this),
                question.name(that),
                float(scores[place, this]),
                float(scores[place, that]),
            )
            for place, (this, that) in enumerate(question.choices)
        ),
        unit=question.unit,
        filled=question.filler is not None,
        values=_by_answer(values),
        dropped=_by_answer(
            np.stack([_curves(fall, free, rows)[..., row] for row, rows in enumerate(order)])
        ),
        random=_by_answer(np.moveaxis(_curves(fall, free, drawn), -1, 0)),
        whole=fall.whole.reshape(places, 2),
        baseline=baseline.reshape(places, 2),
        points=points,
    )


def _by_answer(values: np.ndarray) -> np.ndarray:
    """The first axis, where the two measures of each answer follow each other, as two axes."""
    return values.reshape(-1, 2, *values.shape[1:])


class _Falls:
    """How far the measures fall when sets of tokens are left out, each set measured once."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._known: dict[frozenset[int], np.ndarray] = {}
        self.whole = self._measured([frozenset()])[0]

    def of(self, sets: Sequence[frozenset[int]]) -> np.ndarray:
        """How far each measure falls: (sets, measures)."""
        new = [one for one in dict.fromkeys(sets) if one not in self._known]
        for size in sorted({len(one) for one in new}):
            alike = [one for one in new if len(one) == size]
            self._known.update(zip(alike, self._measured(alike), strict=True))
        return self.whole - np.stack([self._known[one] for one in sets])

    def _measured(self, sets: Sequence[frozenset[int]]) -> np.ndarray:
        """The measures (sets, measures) of the text without some tokens, sets of one size."""
        question, rows = self._question, []
        for gone in sets:
            kept = [(place, one) for place, one in enumerate(question.ids)]
            if question.filler is None:
                rows.append([one for place, one in kept if place not in gone])
            else:
                rows.append([question.filler if place in gone else one for place, one in kept])
        step, found = max(1, TOKENS // len(rows[0])), []
        device = device_of(question.embedding)
        for start in range(0, len(rows), step):
            ids = torch.tensor(rows[start : start + step], device=device)
            with torch.no_grad():
                found.append(question.explained(ids).double().cpu().numpy())
        return np.concatenate(found)


def _curves(fall: _Falls, free: Sequence[int], orders: np.ndarray) -> np.ndarray:
    """How far the measures fall along orders (orders, tokens): (orders, shares, measures)."""
    counts = [ceil(share * len(free)) for share in SHARES]
    sets = [frozenset(free[i] for i in order[:count]) for order in orders for count in counts]
    return fall.of(sets).reshape(len(orders), len(counts), -1)


def _by_gradients(
    question: Question, ids: torch.Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Input x gradient and integrated gradients (measures, tokens), the baseline's measures, and points."""
    free = list(question.free)
    with torch.no_grad():
        embedded = question.embedding(ids)[0]
        baseline = embedded.clone()
        if question.filler is None:
            rows = len(next(question.embedding.parameters()))
            every = torch.arange(rows, device=ids.device)
            baseline[free] = question.embedding(every).mean(0)
        else:
            baseline[free] = question.embedding(torch.full_like(ids, question.filler))[0, free]

    def measures(moved: torch.Tensor) -> torch.Tensor:
        """The measures (N, measures) at the baseline moved by something."""
        found = [
            question.explained(ids.expand(len(part), -1), baseline + part)
            for part in moved.split(max(1, TOKENS // ids.shape[1]))
        ]
        return torch.cat(found)

    way = (embedded - baseline).detach()
    at = way[None].clone().requires_grad_()
    with torch.enable_grad():
        found = measures(at)[0]
        slopes = [torch.autograd.grad(one, at, retain_graph=True)[0][0] for one in found]
    plain = (torch.stack(slopes).double() * embedded.double()).sum(-1)
    path = integrated_gradients(measures, way, MOST, PIECES)
    added = (path.gradient.astype(np.float64) * way.double().cpu().numpy()).sum(-1)
    with torch.no_grad():
        ends = measures(torch.zeros_like(way)[None])[0].double().cpu().numpy()
    return plain.cpu().numpy(), added, ends, path.points
