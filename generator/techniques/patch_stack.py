"""The heads of a vision transformer: where they look, and what silencing them does to the class."""

from __future__ import annotations

from dataclasses import replace

from generator.probes.ablation_words import ablation_column
from generator.probes.likeness import Likeness
from generator.probes.patch_ablation import SPAN, ablate_patch_heads, measure_of
from generator.probes.patch_attention import alike_patch_heads, patch_statistics
from generator.run import Run
from generator.techniques.measured_stack import MeasuredStack, heads_of
from generator.techniques.patch_maps import PATCH_MAPS

NO_ROLES = (
    "Roles are not named here: the known ones tell of tokens in a sequence (the token before, a copy, what "
    "followed it), and patches have neither an order nor copies."
)


def patch_stack(run: Run) -> MeasuredStack:
    """All heads on the curated pictures; silenced on the first `ablate` of them."""
    model, pixels, store, ablate = run.vision, run.pixels, run.store, run.budget.ablate
    found, measure = run[PATCH_MAPS], measure_of(model)
    ablation = ablate_patch_heads(model, pixels, ablate, store)
    run.step(f"{model.id}: heads silenced")
    twin = ablate_patch_heads(model, pixels, ablate, store, random=run.seed)
    run.step(f"{model.id}: heads silenced with random weights")
    likeness: Likeness = alike_patch_heads(model, pixels, store)
    run.step(f"{model.id}: heads that look alike")
    column = ablation_column(measure)
    effects = [] if ablation.reason else [ablation.statistic(SPAN, column)]
    known = {} if twin.reason else {one.name: twin.statistic(SPAN, column).mean for one in effects}
    control = found.control.control
    (heads,) = heads_of(model)
    return MeasuredStack(
        **vars(heads),
        inputs=tuple(found.maps),
        measure=measure,
        statistics=(*patch_statistics(list(found.maps.values()), found.grid), *effects),
        control=replace(control, values={**control.values, **known}),
        ablation=ablation,
        likeness=likeness,
        why_no_roles=NO_ROLES,
    )
