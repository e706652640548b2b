"""The pages of a vision model: its overview and its layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from generator.addresses import layer_address, model_address
from generator.figures.figure import Figure
from generator.figures.mosaic import matrix_step
from generator.findings import VisionFindings
from generator.formatting import number, percent
from generator.models.layer import Layer
from generator.pages.context import (
    Place,
    around,
    counted,
    home,
    layer_link,
    layer_strip,
    model_link,
    paged_layers,
    size_text,
)
from generator.pages.controls import controls_page
from generator.pages.environment import Pages
from generator.pages.evolution import evolution_page
from generator.pages.matching import matching_page
from generator.pages.page import Page
from generator.pages.parts import (
    ATTENTION,
    CONTROLS,
    EVOLUTION,
    MATCHING,
    TRAINING,
    part_links,
    part_page,
    parts,
)
from generator.pages.patch_attention import patch_attention_page
from generator.pages.patch_heads import heads_of_layer, patch_head_pages
from generator.pages.patch_tables import TABLES as PATCH_TABLES
from generator.pages.sections import sections_of
from generator.pages.training import training_page
from generator.pages.units import contact
from generator.plates import signed
from generator.probes.filters import MATRIX_SIDE
from generator.probes.signal import LayerSignal

LISTED = 12


def vision_pages(findings: VisionFindings, pages: Pages) -> Iterator[Page]:
    """The model's page, then one page a layer."""
    yield _overview(findings, pages)
    yield from _parts(findings, pages)
    for layer in paged_layers(findings.model):
        yield _layer(findings, layer, pages)
        if layer.heads:
            yield from patch_head_pages(findings, layer, pages)


def _parts(findings: VisionFindings, pages: Pages) -> Iterator[Page]:
    """The pages beside the layers that this model has."""
    write = {
        ATTENTION: patch_attention_page,
        MATCHING: matching_page,
        EVOLUTION: evolution_page,
        TRAINING: training_page,
        CONTROLS: controls_page,
    }
    for part in parts(findings):
        if part in write:  # the card is written where the whole exhibit is known
            yield write[part](findings, pages)
        elif part.lead:
            yield part_page(findings, part, pages)


def _overview(findings: VisionFindings, pages: Pages) -> Page:
    model, folder = findings.model, f"models/{findings.model.id}"
    rows = [
        {
            "layer": layer,
            "signal": findings.signal.of(layer.name),
            "paged": layer.name in model.paged,
        }
        for layer in model.layers
    ]
    inputs = [
        {
            "image": image,
            "figure": pages.figure(f"{folder}/pictures/{image.id}.webp", image.alt),
            "prediction": findings.predictions[image.id],
        }
        for image in findings.images
    ]
    paged = paged_layers(model)
    layers, units = counted(model)
    return pages.page(
        "model_vision.html",
        model_address(model.id),
        model.title,
        f"{model.title} opened: {layers} of a {model.kind} with "
        f"{size_text(model.parameters)} parameters, measured on {len(findings.images)} pictures.",
        model=model,
        place=Place((home(),), (layer_strip(model, None),), None, layer_link(model, paged[0])),
        ways=[
            (part, link) for part, link in zip(parts(findings), part_links(findings), strict=True)
        ],
        size=size_text(model.parameters),
        signal=_signal_figure(findings, pages),
        sections=sections_of(findings.run, "model"),
        rows=rows,
        inputs=inputs,
        no_classes="" if model.labels else model.no_classes,
        layers=layers.removesuffix(" layers").replace(" layers", ","),
        units=units.replace(" units", ""),
        weight_tables=(
            "layers.csv",
            "units.csv",
            "predictions.csv",
            "evaluation.csv",
            "probes.csv",
            *(("exemplars.csv", "wires.csv", "pool.csv") if findings.exemplars else ()),
            *(PATCH_TABLES if findings.patches else ()),
        ),
    )


