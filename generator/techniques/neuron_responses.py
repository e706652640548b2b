"""Which passages excite each neuron most, of models that are compared.

A model that has pages has been searched for these. One that is opened to be compared alone is run over the
passages once: nothing is named, silenced or read from its weights, which takes several times as long.
"""

from __future__ import annotations

from generator.models.token_units import token_neurons
from generator.probes.ranking import Ranking
from generator.probes.unit_pass import Scope
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
    return tuple(one.by_peak for one in search_units(_scope(run), run.step).layers)


def _scope(run: Run) -> Scope:
    """All neurons; none that is looked at more closely of a model that is compared alone."""
    model = text_model(run)
    layers = token_neurons(model)
    some = [one.units for one in run[NEURONS].chosen] if run.paged else [()] * len(layers)
    chosen = {units.name: numbers for units, numbers in zip(layers, some, strict=True)}
    return Scope(model, layers, read_of(run), chosen, run.store)


def neuron_responses(run: Run) -> tuple[Responses, ...]:
    """The responses of every neuron to every passage."""
    return token_responses(_scope(run), run[NEURON_RESPONSES])


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
