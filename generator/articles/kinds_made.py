"""Figures of pictures that were made, and of one layer's response to a picture taken apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from generator.articles.catalogue import Catalogue
from generator.errors import UsageError
from generator.figures.building_blocks import all_groups, cells, one_group
from generator.figures.figure import Figure, published
from generator.figures.overlay import signed
from generator.figures.publication.panels import Panel
from generator.formatting import number, percent
from generator.plates.made import channel_tiles
from generator.probes.building_blocks import BuildingBlocks, blocks_layer, measure_building_blocks
from generator.probes.feature_visualisation import Visualised, visualise_features
from generator.probes.optvis.wants import Want, drawable_layers, want_class, want_unit
from generator.techniques.naming import (
    Classes,
    Names,
    Numbers,
    class_of,
    layer_of,
    listed,
    one_of,
    unit_of,
)

_ACROSS = 6
_KINDS = ("logit", "probability")


def feature(
    catalogue: Catalogue,
    model: str,
    layer: str = "",
    unit: Numbers = (),
    units: Names = (),
    classes: Classes = (),
    by: Names = _KINDS,
) -> Figure:
    """Feature visualisations of units of a layer, of `units` written layer/unit, or of classes.

    A class is drawn by its logit and by its probability, or by what `by` names.
    """
    if classes:
        return _of_classes(catalogue, model, classes, by)
    named = [(layer, one) for one in unit] if layer else []
    for text in units:
        before, _, last = text.rpartition("/")
        if not last.isdigit():
            raise UsageError(f"'{text}' names no unit; write layer/unit, such as blocks.3.2/17.")
        named.append((before, int(last)))
    if not named:
        raise UsageError("'feature' needs a layer and a unit, units, or classes.")
    network = catalogue.vision(model)
    wants = []
    for where, what in named:
        place = layer_of(network, where)
        drawable = [each.name for each in drawable_layers(network)]
        one_of("layer", place.name, drawable, "units cannot be visualised in the")
        wants.append(want_unit(network, place, unit_of(place, what)))
    found = _visualised(catalogue, model, wants)
    row = [
        Panel(
            one.picture[..., :3],
            one.want.layer,
            f"unit {one.want.unit}, reaches {number(one.peak, 2)}",
        )
        for one in found
    ]
    names = listed([f"unit {one.want.unit} of {one.want.layer}" for one in found])
    return published(
        "panels",
        {"rows": _in_rows(row, _ACROSS), "widest": 220.0},
        f"Pictures made to excite {names}.",
        f"Feature visualisation: pictures made from noise to excite {names} of {network.title}.",
    )


def _of_classes(catalogue: Catalogue, model: str, classes: Classes, by: Names) -> Figure:
    network = catalogue.vision(model)
    kinds = [one_of("way to raise a class", kind, _KINDS) for kind in by]
    indices = [class_of(network, name) for name in classes]
    wants = [want_class(network, index, kind) for kind in kinds for index in indices]
    found = _visualised(catalogue, model, wants)
    panels = [
        Panel(
            one.picture[..., :3],
            network.labels[one.want.unit],
            f"logit {number(one.logit, 3)}, probability {percent(one.probability)}",
        )
        for one in found
    ]
    labels = listed([network.labels[index] for index in indices])
    return published(
        "panels",
        {
            "rows": _in_rows(panels, len(indices)),
            "names": tuple(f"raising the {kind}" for kind in kinds) if len(kinds) > 1 else (),
            "widest": 220.0,
        },
        f"Pictures made to raise the {listed(kinds)} of {labels}.",
        f"Pictures made from noise to raise the {listed(kinds)} of {labels}, with what each reaches.",
    )


def _visualised(catalogue: Catalogue, model: str, wants: list[Want]) -> list[Visualised]:
    """Those that the findings hold, and others made for this figure alone."""
    findings = catalogue.about_pictures(model)
    known = {one.want.name: one for one in findings.features}
    effort = catalogue.run(model).budget.steps
    missing = [
        replace(want, steps=max(1, round(want.steps * effort)))
        for want in wants
        if want.name not in known
    ]
    made = visualise_features(
        findings.model, missing, seed=catalogue.seed, store=catalogue.store, step=lambda _: None
    )
    known |= {one.want.name: one for one in made}
    return [known[want.name] for want in wants]


def feature_set(catalogue: Catalogue, model: str, set: str = "diversity") -> Figure:
    """The diversity set of one unit, or the interpolation between two."""
    kind = one_of("set", set, ("diversity", "interpolation"))
    findings = catalogue.about_pictures(model)
    found = [one for one in findings.features if one.want.kind == kind]
    if not found:
        raise UsageError(f"no {kind} set was made of {model} (make.features).")
    want = found[0].want
    row = []
    for one in found:
        title = f"variant {one.want.number + 1}"
        if kind == "interpolation":
            title = f"{percent(one.want.share, 0)} to unit {want.other}"
        row.append(Panel(one.picture[..., :3], title, f"reaches {number(one.peak, 2)}"))
    what = f"unit {want.unit} of {want.layer}"
    if kind == "interpolation":
        alt = f"Pictures on the way from {what} to unit {want.other}."
        caption = (
            f"Pictures made to excite a mixture of {what} and unit {want.other}, step by step."
        )
    else:
        alt = f"{len(row)} different pictures that all excite {what}."
        caption = f"{len(row)} pictures for {what}, made together and pushed apart."
    return published("panels", {"rows": _in_rows(row, _ACROSS), "widest": 220.0}, alt, caption)


def dream(catalogue: Catalogue, model: str, layer: str = "") -> Figure:
    """Deep Dream: a photograph, and what it becomes octave by octave as a layer answers more."""
    findings = catalogue.about_pictures(model)
    known = {one.layer: one for one in findings.dreams}
    if not known:
        raise UsageError(f"{model} has no layer to dream with.")
    found = known[one_of("layer", layer or next(iter(known)), known, "no dream was made with the")]
    label = next(one.label for one in findings.images if one.id == findings.dreamt)
    row = [
        Panel(
            frame,
            "photograph" if place == 0 else f"octave {place}",
            f"answer {number(float(answer), 2)}",
        )
        for place, (frame, answer) in enumerate(zip(found.frames, found.answer, strict=True))
    ]
    first, last = (number(float(found.answer[end])) for end in (0, -1))
    return published(
        "panels",
        {"rows": _in_rows(row, _ACROSS), "widest": 260.0},
        f"A photograph of {label} that changes step by step as {found.layer} answers more strongly.",
        f"Deep Dream with {found.layer}: the photograph of {label}, then after each octave. The "
        "layer’s mean "
        f"squared response goes from {first} to {last}.",
    )


def building_blocks(catalogue: Catalogue, model: str, image: str, classes: int = 2) -> Figure:
    """One layer on a picture: each cell as its strongest channel, and the cells' support for classes."""
    found, picture, label = _blocks(catalogue, model, image)
    findings = catalogue.about_pictures(model)
    layer = layer_of(findings.model, found.layer)
    tiles = channel_tiles(findings, layer)
    row = [Panel(picture, label)]
    rows_of, columns = found.response.shape[1:]
    if len(tiles):
        share = found.response.max(axis=0) / (found.full or 1.0)
        drawn = cells(picture, share, found.dictionary[..., 0], tiles)
        row.append(
            Panel(drawn, found.layer, f"{rows_of} × {columns} cells, strongest channel of each")
        )
    support = found.of_cells(found.gradient)
    peak = float(np.abs(support).max())
    for place in range(min(classes, len(found.labels))):
        note = f"support, {percent(float(found.probabilities[place]))}"
        row.append(Panel(signed(picture, support[place], peak), found.labels[place], note))
    return published(
        "panels",
        {"rows": (tuple(row),), "widest": 330.0},
        f"The picture of {label}; its {rows_of} by {columns} cells in {found.layer}, each drawn "
        "as the channel that "
        f"responds most there; and which cells speak for {listed(found.labels[:classes])}.",
        f"{found.layer} on the picture of {label}: each cell as the channel that responds most "
        "there, and the "
        "linear support of each cell for a class, orange for it and blue against it.",
    )


