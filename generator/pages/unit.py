"""A page for every unit of the chosen layers."""

from __future__ import annotations

from collections.abc import Iterator

from generator.addresses import Link, unit_address
from generator.pages.context import Place, around, home
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.sections import sections_of
from generator.probes.exemplars import searched_units
from generator.run import Run
from generator.store import BusyError
from generator.techniques.exemplars import exemplars_of
from generator.techniques.links import layer_link, model_link
from generator.techniques.map_here import here
from generator.techniques.neuron_choice import paged_units
from generator.techniques.responses import badges


def unit_pages(run: Run, pages: Pages) -> Iterator[Page]:
    """One page for each unit of each layer whose exemplars were searched; of neurons for the chosen ones."""
    model = run.model
    for units in searched_units(run.vision):
        layer = units.layer
        try:
            searched = exemplars_of(run, layer.name) is not None
            paged = paged_units(run, layer) if searched else ()
        except BusyError:  # and so are the pages of its units not there yet
            paged = ()
        links = [Link(unit_address(model.id, layer.name, unit), f"unit {unit}") for unit in paged]
        trail = (home(), model_link(model), layer_link(model, layer))
        mark = here(run, layer) if paged else None
        for place, unit in enumerate(paged):
            previous, following = around(links, place)
            yield pages.page(
                "unit.html",
                links[place].target,
                f"{layer.name} unit {unit} · {model.title}",
                f"Unit {unit} of {layer.name} in {model.title}: the pictures that excite it most, how often "
                "it responds, and what it is wired to.",
                searchable=False,
                model=model,
                layer=layer,
                unit=unit,
                place=Place(trail, (), previous, following, mark),
                badges=badges(run, layer, unit),
                sections=sections_of(run, "unit", layer, unit),
            )
