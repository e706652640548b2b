"""A page for every chosen unit of a model that reads: a neuron of an MLP, or a latent of a dictionary."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from generator.addresses import Link, part_address, unit_address
from generator.models.layer import Layer
from generator.pages.context import Place, around, home, layer_strips
from generator.pages.environment import Pages
from generator.pages.page import Page, there
from generator.pages.sections import sections_of
from generator.run import TEXTS, Run, why_not
from generator.store import BusyError
from generator.techniques.dictionaries import DICTIONARIES, DictionaryFound, latent_link
from generator.techniques.links import layer_link, layer_title, model_link
from generator.techniques.map_here import here
from generator.techniques.neurons import chosen_of, neuron_link


def neuron_pages(run: Run, layer: Layer, pages: Pages) -> Iterator[Page]:
    """The pages of the chosen neurons of a layer; none where there are none."""
    for row in range(len(chosen_of(run, layer).units)):
        yield from there(partial(_page, run, layer, row, pages))


def latent_pages(run: Run, pages: Pages) -> Iterator[Page]:
    """The pages of the chosen latents of all dictionaries."""
    if run.reads != TEXTS or why_not(DICTIONARIES, run):
        return
    try:
        found = run[DICTIONARIES]
    except BusyError:  # and so are their pages not there yet
        return
    for one in found:
        for row in range(len(one.units.chosen[0].units)):
            yield from there(partial(_latent_page, run, one, row, pages))


def _latent_page(run: Run, found: DictionaryFound, row: int, pages: Pages) -> Page:
    model, chosen = run.model, found.units.chosen[0]
    links = [latent_link(run, found.name, latent) for latent in chosen.units]
    before, after = around(links, row)
    latent = chosen.units[row]
    every = Link(part_address(model.id, "dictionaries"), "Sparse dictionaries")
    layer = model.layers[found.layer]
    return pages.page(
        "token_unit.html",
        links[row].target,
        f"{links[row].text} · {model.title}",
        f"Latent {latent} of the dictionary {found.name} of {model.title}: the passages that excite it most, "
        "the words it writes, and what changes without it.",
        searchable=False,
        lean=True,
        model=model,
        layer=layer,
        lead=f"Latent {latent} of the dictionary {found.name}, which reads {found.where} in {model.title}",
        name=links[row].text,
        among="dictionary",
        why=chosen.why[row],
        place=Place((home(), model_link(model), every), (), before, after, here(run, layer)),
        sections=sections_of(run, "latent", found.name, latent),
    )


def _page(run: Run, layer: Layer, row: int, pages: Pages) -> Page:
    model, chosen = run.model, chosen_of(run, layer)
    links = [neuron_link(run, layer.name, unit) for unit in chosen.units]
    before, after = around(links, row)
    unit = chosen.units[row]
    return pages.page(
        "token_unit.html",
        unit_address(model.id, layer.name, unit),
        f"{links[row].text} · {model.title}",
        f"Neuron {unit} of the MLP of layer {layer.name} in {model.title}: the passages that excite it most, "
        "the words it writes and reads, and what changes without it.",
        searchable=False,
        lean=True,
        model=model,
        layer=layer,
        lead=f"Neuron {unit} of the MLP of {layer_title(model, layer).lower()} in {model.title}",
        name=links[row].text,
        among="layer",
        why=chosen.why[row],
        place=Place(
            (home(), model_link(model), layer_link(model, layer)),
            layer_strips(run, layer),
            before,
            after,
            here(run, layer),
        ),
        sections=sections_of(run, "neuron", layer, unit),
    )
