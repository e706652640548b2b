"""Which passages excite each neuron most, of models that are compared.

A model that has pages has been searched for these. One that is opened to be compared alone is run over the
passages once: nothing is named, silenced or read from its weights, which takes several times as long.
"""

from __future__ import annotations

from generator.models.token_units import token_neurons
from generator.probes.ranking import Ranking
from generator.probes.unit_pass import Units
from generator.probes.unit_responses import Responses, token_responses
from generator.probes.unit_search import search_units
from generator.run import PAIRS, TEXTS, Run, Technique
from generator.techniques.neurons import NEURONS
from generator.techniques.neurons import why_not as no_neurons
from generator.techniques.token_units import read_of, text_model


def measure(run: Run) -> tuple[Ranking, ...]:
    """The strongest passages of every neuron, a ranking for each layer."""
    if run.paged:
        return tuple(one.by_peak for one in run[NEURONS].pool.layers)
    model = text_model(run)
    layers, chosen = token_neurons(model), _chosen(run)
    found = search_units(model, layers, read_of(run), chosen, run.store, run.step)
    return tuple(one.by_peak for one in found.layers)


def _chosen(run: Run) -> Units:
    """The neurons that the search looked at more closely; none of a model that is compared alone."""
    layers = token_neurons(text_model(run))
    if not run.paged:
        return {units.name: () for units in layers}
    found = run[NEURONS].chosen
    return {units.name: one.units for units, one in zip(layers, found, strict=True)}


def neuron_responses(run: Run) -> tuple[Responses, ...]:
    """The responses of every neuron to every passage."""
    model, rankings = text_model(run), run[NEURON_RESPONSES]
    layers = token_neurons(model)
    return token_responses(model, layers, read_of(run), _chosen(run), rankings, run.store)


def ranking_of(run: Run, layer: str) -> Ranking:
    """The strongest passages of the neurons of one layer."""
    names = [units.name for units in token_neurons(text_model(run))]
    return run[NEURON_RESPONSES][names.index(layer)]


NEURON_RESPONSES = Technique(
    name="neuron_responses",
    title="Responses of neurons",
    search="neurons",
    reads=(TEXTS, PAIRS),
    measure=measure,
    why_not=no_neurons,
)
