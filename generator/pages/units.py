"""A page for every unit of the chosen layers: what excites it, how often, and what it is wired to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link, unit_address
from generator.figures.figure import Figure
from generator.figures.mosaic import CONTACT_COLUMNS
from generator.findings import VisionFindings
from generator.formatting import number
from generator.models.layer import Layer
from generator.pages.context import Place, around, home, layer_link, model_link
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.parts import EVOLUTION, parts
from generator.pages.ties import Row, channels, neurons
from generator.pages.unit_views import back, effects
from generator.probes.exemplars import BINS, LayerExemplars, field_box, unit_layers
from generator.probes.wires import Wires, feeds, listens, strongest
from generator.techniques.features import unit_view

SATURATION = {"relu6": 6.0}


@dataclass(frozen=True)
class Crop:
    """A part of a pool picture, in pixels of what the network saw, and the unit's response to it.

    `entering` is what enters the activation, for a picture that is ranked by it.
    """

    path: str
    label: str
    left: int
    top: int
    width: int
    height: int
    value: float
    entering: float | None


@dataclass(frozen=True)
class Wire:
    """One strong weight, to or from another unit."""

    name: str
    link: Link | None
    weight: float


def unit_pages(findings: VisionFindings, pages: Pages) -> Iterator[Page]:
    """One page for each unit of each layer whose exemplars were searched."""
    if findings.exemplars is None:
        return
    paged = {layer.name: layer for layer in unit_layers(findings.model)}
    for layer in paged.values():
        exemplars = findings.exemplars.of(layer.name)
        if exemplars is not None:
            yield from _layer_units(findings, layer, exemplars, paged, pages)


@dataclass(frozen=True)
class Contact:
    """The contact sheet of a layer: its sprite, rows of links, and the orders they can be put in.

    `sprites` are others laid out alike: what the patches become when they are sent back to pixels.
    """

    figure: Figure
    sprites: list[tuple[str, str]]
    rows: list[list[Link]]
    orders: list[tuple[str, str, list[int]]]


def contact(findings: VisionFindings, layer: Layer, pages: Pages) -> Contact | None:
    """Every unit of a layer as its best exemplar, or None where the pool was not searched."""
    exemplars = findings.exemplars.of(layer.name) if findings.exemplars else None
    if exemplars is None:
        return None
    model = findings.model
    links = [
        Link(unit_address(model.id, layer.name, unit), str(unit)) for unit in range(layer.units)
    ]
    columns = min(layer.units, CONTACT_COLUMNS)
    active = findings.signal.of(layer.name).active
    pool = findings.pool
    groups = [pool[int(best)].group if best >= 0 else "" for best in exemplars.neuron[:, 0]]
    by_group = sorted(range(layer.units), key=lambda unit: (groups[unit], unit))
    figure = pages.figure(
        f"models/{model.id}/layers/{layer.name}/units.webp",
        f"The best exemplar of each of the {layer.units} units of {layer.name}.",
        f"Each tile is the patch of {exemplars.pictures} pictures that excites the unit most"
        f"{_ranked(layer, exemplars)}.",
    )
    folder = f"models/{model.id}/layers/{layer.name}"
    backs = {"deconvolution": f"{folder}/deconvolutions.webp", "guided": f"{folder}/guided.webp"}
    return Contact(
        figure=figure,
        sprites=[(name, path) for name, path in backs.items() if pages.has(path)],
        rows=[links[start : start + columns] for start in range(0, len(links), columns)],
        orders=[
            ("number", "by number", list(range(layer.units))),
            ("active", "most often active first", np.argsort(-active, kind="stable").tolist()),
            ("alike", "units alike together", exemplars.order.tolist()),
            ("class", "by what the best exemplar shows", by_group),
        ],
    )


def _ranked(layer: Layer, exemplars: LayerExemplars) -> str:
    """What must be added where the tiles of some units are those of a tie."""
    rows = [neurons(layer, exemplars, unit) for unit in range(layer.units)]
    by_input = sum(bool(row.at_limit[0]) for row in rows)
    none = sum(not len(row.shown) for row in rows)
    said = (
        f"; for {by_input} units whose best tie, by what enters {layer.activation}"
        if by_input
        else ""
    )
    return said + (
        f"; grey for {none} units that no picture excites more than others" if none else ""
    )


def _layer_units(
    findings: VisionFindings,
    layer: Layer,
    exemplars: LayerExemplars,
    paged: Mapping[str, Layer],
    pages: Pages,
) -> Iterator[Page]:
    model = findings.model
    before, after = listens(model, layer), feeds(model, layer)
    evolved = EVOLUTION in parts(findings)
    links = [
        Link(unit_address(model.id, layer.name, unit), f"unit {unit}")
        for unit in range(layer.units)
    ]
    for unit in range(layer.units):
        previous, following = around(links, unit)
        yield pages.page(
            "unit.html",
            unit_address(model.id, layer.name, unit),
            f"{layer.name} unit {unit} · {model.title}",
            f"Unit {unit} of {layer.name} in {model.title}: the pictures that excite it most, how often "
            "it responds, and what it is wired to.",
            searchable=False,
            lean=True,
            model=model,
            layer=layer,
            unit=unit,
            size=model.preprocessing.size,
            place=Place(
                (home(), model_link(model), layer_link(model, layer)), (), previous, following
            ),
            badges=badges(findings, layer, exemplars, unit),
            neuron=crops(findings, layer, exemplars, unit),
            ties=neurons(layer, exemplars, unit),
            channel_ties=channels(layer, exemplars, unit),
            back=back(findings, layer, exemplars, unit, pages),
            made=unit_view(findings.run, layer, unit),
            effects=effects(findings, layer, unit),
            evolved=evolved,
            channel=wholes(findings, layer, exemplars, unit),
            pictures=exemplars.pictures,
            excited=int(exemplars.excited[unit]),
            distribution=distribution(exemplars, unit),
            alike=_alike(exemplars, unit, links),
            listens=_strongest(before, unit, paged, model.id, ()),
            feeds=_strongest(after, unit, paged, model.id, model.labels),
            source=before,
            target=after,
        )


def badges(
    findings: VisionFindings, layer: Layer, exemplars: LayerExemplars, unit: int
) -> list[str]:
    """What stands out in how often a unit responds, each with its measure."""
    signal = findings.signal.of(layer.name)
    share, found = float(signal.active[unit]), []
    if exemplars.excited[unit] == 0:
        found.append(f"dead on the pool: never above zero on {exemplars.pictures} pictures")
    elif layer.rectified and share > 0.99:
        found.append(f"always on: above zero at {share:.1%} of positions of the curated pictures")
    limit = SATURATION.get(layer.activation or "")
    if limit and exemplars.neuron_value[unit].min() >= limit:
        reaching = int(exemplars.neuron_tied[unit, 0])
        found.append(f"saturated: {reaching} of {exemplars.pictures} pictures reach {limit:g}")
    return found


def crops(
    findings: VisionFindings, layer: Layer, exemplars: LayerExemplars, unit: int
) -> list[Crop]:
    """The unit's strongest neurons, each cut to the exact receptive field, clipped at the border."""
    row, found = neurons(layer, exemplars, unit), []
    for rank in row.shown:
        place = int(exemplars.place[unit, rank])
        box = field_box(layer, place, findings.model.preprocessing.size)
        found.append(_crop(findings, row, int(rank), box))
    return found


