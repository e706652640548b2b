"""How the induction score of each head hangs on the recipe of the random tokens it is measured on.

A score holds for the length of the copies, the gap between them, and what stands at the start. The
published one is over copies of varied length and gap; here each condition is held still.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.models.text_model import LanguageModel
from generator.probes.attention import attention_of_several
from generator.probes.heads import induction
from generator.probes.repeated_sequences import ordinary_tokens, repeated_sequence
from generator.probes.significance import mean_reach
from generator.store import Store

VERSION = 2
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
        scores = [_scores(model, one, (seed, at)) for at, one in enumerate(fitting)]
        return RecipeScores(fitting, np.array(scores), vocabulary)

    parts = {
        "model": model.key,
        "seed": seed,
        "draws": DRAWS,
        "recipes": [[one.length, one.gap, one.framed] for one in fitting],
    }
    return store.result("recipes", VERSION, parts, RecipeScores, make)


def _scores(model: LanguageModel, recipe: Recipe, seed: tuple[int, int]) -> list[np.ndarray]:
    """The scores of all heads (layers, heads) on each draw of a recipe."""
    draws = [np.random.default_rng([*seed, draw]) for draw in range(DRAWS)]
    shape = recipe.length, recipe.gap
    made = [repeated_sequence(model, random, *shape, framed=recipe.framed) for random in draws]
    weights = attention_of_several(model, [one.ids for one in made])
    pairs = zip(weights, made, strict=True)
    return [induction(each, one.second, one.period) for each, one in pairs]
