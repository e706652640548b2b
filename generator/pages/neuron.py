"""A page for every chosen neuron of a model that reads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from generator.addresses import unit_address
from generator.models.layer import Layer
from generator.pages.context import Place, around, home, layer_strips
from generator.pages.environment import Pages
from generator.pages.page import Page, there
from generator.pages.sections import sections_of
from generator.run import Run
from generator.store import BusyError
from generator.techniques.links import layer_link, layer_title, model_link
from generator.techniques.map_here import here
from generator.techniques.neuron_facts import neuron_link
from generator.techniques.neurons import chosen_of


def neuron_pages(run: Run, layer: Layer, pages: Pages) -> Iterator[Page]:
    """The pages of the chosen neurons of a layer; none where there are none."""
    try:
        count = len(chosen_of(run, layer).units)
    except BusyError:  # and so are their pages not there yet
        return
    for row in range(count):
        yield from there(partial(_page, run, layer, row, pages))


def _page(run: Run, layer: Layer, row: int, pages: Pages) -> Page:
    model, chosen = run.model, chosen_of(run, layer)
    links = [neuron_link(run, layer.name, unit) for unit in chosen.units]
    before, after = around(links, row)
    unit = chosen.units[row]
    return pages.page(
        "neuron.html",
        unit_address(model.id, layer.name, unit),
        f"{links[row].text} · {model.title}",
        f"Neuron {unit} of the MLP of layer {layer.name} in {model.title}: the passages that excite it most, "
        "the words it writes and reads, and what changes without it.",
        searchable=False,
        lean=True,
        model=model,
        layer=layer,
        layer_title=layer_title(model, layer),
        unit=unit,
        name=links[row].text,
        why=chosen.why[row],
        place=Place(
            (home(), model_link(model), layer_link(model, layer)),
            layer_strips(run, layer),
            before,
            after,
            here(run, layer),
        ),
        sections=sections_of(run, "unit", layer, unit),
    )
