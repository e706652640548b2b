"""Sparse dictionaries of a model's layers: how well each stands for what it reads, and its latents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from generator.addresses import Link, latent_address
from generator.dictionary_schema import DictionarySpec
from generator.errors import UsageError
from generator.figures.figure import Figure
from generator.models.dictionary import Dictionary
from generator.models.token_units import latents_of
from generator.paths import cache_root
from generator.probes.controls import spread
from generator.probes.dictionaries import LOSSES, Evaluation, Quality, evaluate
from generator.probes.dictionary_training import open_dictionary
from generator.probes.dictionary_twin import Twin, compare_with_twin
from generator.probes.passage_states import States, states_in
from generator.run import TEXTS, Run, Section, Technique
from generator.table import Content, Table
from generator.techniques import token_unit_views as views
from generator.techniques.links import layer_link
from generator.techniques.naming import listed, one_of
from generator.techniques.neurons import NEURONS
from generator.techniques.neurons import why_not as why_not_neurons
from generator.techniques.token_unit_list import ListView, list_view
from generator.techniques.token_units import (
    NO_PASSAGES,
    Shown,
    UnitsFound,
    every_table,
    halves_of,
    measure_units,
    passages_of,
    read_of,
)

HELD_OUT = 32  # passages that a dictionary is measured on
SHARE = 4  # latents with a page for each neuron of a layer that has one


@dataclass(frozen=True)
class DictionaryFound:
    """A dictionary: how well it does beside two controls, and its latents; of random weights the latents."""

    name: str
    units: UnitsFound
    layer: int
    evaluation: Evaluation | None = None
    twin: Twin | None = None
    where: str = ""
    origin: str = ""
    notes: tuple[str, ...] = ()


Row = tuple[str, Quality, float]
"""A name, how well a dictionary does, and the share of the loss that it recovers."""


@dataclass(frozen=True)
class DictionaryView:
    """A dictionary on the page of all, as stated and as found; `layer` is a link to the one that it reads."""

    stated: DictionarySpec
    found: DictionaryFound
    layer: Link
    rows: tuple[Row, ...]
    list: ListView


def why_not(run: Run) -> str:
    """Whether the exhibit names dictionaries, and passages to search."""
    if not run.language.dictionaries:
        return "the exhibit names no dictionaries for it ('dictionaries')."
    return "" if run.inputs.passages and passages_of(run) else NO_PASSAGES


def measure(run: Run) -> tuple[DictionaryFound, ...]:
    """Open or train each dictionary, evaluate it on held-out passages, and search its latents.

    On random weights those are trained anew that were trained here: others were not made for them. What they
    read is kept by the pass over the passages that finds neurons.
    """
    if run.trained is None and not why_not_neurons(run):
        _ = run[NEURONS], run.control[NEURONS]
    choose = halves_of(run)
    ids = [one.ids for one in read_of(run)]
    learned, others = ([ids[n] for n in np.flatnonzero(half)] for half in (choose, ~choose))
    held_out = spread(others, HELD_OUT)
    states = states_in(read_of(run), run.store)
    found = []
    for spec, base in run.language.dictionaries:
        if run.trained is not None and not spec.trained:
            continue
        dictionary = open_dictionary(
            spec,
            run.language,
            learned,
            base,
            cache_root(),
            run.store,
            seed=run.seed,
            states=states,
        )
        found.append(_found(run, spec.name, dictionary, learned, held_out, states))
    return tuple(found)


def _found(
    run: Run,
    name: str,
    dictionary: Dictionary,
    learned: list[Any],
    held_out: list[Any],
    states: States,
) -> DictionaryFound:
    model, layers = run.language, (latents_of(run.language, dictionary),)
    count = SHARE * run.budget.neurons
    if run.trained is not None:
        known = next(one.units for one in run.trained[DICTIONARIES] if one.name == name)
        units = measure_units(run, layers, count, known, dictionary.key)
        return DictionaryFound(name, units, dictionary.layer)
    losses = HELD_OUT if run.full else LOSSES
    of = model, dictionary, held_out, run.store
    evaluation = evaluate(*of, seed=run.seed, losses=losses, states=states)
    twin = compare_with_twin(
        model,
        dictionary,
        evaluation.own.l0,
        learned,
        held_out,
        run.store,
        seed=run.seed,
        losses=losses,
        states=states,
        twin=lambda: run.control.run.language,
    )
    units = measure_units(run, layers, count, None, dictionary.key)
    more = dictionary.where, dictionary.origin, dictionary.notes
    return DictionaryFound(name, units, dictionary.layer, evaluation, twin, *more)


def latents(run: Run, name: str) -> Shown:
    """The latents of a dictionary as pages show them."""

    def make() -> Shown:
        found = next(one.units for one in run[DICTIONARIES] if one.name == name)
        controls = run.control[DICTIONARIES]
        random = next((one.units for one in controls if one.name == name), None)
        return Shown(run, found, random, "latent", partial(latent_link, run))

    return run.once(("latents", name), make)


def latent_link(run: Run, name: str, latent: int) -> Link:
    """A link to a latent's page; the name alone where it has none."""
    found = next(one.units for one in run[DICTIONARIES] if one.name == name)
    there = latent in found.chosen[0].units
    address = latent_address(run.model.id, name, latent) if there else ""
    return Link(address, f"{name} {latent}")