def _signal_figure(findings: VisionFindings, pages: Pages) -> Figure:
    model, signal = findings.model, findings.signal
    rectified = [layer for layer in model.layers if layer.rectified]
    linear = [layer for layer in model.layers if not layer.rectified]
    seen = []
    if rectified:
        means = {layer.name: float(signal.of(layer.name).zero.mean()) for layer in rectified}
        low, high = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
        seen.append(
            f"After a rectifier the mean share of exact zeros goes from {percent(means[low])} in {low} "
            f"to {percent(means[high])} in {high}"
        )
    if linear:
        share = float(np.mean([signal.of(layer.name).near_zero.mean() for layer in linear]))
        seen.append(
            f"{'of' if seen else 'Of'} the outputs of {len(linear)} layers without a rectifier, "
            f"{percent(share)} are near zero on average"
        )
    text = "; ".join(seen) + "."
    return pages.figure(
        f"models/{model.id}/signal.svg",
        f"Chart over {counted(model)[0]}, first to last. {text}",
        f"{text} Points are means over {len(signal.inputs)} pictures, bars reach from the lowest to "
        "the highest picture.",
        ink=True,
    )


def _layer(findings: VisionFindings, layer: Layer, pages: Pages) -> Page:
    model = findings.model
    layers = paged_layers(model)
    links = [layer_link(model, each) for each in layers]
    current = next(i for i, each in enumerate(layers) if each is layer)
    before, after = around(links, current)
    signal = findings.signal.of(layer.name)
    order = np.argsort(-signal.active, kind="stable")
    layer_heads = heads_of_layer(findings, layer, pages)
    names = model.labels if layer is model.layers[-1] and layer.units == len(model.labels) else ()
    return pages.page(
        "layer_vision.html",
        layer_address(model.id, layer.name),
        f"{layer.name} · {model.title}",
        f"{layer.name}, {_article(_kind(layer))} of {model.title} with {layer.units} units: its filters, "
        "activation maps on every picture, histogram, densest and dead units.",
        model=model,
        layer=layer,
        place=Place(
            (home(), model_link(model)),
            (layer_strip(model, layer), *layer_heads.strips),
            before or model_link(model),
            after,
        ),
        heads=layer_heads.shown,
        signal=signal,
        dead=[int(unit) for unit in np.flatnonzero(signal.maximum <= 0)]
        if layer.rectified
        else None,
        densest=[_unit(signal, int(unit), names) for unit in order[:LISTED]],
        sparsest=[_unit(signal, int(unit), names) for unit in order[::-1][:LISTED]],
        kind=_kind(layer),
        field=_field(layer, model.preprocessing.size),
        filters=_filters(findings, layer, pages),
        sheets=_sheets(findings, layer, pages),
        activity=_activity(findings, layer, signal, pages),
        pictures=len(findings.images),
        contact=contact(findings, layer, pages),
        parts=[
            layer_link(model, each) for each in layers if each.name.startswith(f"{layer.name}.")
        ],
    )


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _kind(layer: Layer) -> str:
    return "fully connected layer" if layer.kind == "linear" else layer.kind


def _unit(signal: LayerSignal, unit: int, names: Sequence[str]) -> dict[str, object]:
    return {
        "unit": unit,
        "name": names[unit] if names else "",
        "active": float(signal.active[unit]),
        "mean": float(signal.mean[unit]),
        "maximum": float(signal.maximum[unit]),
    }


def _field(layer: Layer, size: int) -> str:
    """The receptive field in a sentence."""
    if layer.heads:
        return "Every token sees the whole picture: in each block attention can reach all patches."
    if layer.receptive_field is None:
        return "Not computed: an operation on the way to this layer is not understood."
    vertical, horizontal = layer.receptive_field
    if vertical.whole:
        return (
            "Every unit sees the whole picture, through an average over all positions or a matrix."
        )
    beyond = (
        " It is larger than the picture: units at the border see padding."
        if (vertical.size > size)
        else ""
    )
    return (
        f"{vertical.size} × {horizontal.size} px, one position every {vertical.stride} px; the field "
        f"of the first position starts at pixel {vertical.start}.{beyond}"
    )


