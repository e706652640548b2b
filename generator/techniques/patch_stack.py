"""The heads of a vision transformer: where they look, and what silencing them does to the class."""

from __future__ import annotations

from generator.probes.ablation_words import ablation_column
from generator.probes.patch_ablation import SPAN, ablate_patch_heads, measure_of
from generator.probes.patch_attention import patch_statistics
from generator.run import Run
from generator.techniques.measured_stack import Scores, StackScores
from generator.techniques.patch_maps import PATCH_MAPS, grid_of

NO_ROLES = (
    "Roles are not named here: the known ones tell of tokens in a sequence (the token before, a copy, what "
    "followed it), and patches have neither an order nor copies."
)


def patch_scores(run: Run) -> Scores:
    """Statistics on the curated pictures; heads are silenced on the first `ablate` of them."""
    model, maps = run.vision, list(run[PATCH_MAPS].values())
    ablation = ablate_patch_heads(model, run.pixels, run.budget.ablate, run.store)
    run.step(f"{model.id}: heads silenced")
    column = ablation_column(measure_of(model))
    effects = [] if ablation.reason else [ablation.statistic(SPAN, column)]
    statistics = (*patch_statistics(maps, grid_of(run)), *effects)
    return (StackScores(statistics, ablation),)