def _crop(findings: VisionFindings, row: Row, rank: int, box: tuple[int, int, int, int]) -> Crop:
    chosen = findings.pool[int(row.picture[rank])]
    path = f"models/{findings.model.id}/pool/{chosen.id}.webp"
    return Crop(path, chosen.label, *box, float(row.value[rank]), row.entering(rank))


def wholes(
    findings: VisionFindings, layer: Layer, exemplars: LayerExemplars, unit: int
) -> list[Crop]:
    """The pictures with the largest mean response, whole."""
    size = findings.model.preprocessing.size
    row = channels(layer, exemplars, unit)
    return [_crop(findings, row, int(rank), (0, 0, size, size)) for rank in row.shown]


def distribution(exemplars: LayerExemplars, unit: int) -> dict[str, object]:
    """A small histogram of the unit's peaks: heights between 0 and 1, and its limits."""
    counts = exemplars.counts[unit]
    filled = np.flatnonzero(counts)
    first, last = int(filled[0]), int(filled[-1]) + 1
    width = float(exemplars.width[unit])
    return {
        "heights": [float(count) / float(counts.max()) for count in counts[first:last]],
        "low": number((first - BINS // 2) * width),
        "high": number((last - BINS // 2) * width),
        "most": int(counts.max()),
    }


def _alike(exemplars: LayerExemplars, unit: int, links: Sequence[Link]) -> list[tuple[Link, float]]:
    pairs = zip(exemplars.alike[unit], exemplars.alike_value[unit], strict=True)
    return [(links[int(other)], float(value)) for other, value in pairs if other >= 0]


def _strongest(
    wires: Wires | None, unit: int, paged: Mapping[str, Layer], model: str, names: Sequence[str]
) -> list[list[Wire]]:
    """The strongest positive weights and the strongest negative ones."""
    if wires is None:
        return []
    weights = wires.weights[unit]
    labels = names if len(names) == len(weights) else ()
    target = _paged_name(wires.layer, paged)
    return [
        [_wire(i, weights, labels, target, model) for i in group] for group in strongest(weights)
    ]


def _paged_name(layer: str, paged: Mapping[str, Layer]) -> str | None:
    """The layer whose pages show these units: itself, or the block that returns the same."""
    if layer in paged:
        return layer
    same = (name for name, block in paged.items() if block.reads == (layer,))
    return next((name for name in same if paged[name].kind == "block"), None)


def _wire(
    other: int, weights: np.ndarray, labels: Sequence[str], layer: str | None, model: str
) -> Wire:
    name = labels[other] if labels else f"unit {other}"
    link = Link(unit_address(model, layer, other), name) if layer else None
    return Wire(name, link, float(weights[other]))
