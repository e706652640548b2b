"""How far the ranking of heads depends on which random tokens were drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from generator.models.text_model import LanguageModel
from generator.probes.attention import attention_of_several
from generator.probes.heads import duplicate_token, induction, previous_token
from generator.probes.repeated_sequences import SEQUENCES, RepeatedSequence, random_sequences
from generator.store import Store

VERSION = 2
RUNS = 5


@dataclass(frozen=True)
class Stability:
    """Scores of all heads on freshly drawn repeated sequences, (seeds, layers, heads)."""

    seeds: tuple[int, ...]
    induction: np.ndarray
    previous_token: np.ndarray
    duplicate_token: np.ndarray


def measure_stability(
    model: LanguageModel, seed: int, store: Store, runs: int = RUNS, count: int = SEQUENCES
) -> Stability:
    """Score all heads `runs` times, on other random tokens each time.

    The first run is the one of the published scores. Raises CutawayError for a too small context.
    """
    seeds = tuple(seed + run for run in range(runs))

    def make() -> Stability:
        made = [one for each in seeds for one in random_sequences(model, each, count)]
        weights = attention_of_several(model, [one.ids for one in made])
        every = np.array([_scores(*pair) for pair in zip(made, weights, strict=True)])
        of_seeds = every.reshape(len(seeds), count, *every.shape[1:]).mean(1)
        return Stability(seeds, *of_seeds.swapaxes(0, 1))

    parts = {"model": model.key, "seeds": list(seeds), "sequences": count}
    return store.result("stability", VERSION, parts, Stability, make)


def _scores(made: RepeatedSequence, weights: np.ndarray) -> list[np.ndarray]:
    """The three scores of all heads (layers, heads) on one sequence."""
    return [
        induction(weights, made.second, made.period),
        previous_token(weights),
        duplicate_token(weights, made.ids),
    ]


def leaders(scores: np.ndarray, count: int) -> tuple[tuple[tuple[int, int], int], ...]:
    """The best heads by mean score, as ((layer, head), in how many runs among the best `count`).

    `scores` are (runs, layers, heads). Ties go to the lowest layer and head.
    """
    runs, _, heads = scores.shape
    flat = scores.reshape(runs, -1).round(6)
    tops = [set(np.argsort(-run, kind="stable")[:count].tolist()) for run in flat]
    best = np.argsort(-flat.mean(0), kind="stable")[:count].tolist()
    return tuple((divmod(place, heads), sum(place in top for top in tops)) for place in best)


def agreement(scores: np.ndarray) -> float:
    """Mean Spearman correlation of the rankings of all heads, over all pairs of runs."""
    runs = scores.reshape(len(scores), -1)
    pairs = [
        scipy.stats.spearmanr(one, other).statistic
        for at, one in enumerate(runs)
        for other in runs[at + 1 :]
    ]
    return float(np.mean(pairs)) if pairs else float("nan")
