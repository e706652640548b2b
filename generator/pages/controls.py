"""The page of controls: the same methods on the same architecture with random weights."""

from __future__ import annotations

from typing import Any

from generator.addresses import Link, part_address, unit_address
from generator.findings import VisionFindings
from generator.pages.context import layer_link
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.parts import CONTROLS, part_place
from generator.probes.controls import MapPair
from generator.techniques.unit_exemplars import crops


def controls_page(findings: VisionFindings, pages: Pages) -> Page:
    """Exemplars and evidence maps of one layer, trained and random side by side."""
    model, searched = findings.model, findings.searched
    assert searched is not None and searched.controls is not None
    found = searched.controls
    layer = next(each for each in model.layers if each.name == found.layer)
    trained = searched.exemplars.of(layer.name)
    assert trained is not None
    agreements = [pair.agreement for pair in found.maps]
    return pages.page(
        "controls.html",
        part_address(model.id, CONTROLS.key),
        f"Controls · {model.title}",
        f"Exemplars and evidence maps of {layer.name} in {model.title} beside those of the same network "
        "with random weights.",
        model=model,
        place=part_place(findings, CONTROLS),
        found=found,
        link=layer_link(model, layer) if layer.name in model.paged else None,
        size=model.preprocessing.size,
        size_of_layer=layer.units,
        units=[
            {
                "link": Link(unit_address(model.id, layer.name, unit), f"unit {unit}"),
                "trained": crops(findings.run, layer, trained, unit),
                "random": crops(findings.run, layer, found.random, unit),
            }
            for unit in found.units
        ],
        pictures=len(findings.pool),
        maps=[_maps(findings, pair, pages) for pair in found.maps],
        agreement=sum(agreements) / len(agreements) if agreements else None,
    )


def _maps(findings: VisionFindings, pair: MapPair, pages: Pages) -> dict[str, Any]:
    image = next(one for one in findings.images if one.id == pair.picture)
    folder = f"models/{findings.model.id}"
    shown = {
        word: pages.figure(
            f"{folder}/controls/{pair.picture}-{word}.webp",
            f"Evidence for {pair.label} in the picture of {image.label}, {word} weights.",
        )
        for word in ("trained", "random")
    }
    thumb = pages.figure(f"{folder}/pictures/{image.id}.webp", image.alt)
    return {"pair": pair, "label": image.label, "thumb": thumb, **shown}
