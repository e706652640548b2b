"""Feature visualisation: pictures made to excite units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from generator.addresses import Link, unit_address
from generator.errors import UsageError
from generator.figures.figure import Drawing, Figure
from generator.models.layer import Layer
from generator.probes.exemplars import Exemplars, unit_layers
from generator.probes.feature_visualisation import (
    PoolComparison,
    Visualised,
    against_pool,
    share_of_one_colour,
    visualise_features,
)
from generator.probes.optvis.wants import (
    Effort,
    Want,
    default_wants,
    drawable_layers,
    reason_against,
    want_class,
    want_unit,
)
from generator.run import PICTURES, Run, Section, Technique
from generator.table import Table
from generator.techniques.exemplars import EXEMPLARS, needs_pool
from generator.techniques.feature_panels import classes_figure, units_figure
from generator.techniques.flops import why_fewer
from generator.techniques.grad_cam import GRAD_CAM
from generator.techniques.links import layer_page
from generator.techniques.naming import (
    Classes,
    Names,
    Numbers,
    class_of,
    layer_of,
    one_of,
    unit_of,
)

# How many units are shown in every detail where none is visualised.
FEATURED = 24
# With every unit visualised a layer's sheet would fill the page: the units' own pages have the rest.
LISTED = 48
PLAIN = 0.9
CLASS_KINDS = ("logit", "probability")


@dataclass(frozen=True)
class Unit:
    """The picture of a unit and its `peak`, `times` the largest of the pool where that is above zero.

    `level` says that both are equal, at the ceiling of an activation, and `plain` that it has one colour.
    """

    figure: Figure
    link: Link
    peak: float
    times: float | None
    level: bool
    plain: bool


@dataclass(frozen=True)
class Stage:
    """The visualised units of a layer: those listed, and the `count` of all."""

    name: str
    link: Link | None
    units: tuple[Unit, ...]
    count: int


@dataclass(frozen=True)
class View:
    """The units of all layers, lower to higher, beside the pool; without any, the reason.

    `fewer` says why there are fewer than usual.
    `grey` says that all pictures are: colours make no difference to the network.
    """

    stages: tuple[Stage, ...]
    compared: PoolComparison | None
    plain: bool
    grey: bool
    reason: str
    fewer: str


@dataclass(frozen=True)
class UnitView:
    """The picture of one unit and its peak, beside the largest of the pool."""

    figure: Figure
    peak: float
    best: float


def measure(run: Run) -> tuple[Visualised, ...]:
    """Pictures of units by chance, and of classes that the network sees in the curated pictures."""
    # By number: labels of ImageNet are not unique.
    classes = sorted({one.depths[-1].index for one in run[GRAD_CAM].values() if one.depths})
    budget = run.budget
    chosen = np.random.default_rng(run.seed).permutation(classes)[: budget.classes].tolist()
    usual = run.share == 1 or "features" in budget.model_fields_set
    units = None if run.full else budget.features
    effort = Effort(units, budget.classes, usual and budget.features > 0, budget.steps)
    wants = _wants(run, effort, tuple(sorted(chosen)))
    return visualise_features(run.vision, wants, seed=run.seed, store=run.store, step=run.step)


def _wants(run: Run, effort: Effort, classes: tuple[int, ...] = ()) -> tuple[Want, ...]:
    return default_wants(run.vision, _exemplars(run), run.seed, classes=classes, effort=effort)


def _exemplars(run: Run) -> Exemplars | None:
    return None if needs_pool(run) else run[EXEMPLARS]


def featured(run: Run) -> dict[str, list[int]]:
    """Units by chance, those that are visualised among them, by layer: they are shown in every detail."""
    count = run.budget.features or max(1, round(FEATURED * run.share))
    effort = Effort(units=count, classes=0, sets=False)
    units: dict[str, list[int]] = {}
    for want in _wants(run, effort):
        units.setdefault(want.layer, []).append(want.unit)
    return units


def visualised(run: Run, layer: str, unit: int) -> Visualised | None:
    """The feature visualisation of one unit, if it was made."""
    return run.once("visualised units", lambda: _by_unit(run[FEATURES])).get((layer, unit))


def _by_unit(features: tuple[Visualised, ...]) -> dict[tuple[str, int], Visualised]:
    channels = [one for one in features if one.want.kind == "channel"]
    return {(one.want.layer, one.want.unit): one for one in reversed(channels)}


def picture(run: Run, visualisation: Visualised, alt: str, kind: str = "") -> Figure:
    """The picture of a feature visualisation."""
    path = f"{run.folder}/features/{visualisation.want.name}.webp"
    arguments = {"pixels": (visualisation.picture,), "quality": 82}
    return Figure(Drawing("photographs", arguments, (path,)), alt, kind=kind)


def _of_unit(run: Run, visualisation: Visualised, kind: str = "") -> Figure:
    want = visualisation.want
    alt = f"Feature visualisation of unit {want.unit} of {want.layer}."
    return picture(run, visualisation, alt, kind)


def figure(
    run: Run,
    layer: str = "",
    unit: Numbers = (),
    units: Names = (),
    classes: Classes = (),
    by: Names = CLASS_KINDS,
) -> Figure:
    """Feature visualisations of units of a layer, of `units` written layer/unit, or of classes.

    A class is drawn by its logit and by its probability, or by what `by` names.
    """
    if classes:
        kinds = [one_of("way to raise a class", kind, CLASS_KINDS) for kind in by]
        indices = [class_of(run.vision, name) for name in classes]
        raised = [want_class(index, kind) for kind in kinds for index in indices]
        return classes_figure(run.vision, _visualised(run, raised))
    named = [(layer, one) for one in unit] if layer else []
    for text in units:
        before, _, last = text.rpartition("/")
        if not last.isdigit():
            raise UsageError(f"'{text}' names no unit; write layer/unit, such as blocks.3.2/17.")
        named.append((before, int(last)))
    if not named:
        raise UsageError("'feature' needs a layer and a unit, units, or classes.")
    drawable = [each.name for each in drawable_layers(run.vision)]
    wants = []
    for name, index in named:
        chosen = layer_of(run.vision, name)
        one_of("layer", chosen.name, drawable, "units cannot be visualised in the")
        wants.append(want_unit(run.vision, chosen, unit_of(chosen, index)))
    return units_figure(run.vision, _visualised(run, wants))


def _visualised(run: Run, wants: Sequence[Want]) -> list[Visualised]:
    """The visualisations of the pages, and others made for one figure alone."""
    known = {each.want.name: each for each in run[FEATURES]}
    missing = [
        replace(want, steps=max(1, round(want.steps * run.budget.steps)))
        for want in wants
        if want.name not in known
    ]
    more = visualise_features(run.vision, missing, seed=run.seed, store=run.store, step=run.step)
    known |= {each.want.name: each for each in more}
    return [known[want.name] for want in wants]


def view(run: Run) -> View:
    """The section on the page of feature visualisation."""
    exemplars = _exemplars(run)
    stages = tuple(stage for layer in run.vision.layers if (stage := _stage(run, layer)))
    compared = against_pool(run[FEATURES], exemplars) if exemplars else None
    plain = any(unit.plain for stage in stages for unit in stage.units)
    return View(
        stages,
        compared if compared and compared.units else None,
        plain,
        all(np.ptp(one.picture[..., :3], axis=-1).max() == 0 for one in run[FEATURES]),
        reason_against(run.vision),
        why_fewer(run),
    )


def _stage(run: Run, layer: Layer) -> Stage | None:
    """The units of a layer that were visualised; None without any."""
    channels = [
        each
        for each in run[FEATURES]
        if each.want.kind == "channel" and each.want.layer == layer.name
    ]
    if not channels:
        return None
    model = run.vision
    with_pages = run.inputs.pool and layer.name in {each.name for each in unit_layers(model)}
    units = []
    for each in channels[: LISTED if with_pages else None]:
        address = unit_address(model.id, layer.name, each.want.unit) if with_pages else ""
        best = (_best_of_pool(run, each) or (0.0,))[0]
        units.append(
            Unit(
                _of_unit(run, each, "feature"),
                Link(address, f"unit {each.want.unit}"),
                each.peak,
                each.peak / best if best > 0 else None,
                each.peak == best,
                share_of_one_colour(each.picture) >= PLAIN,
            )
        )
    return Stage(layer.name, layer_page(model, layer), tuple(units), len(channels))


def _best_of_pool(run: Run, visualisation: Visualised) -> tuple[float, float] | None:
    """The largest peak and the largest mean of the unit over the pool's pictures, where they are known."""
    want, exemplars = visualisation.want, _exemplars(run)
    layer = exemplars.of(want.layer) if exemplars else None
    if layer is None or want.kind != "channel":
        return None
    return float(layer.neuron_value[want.unit, 0]), float(layer.channel_value[want.unit, 0])


