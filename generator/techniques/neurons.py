"""The neurons of MLPs that read texts: what excites them, what they are wired to, what hangs on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from generator.addresses import Link, unit_address
from generator.errors import UsageError
from generator.figures.figure import Figure
from generator.models.layer import Layer
from generator.models.sites import STREAM
from generator.models.token_units import token_neurons
from generator.models.trial import MLPS
from generator.probes.passage_states import site_of
from generator.probes.unit_choice import Chosen
from generator.run import PAIRS, TEXTS, Run, Section, Technique
from generator.store import BusyError
from generator.table import Content, Table
from generator.techniques import token_unit_views as views
from generator.techniques.naming import layer_of, listed
from generator.techniques.token_unit_list import list_view
from generator.techniques.token_units import (
    NO_PASSAGES,
    Shown,
    UnitsFound,
    every_table,
    measure_units,
    passages_of,
    text_model,
)


def why_not(run: Run) -> str:
    """Whether there are MLPs, and passages to search."""
    if not run.inputs.passages:
        return NO_PASSAGES
    model = text_model(run)
    if not model.mlp_outputs:
        if getattr(model, "attention_only", False):
            return "its blocks have no MLPs."
        reason = next((one.reason for one in model.left_out if one.name == MLPS), "it has none")
        return f"its MLPs are left out: {reason}."
    return "" if passages_of(run) else "it reads none of the passages."


def measure(run: Run) -> UnitsFound:
    """The neurons of all layers; of random weights those of the same numbers."""
    model, known = text_model(run), run.trained[NEURONS] if run.trained is not None else None
    specs = (spec for spec, _ in getattr(model, "dictionaries", ()) if spec.trained)
    keep = [site_of(run.language, STREAM, layer) for layer in {one.trained_layer for one in specs}]
    count = run.budget.neurons
    return measure_units(run, token_neurons(model), count, known, keep=keep)


def neurons(run: Run) -> Shown:
    """The neurons of a model as pages show them."""
    return run.once(
        "neurons",
        lambda: Shown(run, run[NEURONS], run.control[NEURONS], "neuron", partial(neuron_link, run)),
    )


def neuron_link(run: Run, layer: str, unit: int) -> Link:
    """A link to a neuron's page; the name alone where it has none."""
    found = run[NEURONS]
    place = found.place(layer)
    there = place is not None and unit in found.chosen[place].units
    return Link(
        unit_address(run.model.id, layer, unit) if there else "", f"{_short(layer)} N{unit}"
    )


def _short(layer: str) -> str:
    """A layer as heads of it are called: L3, and of an encoder-decoder E3 or D3."""
    side, _, number = layer.rpartition(".")
    return f"{side[:1].upper() or 'L'}{number}"


def chosen_of(run: Run, layer: Layer) -> Chosen:
    """The neurons of a layer that have a page, and why; none where nothing was searched."""
    if run.reads not in (TEXTS, PAIRS) or why_not(run):
        return Chosen((), ())
    try:
        place = run[NEURONS].place(layer.name)
    except BusyError:  # and so are their pages not there yet
        return Chosen((), ())
    return Chosen((), ()) if place is None else run[NEURONS].chosen[place]


def _of_layer(view: Callable[..., Any], run: Run, layer: Layer, *unit: int) -> Any:
    """What a view shows of a layer, or of one of its neurons; None where there are none."""
    place = run[NEURONS].place(layer.name)
    return None if place is None else view(neurons(run), place, *unit)


def figure(run: Run, layer: str | int, unit: int, count: int = 3) -> Figure:
    """The passages that excite a neuron most, with every token lit by it."""
    name = layer_of(run.model, layer).name
    place = run[NEURONS].place(name)
    if place is None:
        raise UsageError(f"{run.model.id}: {name} has no MLP of its own.")
    known = run[NEURONS].chosen[place].units
    if unit not in known:
        some = listed([str(one) for one in known])
        raise UsageError(f"of layer {name} the neurons {some} were looked at, and not {unit}.")
    return views.passages_figure(neurons(run), place, unit, count)


def tables(run: Run) -> Iterator[Table]:
    """All neurons, a table a layer; what was silenced; how many have a name in each layer; the passages."""
    yield from every_table(neurons(run), "neuron_effects")
    yield Table("named_neurons.csv", lambda: _named(neurons(run)))
    yield Table("passages.csv", lambda: _passages(run))


def _passages(run: Run) -> Content:
    header = ("passage", "kind", "language", "licence", "origin", "text")
    found = passages_of(run)
    return header, [(p.id, p.kind, p.language, p.licence, p.origin, p.text) for p in found]


def _named(shown: Shown) -> Content:
    """Neurons by layer and class, trained and random; of all classes first."""
    assert shown.random is not None, "neurons have a control"

    def rows() -> Iterator[tuple[object, ...]]:
        for place, units in enumerate(shown.found.pool.layers):
            own, random = (
                Counter(name for name, _ in found.names(place).values())
                for found in (shown.found, shown.random)
                if found is not None
            )
            yield units.layer, "any", units.units, own.total(), random.total()
            for name in sorted(own | random):
                yield units.layer, name, units.units, own[name], random[name]

    return ("layer", "class", "neurons", "named", "named_random"), rows()


NEURONS = Technique(
    name="neurons",
    title="Neurons of MLPs",
    search="neuron MLP unit passages activations lit tokens logits ablation named units",
    reads=(TEXTS, PAIRS),
    measure=measure,
    why_not=why_not,
    controlled=True,
    figures={"neuron": figure},
    tables=tables,
    sections=(
        Section("neuron", "telling", "telling.html", partial(_of_layer, views.telling), leads=True),
        Section("neuron", "passages", "unit_passages.html", partial(_of_layer, views.passages)),
        Section("neuron", "weights", "unit_words.html", partial(_of_layer, views.weights)),
        Section("neuron", "effect", "unit_effect.html", partial(_of_layer, views.effect)),
        Section("layer", "neurons", "token_units.html", partial(_of_layer, list_view)),
    ),
)
