"""How the scores of heads hold: under other random tokens, and under other recipes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link
from generator.probes.head_statistics import BY_COLUMN
from generator.probes.recipes import RecipeScores, measure_recipes
from generator.probes.repeated_sequences import why_no_repeats
from generator.probes.significance import mean_reach
from generator.probes.stability import Stability, agreement, leaders, measure_stability
from generator.run import TEXTS, Run, Section, Technique
from generator.table import Content, Table
from generator.techniques.heads import HEADS
from generator.techniques.standings import best_heads

STABLE = 4


@dataclass(frozen=True, eq=False)
class HeadStability:
    """Scores under other draws, None where fewer than two were asked for or fit, and under other recipes."""

    stability: Stability | None
    recipes: RecipeScores


def measure(run: Run) -> HeadStability:
    """The scores of all heads under other random tokens."""
    model, stability = run.language, None
    if run.budget.runs > 1 and not why_no_repeats(model):
        stability = measure_stability(model, run.seed, run.store, runs=run.budget.runs)
    recipes = measure_recipes(model, run.seed, run.store)
    run.step(f"{model.id}: other random tokens")
    return HeadStability(stability, recipes)


@dataclass(frozen=True)
class Leading:
    """A head that leads: its mean score, the 95 % interval of that over draws, in how many it leads."""

    link: Link
    mean: float
    low: float
    high: float
    among: int


@dataclass(frozen=True)
class StableRow:
    """The heads that lead in one statistic over several draws."""

    statistic: str
    runs: int
    heads: tuple[Leading, ...]
    agreement: float


def stable_rows(run: Run) -> list[StableRow]:
    """How stable the best induction and previous-token heads are; empty where it was not asked."""
    stability = run[STABILITY].stability
    if stability is None:
        return []
    names = ("induction", "previous_token", "duplicate_token")
    return [_stable(run, name, getattr(stability, name)) for name in names]


def _stable(run: Run, name: str, scores: np.ndarray) -> StableRow:
    mean, reach = scores.mean(0), mean_reach(scores)
    heads = tuple(
        Leading(
            run[HEADS][0].link(*at),
            float(mean[at]),
            float(mean[at] - reach[at]),
            float(mean[at] + reach[at]),
            among,
        )
        for at, among in leaders(scores, STABLE)
    )
    return StableRow(BY_COLUMN[name].name, len(scores), heads, agreement(scores))


RecipeRow = tuple[str, tuple[tuple[float, float], ...]]
"""One recipe of random tokens, and the induction score and half its interval of some heads."""


def recipe_rows(run: Run) -> tuple[list[Link], list[RecipeRow]]:
    """The heads that lead in induction, and their scores under each recipe."""
    found = run[STABILITY].recipes
    if not found.recipes:
        return [], []
    # A shorter recipe can fit where the usual one does not.
    usual = run[HEADS][0].known.get("induction")
    best = found.mean[0] if usual is None else usual.mean
    heads = best_heads(best.round(6), STABLE)
    rows = [
        (
            recipe.words,
            tuple((float(found.mean[at, *h]), float(found.reach[at, *h])) for h in heads),
        )
        for at, recipe in enumerate(found.recipes)
    ]
    return [run[HEADS][0].link(*at) for at in heads], rows


@dataclass(frozen=True)
class View:
    """Rankings over draws, and induction scores by recipe, each empty where it was not asked."""

    stable: tuple[StableRow, ...]
    heads: tuple[Link, ...]
    recipes: tuple[RecipeRow, ...]
    draws: int
    vocabulary: int


def view(run: Run) -> View | None:
    """The section on the model's page, behind the roles."""
    recipes, (heads, rows) = run[STABILITY].recipes, recipe_rows(run)
    stable = stable_rows(run)
    if not stable and not rows:
        return None
    draws = recipes.scores.shape[1] if rows else 0
    return View(tuple(stable), tuple(heads), tuple(rows), draws, recipes.vocabulary)


def tables(run: Run) -> Iterator[Table]:
    """The scores of every head in each draw, and under each recipe."""
    found = run[STABILITY]
    if found.stability is not None:
        yield Table("stability.csv", lambda: _stability(found))
    if found.recipes.recipes:
        yield Table("recipes.csv", lambda: _recipes(found))


def _stability(found: HeadStability) -> Content:
    stability = found.stability
    assert stability is not None
    parts = (stability.induction, stability.previous_token, stability.duplicate_token)
    rows = [
        (stability.seeds[run], layer, head, *(part[run, layer, head] for part in parts))
        for run, layer, head in np.ndindex(stability.induction.shape)
    ]
    return ("seed", "layer", "head", "induction", "previous_token", "duplicate_token"), rows


def _recipes(found: HeadStability) -> Content:
    """The induction score of every head under each recipe, with its 95 % interval over fresh draws."""
    recipes = found.recipes
    mean, reach = recipes.mean, recipes.reach
    rows = [
        (one.length, one.gap, int(one.framed), layer, head, value, value - width, value + width)
        for at, one in enumerate(recipes.recipes)
        for (layer, head), value in np.ndenumerate(mean[at])
        for width in (reach[at, layer, head],)
    ]
    header = ("copy", "gap", "framed", "layer", "head", "induction", "low", "high")
    return header, rows


STABILITY = Technique(
    name="stability",
    title="Stability of heads",
    search="seeds draws recipe induction",
    reads=TEXTS,
    measure=measure,
    tables=tables,
    sections=(Section("model", "stability", "stability.html", view),),
)