def unit_view(run: Run, layer: Layer, unit: int) -> UnitView | None:
    """The visualisation on a unit's page; None where it was not made."""
    visualisation = visualised(run, layer.name, unit)
    if visualisation is None:
        return None
    best = (_best_of_pool(run, visualisation) or (0.0,))[0]
    return UnitView(_of_unit(run, visualisation), visualisation.peak, best)


def tables(run: Run) -> Iterator[Table]:
    """Every picture that was made and what it reaches."""
    if run[FEATURES]:
        yield Table("features.csv", lambda: (_HEADER, _rows(run)))


_HEADER = (
    *("name", "kind", "layer", "unit", "class", "side", "steps", "peak", "mean"),
    *("pool_peak", "pool_mean", "logit", "probability"),
)


def _rows(run: Run) -> Iterator[Sequence[object]]:
    for each in run[FEATURES]:
        want, best = each.want, _best_of_pool(run, each) or ("", "")
        label = "" if want.layer else run.vision.labels[want.unit]
        asked = (want.name, want.kind, want.layer, want.unit, label, want.size, want.steps)
        yield (*asked, each.peak, each.mean, *best, each.logit, each.probability)


FEATURES = Technique(
    name="features",
    title="Feature visualisation",
    search="activation maximisation",
    reads=PICTURES,
    measure=measure,
    figures={"feature": figure},
    tables=tables,
    sections=(Section("features", "units", "features.html", view),),
)
