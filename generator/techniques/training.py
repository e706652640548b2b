"""Through training: the same units at several states of training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link, layer_address
from generator.errors import UsageError
from generator.figures.figure import PAGE, Figure, on_page, published
from generator.figures.mosaic import enlarged, tiled
from generator.figures.panels import Panel
from generator.formatting import number, percent
from generator.probes.checkpoint_series import CheckpointSeries
from generator.probes.checkpoints import measure_checkpoints
from generator.run import PICTURES, Run, Section, Technique
from generator.table import Table
from generator.techniques.exemplars import needs_pool
from generator.techniques.naming import Numbers, one_of

_UNITS = 5
_GREY = 128


@dataclass(frozen=True)
class View:
    """The course of training, and of each layer its units, a row each, state by state.

    `judged` pictures of `pictures` have a right answer. `from_pool` are the places in the pool of those that
    are on the plates.
    """

    lead: str
    course: Figure
    plates: tuple[tuple[Link, Figure], ...]
    pictures: int
    judged: int
    from_pool: tuple[int, ...]


def why_not(run: Run) -> str:
    """States of training and a pool are needed."""
    return needs_pool(run) or (
        "" if run.checkpoints else "the exhibit names no states of its training."
    )


def measure(run: Run) -> CheckpointSeries:
    """Exemplars, accuracy and likeness to the final units at every state."""
    return measure_checkpoints(
        run.vision,
        [(one.label, one.vision()) for one in run.checkpoints],
        run.pool_images,
        labels=[one.group for one in run.inputs.pool],
        seed=run.seed,
        store=run.store,
        step=run.step,
    )


def view(run: Run) -> View | None:
    """The section on the page of its own; None where the states could not be followed."""
    series = run[TRAINING]
    if not series.states:
        return None
    labels = ", ".join(series.labels)
    return View(
        f"The same units of {run.model.title} at {len(series.labels)} states of its training: {labels}.",
        on_page(course(run), f"{run.folder}/checkpoints/course.svg", "training_course"),
        tuple(_plate(run, series, n) for n in range(len(series.layers))),
        len(series.pool),
        max(state.judged for state in series.states),
        tuple(
            sorted({int(n) for one in series.states for each in one.layers for n in each.picture})
        ),
    )


def _plate(run: Run, series: CheckpointSeries, number_of: int) -> tuple[Link, Figure]:
    layer, units = series.layers[number_of], len(series.states[0].layers[number_of].units)
    path = f"{run.folder}/checkpoints/{layer}.webp"
    drawn = on_page(
        figure(run, layer, count=units), path, "training", max(PAGE, 128 * len(series.states))
    )
    return Link(layer_address(run.model.id, layer), layer), drawn


def figure(run: Run, layer: str, units: Numbers = (), count: int = _UNITS) -> Figure:
    """Units of a layer at several states of training: the patch that excites each most, sent back."""
    series = _series(run)
    name = one_of(
        "layer", layer, series.layers, f"no states of training are known of {run.model.id}'s"
    )
    states = [state.layers[series.layers.index(name)] for state in series.states]
    known = [str(unit) for unit in states[0].units]
    followed = [one_of("unit", str(unit), known, "not followed is the") for unit in units]
    chosen = [known.index(unit) for unit in followed or known[:count]]
    rows: list[tuple[Panel, ...]] = []
    for row in chosen:
        panels = []
        for label, state in zip(series.labels, states, strict=True):
            value = float(state.value[row])
            note = number(value, 2) if value > 0 else "not excited"
            pair = pair_of(state.patch[row], state.projection[row], value)
            panels.append(Panel(pair, "" if rows else label, note))
        rows.append(tuple(panels))
    names = tuple(f"unit {known[row]}" for row in chosen)
    return published(
        "panels",
        {"rows": tuple(rows), "names": names, "widest": 140.0, "gap": 8.0},
        f"{len(rows)} units of {name} at {len(states)} states of training, each by the patch that excites it "
        "most and its deconvolution.",
        f"Units of {name} at {len(states)} states of training, from {series.labels[0]} to "
        f"{series.labels[-1]}: the patch that excites each most, beside it the signal sent back to pixels, "
        "above it the response.",
    )


def pair_of(patch: np.ndarray, projection: np.ndarray, value: float) -> np.ndarray:
    """A patch (h, w, 4) beside its projection (h, w, 3), both enlarged; transparent if not excited."""
    inside = np.abs(projection[patch[..., 3] > 0])
    bound = float(np.quantile(inside, 0.99)) if inside.size else 0.0
    tones = _GREY + 127 * np.clip(projection / (bound or 1.0), -1, 1)
    other = np.concatenate([np.rint(tones).astype(np.uint8), patch[..., 3:]], axis=-1)
    sides = enlarged(np.stack([patch, other]), max(1, 64 // max(patch.shape[:2])))
    return tiled(sides, 2, gap=3) if value > 0 else np.zeros_like(tiled(sides, 2, gap=3))


def course(run: Run) -> Figure:
    """Accuracy through training, and how like their final selves the units of each layer are."""
    series = _series(run)
    judged = [percent(float(state.accuracy)) for state in series.states if state.judged]
    text = (
        f"From {series.labels[0]} to {series.labels[-1]}"
        + (f": accuracy from {judged[0]} to {judged[-1]}" if judged else "")
        + "; mean correlation of the units with their final selves, by layer, at the first state: "
        + ", ".join(
            f"{layer.layer} {number(layer.mean_likeness, 2)}" for layer in series.states[0].layers
        )
        + "."
    )
    likeness = [[layer.mean_likeness for layer in state.layers] for state in series.states]
    return published(
        "course",
        {
            "labels": series.labels,
            "accuracy": np.array([state.accuracy for state in series.states]),
            "error": np.array([state.accuracy_error for state in series.states]),
            "layers": series.layers,
            "likeness": np.array(likeness).T,
        },
        f"Two charts. {text}",
        text,
    )


def _series(run: Run) -> CheckpointSeries:
    series = run[TRAINING]
    if not series.states:
        raise UsageError(f"no states of training are known of {run.model.id}: {series.reason}")
    return series


def tables(run: Run) -> Iterator[Table]:
    """The units that are followed, and how near each layer is to its final self, state by state."""
    if run[TRAINING].states:
        yield Table("training.csv", lambda: (_COURSE_HEADER, _states(run[TRAINING])))
        yield Table("checkpoints.csv", lambda: (_UNITS_HEADER, _units(run[TRAINING])))


_UNITS_HEADER = ("state", "accuracy", "judged", "layer", "unit", "picture", "response", "likeness")
_COURSE_HEADER = ("state", "accuracy", "standard_error", "layer", "mean_likeness")


def _units(series: CheckpointSeries) -> Iterator[Sequence[object]]:
    for label, state in zip(series.labels, series.states, strict=True):
        for layer in state.layers:
            for row, unit in enumerate(layer.units):
                picture = series.pool[int(layer.picture[row])]
                where = (label, state.accuracy, state.judged, layer.layer, int(unit), picture)
                yield (*where, layer.value[row], layer.likeness[unit])


def _states(series: CheckpointSeries) -> Iterator[Sequence[object]]:
    for label, state in zip(series.labels, series.states, strict=True):
        for layer in state.layers:
            yield (label, state.accuracy, state.accuracy_error, layer.layer, layer.mean_likeness)


TRAINING = Technique(
    name="training",
    title="Through training",
    search="checkpoints epochs",
    reads=PICTURES,
    measure=measure,
    why_not=why_not,
    figures={"training": figure, "training_course": course},
    tables=tables,
    sections=(Section("training", "course", "training.html", view),),
)
