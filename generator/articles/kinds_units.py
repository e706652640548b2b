"""Figures of units: what excites them, what is left of it in pixels, how often they respond."""

from __future__ import annotations

import numpy as np

from generator.articles.catalogue import Catalogue
from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.figures.publication.panels import Panel
from generator.findings import VisionFindings
from generator.formatting import number
from generator.inputs.images import as_seen, open_rgb
from generator.models.layer import Layer
from generator.pages.ties import Row, neurons
from generator.plates.units import patch
from generator.probes.backward import RULES
from generator.probes.deconvolution import send_back
from generator.probes.exemplars import BINS, LayerExemplars, unit_layers
from generator.techniques.naming import Names, Numbers, layer_of, listed, one_of, unit_of

_SIDE = 224  # pixels of a patch
_FEW, _ALL = 5, 9


def exemplars(
    catalogue: Catalogue, model: str, layer: str, unit: Numbers, count: int = _ALL
) -> Figure:
    """The patches of the pool that excite one unit or several most, strongest first."""
    findings = catalogue.about_pictures(model)
    place, found = searched(findings, layer)
    units = [unit_of(place, one) for one in unit]
    rows, said, ranked = [], [], False
    for one in units:
        row = neurons(place, found, one)
        labels = _some_labels(findings, found, one)[:count]
        pixels = _patches(findings, place, found, one, len(labels))
        panels = [Panel(tile, _response(row, rank)) for rank, tile in enumerate(pixels)]
        ranked = ranked or bool(row.at_limit[: len(labels)].any())
        # One unit may have two rows; of several each has its own.
        across = len(panels) if len(units) > 1 or len(panels) <= _FEW else -(-len(panels) // 2)
        rows += [tuple(panels[start : start + across]) for start in range(0, len(panels), across)]
        said.append(f"unit {one}: {listed(labels)}")
    names = tuple(f"unit {one}" for one in units) if len(units) > 1 else ()
    which = listed([str(one) for one in units])
    about = f"unit {which} of {place.name}"
    patches = f"Patches for {about}" if ranked else f"The patches that excite {about} most"
    by_input = f"; where responses tie, in brackets what enters {place.activation}, by which they are ranked"
    return published(
        "panels",
        {"rows": tuple(rows), "names": names, "widest": 150.0, "gap": 8.0},
        f"{patches}, out of {found.pictures} pictures. {'; '.join(said)}.",
        f"The strongest of {found.pictures} pictures for {about}, cut to what the "
        f"neuron can see, with its response above each{by_input if ranked else ''}.",
    )


def _response(row: Row, rank: int) -> str:
    entering = row.entering(rank)
    said = number(float(row.value[rank]), 2)
    return said if entering is None else f"{said} ({number(entering, 2)})"


def deconvolution(
    catalogue: Catalogue, model: str, layer: str, unit: int, count: int = _FEW
) -> Figure:
    """A unit's patches, and below each what the three backward rules leave of it."""
    findings = catalogue.about_pictures(model)
    place, found = searched(findings, layer)
    one = unit_of(place, unit)
    deconvolutions = findings.searched.deconvolutions if findings.searched else None
    if deconvolutions is None or deconvolutions.of(place.name) is None:
        why = (
            deconvolutions.reason or deconvolutions.skipped.get(place.name, "")
            if deconvolutions
            else ""
        )
        raise UsageError(f"no signal can be sent back from {place.name} of {model}: {why}")
    made = deconvolutions.unit(place.name, one)
    if made is None:
        pool = findings.run.pool_images
        made = send_back(findings.model, place, (one,), pool, found, catalogue.store)[0]
    labels = _some_labels(findings, found, one)[:count]
    patches = _patches(findings, place, found, one, len(labels))
    rows = [tuple(Panel(tile) for tile in patches)]
    for rule in range(len(RULES)):
        rows.append(tuple(Panel(made.tiles[rank, rule]) for rank in range(len(labels))))
    names = ("patch", "deconvolution", "guided", "gradient")
    return published(
        "panels",
        {"rows": tuple(rows), "names": names, "widest": 150.0, "gap": 8.0},
        f"Patches of unit {one} of {place.name} ({listed(labels)}), and below each its "
        "deconvolution, guided "
        "backpropagation and gradient around mid grey.",
        f"The strongest patches of unit {one} of {place.name} and its signal sent back to pixels "
        "by three "
        "rules. Each tile has its own contrast.",
    )


def evolution(catalogue: Catalogue, model: str, layers: Names = (), units: int = 3) -> Figure:
    """Units of some layers, lower to higher: the best patch of each, its deconvolution and guided signal."""
    findings = catalogue.about_pictures(model)
    every = [one.name for one in unit_layers(findings.model)]
    spread = np.unique(np.linspace(0, len(every) - 1, min(5, len(every))).round().astype(int))
    rows, said = [], []
    for name in layers or [every[place] for place in spread]:
        place, found = searched(findings, name)
        deconvolutions = findings.searched.deconvolutions if findings.searched else None
        backs = deconvolutions.of(place.name) if deconvolutions else None
        if deconvolutions is None or backs is None:
            raise UsageError(f"no signal can be sent back from {place.name} of {model}.")
        chosen = [one.unit for one in deconvolutions.featured if one.layer == place.name][:units]
        row: list[Panel] = []
        for one in chosen:
            tile = _patches(findings, place, found, one, 1)[0]
            best = "".join(exemplar_labels(findings, found, one)[:1])
            row.append(Panel(tile, f"unit {one}", best))
            row += [
                Panel(backs.tiles[one, 0], "", "deconvolution"),
                Panel(backs.guided[one, 0], "", "guided"),
            ]
        if row:
            rows.append(tuple(row))
            said.append(f"{place.name}: units {listed([str(one) for one in chosen])}")
    if not rows:
        raise UsageError(f"{model} has no units that are shown in every detail.")
    names = tuple(text.split(":")[0] for text in said)
    return published(
        "panels",
        {"rows": tuple(rows), "names": names, "widest": 130.0, "gap": 6.0},
        f"Units of {len(rows)} layers, lower to higher, each with its best patch, its "
        "deconvolution and guided "
        f"backpropagation. {'; '.join(said)}.",
        "Units drawn by lot, first layers first: the patch that excites each most, its "
        "deconvolution and "
        "guided backpropagation.",
    )


def unit_responses(catalogue: Catalogue, model: str, layer: str, unit: int) -> Figure:
    """How strongly a unit responds to each picture of the pool."""
    findings = catalogue.about_pictures(model)
    place, found = searched(findings, layer)
    one = unit_of(place, unit)
    counts, width = found.counts[one], float(found.width[one])
    filled = np.flatnonzero(counts)
    first, last = int(filled[0]), int(filled[-1]) + 1
    edges = (np.arange(first, last + 1) - BINS // 2) * width
    ties = neurons(place, found, one)
    best, tied = exemplar_labels(findings, found, one)[:1], int(ties.tied[0])
    peak = number(float(found.neuron_value[one, 0]), 3)
    excited = int(found.excited[one])
    where = f"on {best[0]}" if ties.strongest else f"on {tied} of them"
    said = f"It is above zero on {excited} of {found.pictures}; the largest, {peak}, is {where}."
    return published(
        "histogram",
        {"counts": counts[first:last], "edges": edges, "labels": ("largest response", "pictures")},
        f"Histogram of the largest response of unit {one} of {place.name} to each picture. {said}",
        f"The largest response of unit {one} of {place.name} to each of {found.pictures} "
        f"pictures. {said}",
    )


def searched(findings: VisionFindings, layer: str) -> tuple[Layer, LayerExemplars]:
    """A layer whose units' exemplars were searched. Raises UsageError for any other."""
    place = layer_of(findings.model, layer)
    known = {one.layer: one for one in findings.exemplars.layers} if findings.exemplars else {}
    if not known:
        raise UsageError(f"{findings.model.id} has no exemplars: the exhibit names no pool for it.")
    return place, known[one_of("layer", place.name, known, "no exemplars were searched in the")]


def exemplar_labels(findings: VisionFindings, found: LayerExemplars, unit: int) -> list[str]:
    """What a unit's exemplars show, strongest first."""
    return [findings.pool[int(one)].label for one in found.neuron[unit] if one >= 0]


def _some_labels(findings: VisionFindings, found: LayerExemplars, unit: int) -> list[str]:
    """The same. Raises UsageError where no picture excites the unit more than others."""
    labels = exemplar_labels(findings, found, unit)
    if not labels:
        raise UsageError(
            f"{found.undecided[unit]} pictures tie for unit {unit} of {found.layer}: none excites it more."
        )
    return labels


def _patches(
    findings: VisionFindings, layer: Layer, found: LayerExemplars, unit: int, count: int
) -> list[np.ndarray]:
    """The best patches of a unit, each (side, side, 3)."""
    how = findings.model.preprocessing
    numbers = {int(one) for one in found.neuron[unit, :count] if one >= 0}
    seen = {one: as_seen(open_rgb(findings.pool[one].path), how) for one in numbers}
    return [patch(layer, found, unit, rank, seen, _SIDE) for rank in range(count)]
