"""How far the scores of heads hang on the random tokens that were drawn, and on the recipe of these.

A score holds for the length of the copies, the gap between them, and what stands at the start. The published
one is over copies of varied length and gap; in a `Recipe` each condition is held still.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from generator.models.text_model import LanguageModel
from generator.probes.attention import attention_weights
from generator.probes.heads import duplicate_token, induction, previous_token
from generator.probes.repeated_sequences import (
    SEQUENCES,
    ordinary_tokens,
    random_sequences,
    repeated_sequence,
)
from generator.probes.significance import mean_reach
from generator.store import Store

VERSION = 1
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
        scores = [_scores(model, one, count) for one in seeds]
        return Stability(seeds, *(np.stack(part) for part in zip(*scores, strict=True)))

    parts = {"model": model.key, "seeds": list(seeds), "sequences": count}
    return store.result("stability", VERSION, parts, Stability, make)


def _scores(
    model: LanguageModel, seed: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found = []
    for made in random_sequences(model, seed, count):
        weights = attention_weights(model, made.ids)
        found.append(
            (
                induction(weights, made.second, made.period),
                previous_token(weights),
                duplicate_token(weights, made.ids),
            )
        )
    looped, previous, repeated = (np.mean(part, axis=0) for part in zip(*found, strict=True))
    return looped, previous, repeated


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
        spearmanr(one, other).statistic for at, one in enumerate(runs) for other in runs[at + 1 :]
    ]
    return float(np.mean(pairs)) if pairs else float("nan")


DRAWS = 8


@dataclass(frozen=True)
class Recipe:
    """Two copies of `length` random tokens with `gap` others between; `framed` by BOS or its like."""

    length: int
    gap: int
    framed: bool

    @property
    def words(self) -> str:
        """In words."""
        gap = f"{self.gap} others between" if self.gap else "no gap"
        return f"copies of {self.length}, {gap}{'' if self.framed else ', nothing before them'}"


RECIPES = (
    Recipe(8, 0, True),
    Recipe(16, 0, True),
    Recipe(50, 0, True),
    Recipe(16, 12, True),
    Recipe(16, 12, False),
)


@dataclass(frozen=True)
class RecipeScores:
    """Induction scores (recipes, draws, layers, heads), each draw of other random tokens.

    `vocabulary` is the number of tokens that are drawn from. Recipes that do not fit into the model's
    context are left out.
    """

    recipes: tuple[Recipe, ...]
    scores: np.ndarray
    vocabulary: int

    @property
    def mean(self) -> np.ndarray:
        """Mean over draws, (recipes, layers, heads)."""
        return self.scores.mean(1)

    @property
    def reach(self) -> np.ndarray:
        """Half of the 95 % interval of the mean (Student's t), (recipes, layers, heads)."""
        return np.stack([mean_reach(each) for each in self.scores])


def measure_recipes(model: LanguageModel, seed: int, store: Store) -> RecipeScores:
    """Score all heads on DRAWS fresh sequences of each recipe that fits."""
    vocabulary = len(ordinary_tokens(model))
    # Two tokens more for what the tokenizer puts around a text.
    fitting = tuple(
        one
        for one in RECIPES
        if 2 * one.length + one.gap + 2 <= model.max_tokens and one.length + one.gap <= vocabulary
    )

    def make() -> RecipeScores:
        scores = [
            [_score(model, one, np.random.default_rng([seed, at, draw])) for draw in range(DRAWS)]
            for at, one in enumerate(fitting)
        ]
        return RecipeScores(fitting, np.array(scores), vocabulary)

    parts = {
        "model": model.key,
        "seed": seed,
        "draws": DRAWS,
        "recipes": [[one.length, one.gap, one.framed] for one in fitting],
    }
    return store.result("recipes", VERSION, parts, RecipeScores, make)


def _score(model: LanguageModel, recipe: Recipe, random: np.random.Generator) -> np.ndarray:
    made = repeated_sequence(model, random, recipe.length, recipe.gap, framed=recipe.framed)
    return induction(attention_weights(model, made.ids), made.second, made.period)
