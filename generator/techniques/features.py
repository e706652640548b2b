"""Feature visualisation: pictures made to excite units and classes."""

from __future__ import annotations

import numpy as np

from generator.probes.exemplars import Exemplars
from generator.probes.feature_visualisation import Visualised, visualise_features
from generator.probes.optvis.wants import Effort, Want, default_wants
from generator.run import PICTURES, Run, Technique
from generator.techniques.exemplars import EXEMPLARS, needs_pool
from generator.techniques.grad_cam import GRAD_CAM

# How many units are shown in every detail where none is visualised.
FEATURED = 24


def measure(run: Run) -> tuple[Visualised, ...]:
    """Pictures of units by chance, and of classes that the network sees in the curated pictures."""
    # By number: labels of ImageNet are not unique.
    classes = sorted({one.depths[-1].index for one in run[GRAD_CAM].values() if one.depths})
    budget = run.budget
    chosen = np.random.default_rng(run.seed).permutation(classes)[: budget.classes].tolist()
    effort = Effort(
        units=None if run.full else budget.features,
        classes=budget.classes,
        sets=budget.features > 0,
        steps=budget.steps,
    )
    wants = _wants(run, effort, tuple(sorted(chosen)))
    return visualise_features(run.vision, wants, seed=run.seed, store=run.store, step=run.step)


def _wants(run: Run, effort: Effort, classes: tuple[int, ...] = ()) -> tuple[Want, ...]:
    exemplars: Exemplars | None = None if needs_pool(run) else run[EXEMPLARS]
    return default_wants(run.vision, exemplars, run.seed, classes=classes, effort=effort)


def featured(run: Run) -> dict[str, list[int]]:
    """Units by chance, those that are visualised among them, by layer: they are shown in every detail."""
    effort = Effort(units=run.budget.features or FEATURED, classes=0, sets=False)
    found: dict[str, list[int]] = {}
    for want in _wants(run, effort):
        found.setdefault(want.layer, []).append(want.unit)
    return found


def visualised(run: Run, layer: str, unit: int) -> Visualised | None:
    """The feature visualisation of one unit, if it was made."""
    return run.once("visualised units", lambda: _by_unit(run[FEATURES])).get((layer, unit))


def _by_unit(features: tuple[Visualised, ...]) -> dict[tuple[str, int], Visualised]:
    channels = [one for one in features if one.want.kind == "channel"]
    return {(one.want.layer, one.want.unit): one for one in reversed(channels)}


FEATURES = Technique(
    name="features",
    title="Feature visualisation",
    search="activation maximisation",
    reads=PICTURES,
    measure=measure,
)