def _filters(findings: VisionFindings, layer: Layer, pages: Pages) -> Figure | None:
    path = f"models/{findings.model.id}/layers/{layer.name}/filters"
    filters = findings.filters.get(layer.name)
    if filters is None:
        return None
    count, values = len(filters.values), filters.values
    if filters.kind == "rgb":
        alt = f"{count} filters of {values.shape[1]} by {values.shape[2]} pixels as colour tiles."
        caption = (
            f"All {count} filters as colours, each scaled by its own largest weight; grey is zero. "
            f"Red, green and blue are the weights on the picture's channels. Largest weight: "
            f"{number(float(np.abs(values).max()))}."
        )
        return pages.figure(f"{path}.webp", alt, caption, pixelated=True)
    if filters.kind == "kernels":
        alt = f"{count} kernels of {values.shape[1]} by {values.shape[2]} weights as small tiles."
        chosen = (
            "one kernel a channel, since a depthwise convolution has no others"
            if not len(filters.chosen)
            else "for each filter the kernel on the input channel where its norm is largest, "
            f"{percent(filters.share)} of the squared norm of all weights"
        )
        caption = (
            f"Spatial kernels: {chosen}. Red is positive, blue negative, black zero; each is scaled by "
            f"its own largest weight. These are weights on channels of the layer before, not on colours."
        )
        return pages.figure(f"{path}.webp", alt, caption, pixelated=True)
    rows, columns = values.shape
    step = matrix_step(values.shape, MATRIX_SIDE)
    square = (
        "one dot a weight"
        if step == 1
        else (f"each dot is the weight of largest magnitude in a square of {step} × {step}")
    )
    caption = (
        f"The weights have no extent in space: a matrix of {rows} outputs (downwards) × {columns} inputs "
        f"(to the right), {square}. Red is positive, blue negative; the colours end at the 99.5 % "
        f"quantile. Largest magnitude: {number(float(np.abs(values).max()))}."
    )
    alt = f"Weight matrix of {rows} outputs by {columns} inputs as red and blue dots."
    return pages.figure(f"{path}.webp", alt, caption, pixelated=True)


def _sheets(findings: VisionFindings, layer: Layer, pages: Pages) -> list[dict[str, object]]:
    folder = f"models/{findings.model.id}"
    pooled = {
        picture.picture: maps
        for picture in findings.maps
        for maps in picture.layers
        if maps.layer == layer.name
    }
    found: list[dict[str, object]] = []
    for image in findings.images:
        if image.id not in pooled:
            continue
        maps = pooled[image.id]
        strongest = int(maps.maps.max(axis=(1, 2)).argmax())
        alt = (
            f"Activation maps of all {len(maps.maps)} channels of {layer.name} on the picture "
            f"'{image.label}'; channel {strongest} reaches the highest value."
        )
        shown = (
            f"Each tile is one channel on {image.label}, {maps.maps.shape[1]} × {maps.maps.shape[2]} "
            f"positions, channel 0 first, row by row"
        )
        pool = (
            f", averaged over squares of {maps.pooled} × {maps.pooled}" if maps.pooled > 1 else ""
        )
        colours = (
            "red positive, blue negative, black zero"
            if signed(findings, layer.name)
            else "black is zero"
        )
        peak = number(float(maps.maps.max()))
        caption = (
            f"{shown}{pool}. {colours.capitalize()}; a channel is scaled by its largest magnitude over "
            f"all pictures. Highest here: {peak} in channel {strongest}."
        )
        figure = pages.figure(
            f"{folder}/layers/{layer.name}/maps-{image.id}.webp", alt, caption, pixelated=True
        )
        thumb = pages.figure(f"{folder}/pictures/{image.id}.webp", image.alt)
        found.append({"id": image.id, "label": image.label, "figure": figure, "thumb": thumb})
    return found


def _activity(findings: VisionFindings, layer: Layer, signal: LayerSignal, pages: Pages) -> Figure:
    total = int(signal.counts.sum())
    zeros = f" ({percent(float(signal.zero.mean()))} of all are)" if layer.rectified else ""
    low, high = number(float(signal.edges[0])), number(float(signal.edges[-1]))
    text = (
        f"Left: {total:,} activations that are not exactly zero{zeros}, from "
        f"{low} to {high}. Right: the {len(signal.active)} units, most often active first; the median "
        f"unit is above zero at {percent(float(np.median(signal.active)))} of positions."
    )
    return pages.figure(
        f"models/{findings.model.id}/layers/{layer.name}/activity.webp",
        f"Histogram of the activations of {layer.name} and share of active positions of each unit. {text}",
        text,
        ink=True,
    )
