"""The neurons of a vision transformer's MLPs: how each responds, and those that get a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from generator.models.layer import Layer
from generator.models.mlp_neurons import NEURONS
from generator.models.unit_layer import neuron_layers
from generator.probes.patch_neurons import NeuronStatistics, choose, measure_neurons
from generator.run import PICTURES, Run, Technique, why_not
from generator.table import Table


@dataclass(frozen=True)
class ChosenNeurons:
    """The neurons of one MLP, and those that get a page, in order, each with why."""

    statistics: NeuronStatistics
    units: tuple[int, ...]
    why: tuple[str, ...]

    def reason(self, unit: int) -> str:
        """Why a neuron has a page; "" where it has none."""
        return dict(zip(self.units, self.why, strict=True)).get(unit, "")


def needs_neurons(run: Run) -> str:
    """Why there are no neurons to look at; "" where there are."""
    if not run.inputs.pool:
        return "the exhibit names no pool of pictures."
    if neuron_layers(run.vision):
        return ""
    reason = next(
        (one.reason for one in run.vision.left_out if one.name.startswith(NEURONS)),
        "it has no MLPs whose tokens lie over the picture, or the exhibit asks no units of them",
    )
    return f"{reason}."


def measure(run: Run) -> tuple[ChosenNeurons, ...]:
    """The neurons of every MLP."""
    found = measure_neurons(run.vision, run.pool_images, run.store, run.step)
    return tuple(_chosen(run, one) for one in found)


def _chosen(run: Run, found: NeuronStatistics) -> ChosenNeurons:
    chosen = choose(found, len(found.share) if run.full else run.budget.neurons, run.seed)
    units = sorted(chosen)
    return ChosenNeurons(found, tuple(units), tuple(chosen[unit] for unit in units))


def chosen_neurons(run: Run) -> dict[str, ChosenNeurons]:
    """The neurons by the name of their layer; none where there are none.

    With random weights those are looked at that are with the trained ones.
    """
    asked = run.trained or run
    if why_not(NEURON_CHOICE, asked):
        return {}
    return {one.statistics.layer: one for one in asked[NEURON_CHOICE]}


def paged_units(run: Run, layer: Layer) -> Sequence[int]:
    """The units of a searched layer that have a page: all channels, and the chosen ones of neurons."""
    if not layer.grid:
        return range(layer.units)
    chosen = chosen_neurons(run).get(layer.name)
    return chosen.units if chosen else ()


_HEADER = ("layer", "unit", "above_zero", "mean", "deviation", "kurtosis", "writes", "page")


def tables(run: Run) -> Iterator[Table]:
    """A row a neuron."""
    yield Table("neurons.csv", lambda: (_HEADER, _rows(run)))


def _rows(run: Run) -> Iterator[Sequence[Any]]:
    """How a neuron responds at patches of the pool, and why it has a page, where it has one."""
    for one in run[NEURON_CHOICE]:
        found = one.statistics
        columns = (found.share, found.mean, found.deviation, found.kurtosis, found.writes)
        for unit, values in enumerate(zip(*columns, strict=True)):
            yield (found.layer, unit, *values, one.reason(unit))


NEURON_CHOICE = Technique(
    name="neuron_choice",
    title="Neurons of MLPs",
    search="mlp neurons kurtosis sparse dense",
    reads=PICTURES,
    measure=measure,
    why_not=needs_neurons,
    tables=tables,
)