def view(run: Run) -> tuple[DictionaryView, ...]:
    """The page of all dictionaries."""
    found = zip(run[DICTIONARIES], run.language.dictionaries, strict=True)
    return tuple(_view(run, one, spec) for one, (spec, _) in found)


def _view(run: Run, found: DictionaryFound, stated: DictionarySpec) -> DictionaryView:
    evaluation, twin = found.evaluation, found.twin
    assert evaluation is not None and twin is not None, "it is that of random weights"
    own, random = evaluation.own, evaluation.random
    rows = [("this dictionary", own, evaluation.recovered(own))]
    rows.append(("random directions, as many", random, evaluation.recovered(random)))
    for name, one in (("the model", twin.trained), ("random weights", twin.random)):
        if one is not None and (twin.stand_in or one is twin.random):
            rows.append((f"the same training on {name}", one.own, one.recovered(one.own)))
    layer = layer_link(run.model, run.model.layers[found.layer])
    return DictionaryView(stated, found, layer, tuple(rows), list_view(latents(run, found.name), 0))


def figure(run: Run, dictionary: str, latent: int, count: int = 3) -> Figure:
    """The passages that excite a latent most, with every token lit by it."""
    known = {one.name: one.units.chosen[0].units for one in run[DICTIONARIES]}
    name = one_of("dictionary", dictionary, known)
    if latent not in known[name]:
        some = listed([str(one) for one in known[name]])
        raise UsageError(f"of {name} the latents {some} were looked at, and not {latent}.")
    return views.passages_figure(latents(run, name), 0, latent, count)


def tables(run: Run) -> Iterator[Table]:
    """How well each dictionary does, and all its latents."""
    yield Table("dictionaries.csv", lambda: _quality_table(run))
    for one in run[DICTIONARIES]:
        yield from every_table(latents(run, one.name), f"latent_effects_{one.name}")


def _quality_table(run: Run) -> Content:
    header = (
        "dictionary", "of", "tokens", "variance_explained", "loss_recovered", "loss", "l0", "dead",
    )  # fmt: skip

    def rows() -> Iterator[tuple[object, ...]]:
        for one in view(run):
            found, evaluation = one.found, one.found.evaluation
            assert evaluation is not None
            for name, quality, recovered in one.rows:
                yield (
                    found.name,
                    name,
                    evaluation.tokens,
                    quality.variance_explained,
                    recovered,
                    quality.loss,
                    quality.l0,
                    quality.dead,
                )

    return header, rows()


def _of_latent(make: Callable[..., Any], run: Run, name: str, latent: int) -> Any:
    """What a view shows of a latent."""
    return make(latents(run, name), 0, latent)


DICTIONARIES = Technique(
    name="dictionaries",
    title="Sparse dictionaries",
    search="SAE sparse autoencoder transcoder latents features variance explained loss recovered",
    reads=TEXTS,
    measure=measure,
    why_not=why_not,
    controlled=True,
    figures={"latent": figure},
    tables=tables,
    sections=(
        Section("dictionaries", "dictionaries", "dictionaries.html", view),
        Section(
            "latent", "telling", "telling.html", partial(_of_latent, views.telling), leads=True
        ),
        Section("latent", "passages", "unit_passages.html", partial(_of_latent, views.passages)),
        Section("latent", "weights", "unit_words.html", partial(_of_latent, views.weights)),
        Section("latent", "effect", "unit_effect.html", partial(_of_latent, views.effect)),
    ),
)
