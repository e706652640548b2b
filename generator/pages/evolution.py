"""The page on how features grow: for each layer some units, their patches and what is left in pixels."""

from __future__ import annotations

from generator.addresses import Link, part_address, unit_address
from generator.findings import VisionFindings
from generator.pages.context import layer_link
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.parts import EVOLUTION, part_place
from generator.probes.exemplars import unit_layers


def evolution_page(findings: VisionFindings, pages: Pages) -> Page:
    """One long plate, lower to higher."""
    model, searched = findings.model, findings.searched
    assert searched is not None
    backs = searched.deconvolutions
    rows = []
    for layer in unit_layers(model):
        units = [one.unit for one in backs.featured if one.layer == layer.name]
        if not units:
            continue
        alt = (
            f"{len(units)} units of {layer.name}: the nine strongest patches of each, their "
            "deconvolutions and their guided backpropagations."
        )
        path = f"models/{model.id}/layers/{layer.name}/evolution.webp"
        field = layer.receptive_field
        rows.append(
            {
                "link": layer_link(model, layer),
                "layer": layer,
                "field": None if field is None or field[0].whole else field[0].size,
                "figure": pages.figure(path, alt),
                "units": [Link(unit_address(model.id, layer.name, u), f"unit {u}") for u in units],
            }
        )
    return pages.page(
        "evolution.html",
        part_address(model.id, EVOLUTION.key),
        f"Features, layer by layer · {model.title}",
        f"How features grow through {model.title}: units of {len(rows)} layers, the patches that excite "
        "them and their deconvolutions.",
        model=model,
        place=part_place(findings, EVOLUTION),
        rows=rows,
        backs=backs,
        pictures=len(findings.pool),
    )