def nmf(catalogue: Catalogue, model: str, image: str) -> Figure:
    """Groups of channels that respond together on a picture, and what each does to the first class."""
    found, picture, label = _blocks(catalogue, model, image)
    groups = found.groups
    if groups is None:
        raise UsageError(f"no response of {found.layer} of {model} to '{image}' is above zero.")
    row = [Panel(picture, label), Panel(all_groups(picture, groups.maps), "all groups")]
    for place in range(len(groups.maps)):
        change = -float(groups.measured[place, 0])
        without = f"{'+' if change > 0 else '−'}{number(abs(change), 2)}"
        note = f"{percent(float(groups.share[place]), 0)}; logit {without} without"
        row.append(Panel(one_group(picture, groups.maps, place), f"group {place + 1}", note))
    first = found.labels[0]
    return published(
        "panels",
        {"rows": _in_rows(row, 4), "widest": 260.0},
        f"The picture of {label} and {len(groups.maps)} groups of channels of {found.layer} over "
        "it, each where it "
        "responds.",
        f"{len(groups.maps)} groups of channels of {found.layer} that respond together on the "
        f"picture of {label}. "
        f"Above each: its share of all that is above zero, and how the logit of {first} "
        "really changes without it.",
    )


def _blocks(catalogue: Catalogue, model: str, image: str) -> tuple[BuildingBlocks, np.ndarray, str]:
    network, label = catalogue.vision(model), catalogue.image(model, image).label
    layer = blocks_layer(network)
    pixels = catalogue.pixels(model, image)
    found = measure_building_blocks(network, image, pixels, layer, catalogue.store)
    if found.reason:
        raise UsageError(f"{model}: {found.reason}")
    return found, catalogue.seen(model, image), label


def _in_rows(row: list[Panel], columns: int) -> tuple[tuple[Panel, ...], ...]:
    return tuple(tuple(row[start : start + columns]) for start in range(0, len(row), columns))
