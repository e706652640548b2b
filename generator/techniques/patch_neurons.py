"""What excites a neuron of a vision transformer's MLP: its patches, marked in their pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.formatting import thousands
from generator.models.layer import Layer
from generator.probes.patch_neurons import DENSE, RANDOM, SPARSE, WRITES, NeuronStatistics
from generator.probes.random_effects import RandomEffects, measure_random_effects
from generator.run import PICTURES, Run, Section, Technique
from generator.techniques.exemplars import EXEMPLARS, exemplars_of
from generator.techniques.naming import listed
from generator.techniques.neuron_choice import chosen_neurons, needs_neurons
from generator.techniques.signal import SIGNAL
from generator.techniques.telling_units import strength_of
from generator.techniques.unit_exemplars import Crop, Excites, crops, excites

_WHY = {
    WRITES: "one that writes much",
    SPARSE: "a sparse one",
    DENSE: "a dense one",
    RANDOM: "one drawn at random",
}


DRAWN, DRAWN_OF_ALL = 8, 2  # pictures on which neurons are silenced; fewer where all are


@dataclass(frozen=True)
class Moves:
    """How far a neuron moves the score of some class: on its best picture, and on `pictures` others."""

    best: float
    drawn: float
    pictures: int


@dataclass(frozen=True)
class View(Excites):
    """The pictures of a neuron, by its largest response over patches, each with its box, and by its mean.

    `others` names the tokens that stand for no patch, `twin` are the pictures of the neuron of the same
    number with random weights. `above` says how many neurons of the layer write more, `why` says for what
    this one was chosen, out of `units`, of which `pages` have a page.
    """

    patches: int
    others: str
    twin: tuple[Crop, ...]
    statistics: NeuronStatistics
    above: str
    why: str
    units: int
    pages: int
    moves: Moves | None


def measure(run: Run) -> tuple[RandomEffects, ...]:
    """What the neurons that have a page do to the classes on pictures drawn at random."""
    chosen = {name: one.units for name, one in chosen_neurons(run).items()}
    count = DRAWN_OF_ALL if run.full else DRAWN
    return measure_random_effects(
        run.vision, run.pool_images, chosen, run[SIGNAL], run.store, count=count, seed=run.seed
    )


def _moves(run: Run, layer: Layer, unit: int) -> Moves | None:
    """How far a neuron moves the classes; None where that was not measured."""
    drawn = next((one for one in run[PATCH_NEURONS] if one.layer == layer.name), None)
    if drawn is None:
        return None
    best = float(strength_of(run, layer).moves[unit])
    (place,) = np.flatnonzero(drawn.units == unit)
    return Moves(best, float(drawn.moves[place]), drawn.pictures) if np.isfinite(best) else None


def view(run: Run, layer: Layer, unit: int) -> View | None:
    """The section on a neuron's page."""
    exemplars = exemplars_of(run, layer.name)
    if layer.grid is None or exemplars is None:
        return None
    chosen = chosen_neurons(run)[layer.name]
    writes = chosen.statistics.writes
    return View(
        **vars(excites(run, layer, exemplars, unit)),
        patches=layer.grid.patches,
        others=_others(layer.grid.special),
        twin=_twin(run, layer, unit),
        statistics=chosen.statistics,
        above=f"{thousands(int((writes > writes[unit]).sum()))} of {thousands(layer.units)}",
        why=_WHY.get(chosen.reason(unit), ""),
        units=layer.units,
        pages=len(chosen.units),
        moves=_moves(run, layer, unit),
    )


def _others(special: tuple[str, ...]) -> str:
    """The tokens that stand for no patch, as a subject; "" where there are none."""
    registers = sum(name.startswith("register") for name in special)
    named = [f"the {name} token" for name in special if not name.startswith("register")]
    if registers:
        named.append(f"{registers} registers" if registers > 1 else "the register")
    return listed(named) if named else ""


def _twin(run: Run, layer: Layer, unit: int) -> tuple[Crop, ...]:
    """What excites the neuron of the same number where nothing was learned."""
    exemplars = run.control[EXEMPLARS].of(layer.name)
    return crops(run, layer, exemplars, unit) if exemplars else ()


PATCH_NEURONS = Technique(
    name="patch_neurons",
    title="What excites a neuron",
    search="mlp neuron patches exemplars",
    reads=PICTURES,
    measure=measure,
    why_not=needs_neurons,
    sections=(Section("unit", "exemplars", "patch_neuron.html", view),),
)
