"""The pages of units: of channels and neurons that see pictures, of neurons and latents that read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from generator.addresses import Link, part_address, unit_address
from generator.models.layer import Layer
from generator.pages.context import Place, around, home, layer_strips
from generator.pages.environment import Pages
from generator.pages.page import Page, there
from generator.pages.sections import sections_of
from generator.probes.exemplars import searched_units
from generator.probes.unit_choice import Chosen
from generator.run import TEXTS, Run, why_not
from generator.store import BusyError
from generator.techniques.dictionaries import DICTIONARIES, latent_link
from generator.techniques.exemplars import exemplars_of
from generator.techniques.links import layer_link, layer_title, model_link
from generator.techniques.map_here import here
from generator.techniques.neuron_choice import paged_units
from generator.techniques.neurons import chosen_of, neuron_link
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


@dataclass(frozen=True, eq=False)
class _Row:
    """The units of a layer, or of a dictionary, that have a page, and what their pages say of all of them."""

    chosen: Chosen
    links: Sequence[Link]
    layer: Layer
    lead: str
    among: str
    trail: tuple[Link, ...]
    kind: str
    subject: Layer | str


def neuron_pages(run: Run, layer: Layer, pages: Pages) -> Iterator[Page]:
    """The pages of the chosen neurons of a layer; none where there are none."""
    chosen, model = chosen_of(run, layer), run.model
    row = _Row(
        chosen,
        [neuron_link(run, layer.name, unit) for unit in chosen.units],
        layer,
        f"of the MLP of {layer_title(model, layer).lower()} in {model.title}",
        "layer",
        (layer_link(model, layer),),
        "neuron",
        layer,
    )
    yield from _pages(run, row, pages)


def latent_pages(run: Run, pages: Pages) -> Iterator[Page]:
    """The pages of the chosen latents of all dictionaries."""
    if run.reads != TEXTS or why_not(DICTIONARIES, run):
        return
    try:
        found = run[DICTIONARIES]
    except BusyError:  # and so are their pages not there yet
        return
    every = Link(part_address(run.model.id, "dictionaries"), DICTIONARIES.title)
    for one in found:
        chosen = one.units.chosen[0]
        row = _Row(
            chosen,
            [latent_link(run, one.name, latent) for latent in chosen.units],
            run.model.layers[one.layer],
            f"of the dictionary {one.name}, which reads {one.where} in {run.model.title}",
            "dictionary",
            (every,),
            "latent",
            one.name,
        )
        yield from _pages(run, row, pages)


def _pages(run: Run, row: _Row, pages: Pages) -> Iterator[Page]:
    for place in range(len(row.chosen.units)):
        yield from there(partial(_page, run, row, place, pages))


def _page(run: Run, row: _Row, place: int, pages: Pages) -> Page:
    model, unit, link = run.model, row.chosen.units[place], row.links[place]
    before, after = around(row.links, place)
    lead = f"{row.kind.capitalize()} {unit} {row.lead}"
    strips = layer_strips(run, row.layer) if row.kind == "neuron" else ()
    trail = (home(), model_link(model), *row.trail)
    return pages.page(
        "token_unit.html",
        link.target,
        f"{link.text} · {model.title}",
        f"{lead}: the passages that excite it most, the words it writes, and what changes without it.",
        searchable=False,
        model=model,
        layer=row.layer,
        lead=lead,
        name=link.text,
        among=row.among,
        why=row.chosen.why[place],
        place=Place(trail, strips, before, after, here(run, row.layer)),
        sections=sections_of(run, row.kind, row.subject, unit),
    )
