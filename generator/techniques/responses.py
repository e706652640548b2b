"""How often a unit responds: its largest response to each picture of the pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Figure, published
from generator.formatting import number
from generator.models.layer import Layer
from generator.probes.exemplars import LayerExemplars
from generator.probes.unit_histogram import filled_bins
from generator.run import PICTURES, Run, Section, Technique
from generator.techniques.exemplars import (
    EXEMPLARS,
    exemplars_of,
    labels_of,
    needs_pool,
    searched,
)
from generator.techniques.naming import unit_of
from generator.techniques.signal import SIGNAL
from generator.techniques.ties import neurons, what

# Where an activation ends.
SATURATION = {"relu6": 6.0}


@dataclass(frozen=True)
class View:
    """A small histogram of the unit's peaks: heights between 0 and 1, and its limits."""

    heights: tuple[float, ...]
    low: str
    high: str
    most: int
    pictures: int
    excited: int


def view(run: Run, layer: Layer, unit: int) -> View | None:
    """The section on a unit's page."""
    exemplars = exemplars_of(run, layer.name)
    if exemplars is None:
        return None
    counts, edges = _histogram(exemplars, unit)
    most = int(counts.max())
    return View(
        tuple(float(count) / most for count in counts),
        number(float(edges[0])),
        number(float(edges[-1])),
        most,
        exemplars.pictures,
        int(exemplars.excited[unit]),
    )


def _histogram(exemplars: LayerExemplars, unit: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts of the bins from the first to the last that is filled, and their edges."""
    return filled_bins(exemplars.counts[unit], float(exemplars.width[unit]))


def badges(run: Run, layer: Layer, unit: int) -> list[str]:
    """What stands out in how often a unit responds, each with its measure."""
    exemplars = exemplars_of(run, layer.name)
    if exemplars is None:
        return []
    share, told = float(run[SIGNAL].of(layer.name).active[unit]), []
    if exemplars.excited[unit] == 0:
        told.append(f"dead on the pool: never above zero on {exemplars.pictures} pictures")
    elif layer.rectified and share > 0.99:
        told.append(f"always on: above zero at {share:.1%} of positions of the curated pictures")
    limit = SATURATION.get(layer.activation or "")
    if limit and exemplars.neuron_value[unit].min() >= limit:
        reaching = int(exemplars.neuron_tied[unit, 0])
        told.append(
            f"saturated: {reaching} of {exemplars.things} {what(exemplars)} reach {limit:g}"
        )
    return told


def figure(run: Run, layer: str, unit: int) -> Figure:
    """How strongly a unit responds to each picture of the pool."""
    of_layer, exemplars = searched(run, layer)
    chosen = unit_of(of_layer, unit)
    counts, edges = _histogram(exemplars, chosen)
    ties = neurons(of_layer, exemplars, chosen)
    best, tied = labels_of(run, exemplars, chosen)[:1], int(ties.tied[0])
    peak = number(float(exemplars.neuron_value[chosen, 0]), 3)
    where = f"on {best[0]}" if ties.strongest else f"on {tied} of them"
    pictures, excited = exemplars.pictures, int(exemplars.excited[chosen])
    text = f"It is above zero on {excited} of {pictures}; the largest, {peak}, is {where}."
    return published(
        "histogram",
        {"counts": counts, "edges": edges, "labels": ("largest response", "pictures")},
        f"Histogram of the largest response of unit {chosen} of {of_layer.name} to each picture. {text}",
        f"The largest response of unit {chosen} of {of_layer.name} to each of {pictures} pictures. {text}",
    )


RESPONSES = Technique(
    name="responses",
    title="How often a unit responds",
    search="distribution histogram",
    reads=PICTURES,
    measure=EXEMPLARS.asked_of,
    why_not=needs_pool,
    figures={"unit_responses": figure},
    sections=(Section("unit", "distribution", "responses.html", view),),
)
