"""Which figures a vision network's layers are drawn as."""

from __future__ import annotations

import numpy as np

from generator.figures.figure import Drawing
from generator.findings import VisionFindings
from generator.plates.activity import activity
from generator.probes.filters import MATRIX_SIDE, Filters
from generator.techniques.pictures import photographs


def layer_drawings(findings: VisionFindings) -> list[Drawing]:
    """The signal, the curated pictures, and every layer's activity, maps and filters."""
    model, signal = findings.model, findings.signal
    folder = f"models/{model.id}"
    found = [
        Drawing(
            "vision_signal",
            {
                "layers": tuple(layer.name for layer in model.layers),
                "rectified": np.array([layer.rectified for layer in model.layers]),
                "zero": np.stack([layer.zero for layer in signal.layers]),
                "near": np.stack([layer.near_zero for layer in signal.layers]),
            },
            (f"{folder}/signal.svg",),
        )
    ]
    found.append(photographs(findings.run))
    for layer in model.layers:
        if layer.name in model.paged:
            found.append(activity(folder, signal.of(layer.name), dead=layer.rectified))
            found += _maps(folder, findings, layer.name)
    found += [_filters(folder, filters) for filters in findings.filters.values()]
    first = next((f for f in findings.filters.values() if f.kind == "rgb"), None)
    if first is not None:
        found.append(Drawing("filter_card", {"filters": first.values}, (f"{folder}/card.webp",)))
    return found


def _maps(folder: str, findings: VisionFindings, layer: str) -> list[Drawing]:
    """One drawing of all pictures' sheets, so that a channel has one scale on all of them."""
    found = [
        (picture.picture, maps.maps)
        for picture in findings.maps
        for maps in picture.layers
        if maps.layer == layer
    ]
    if not found:
        return []
    stacked = np.stack([maps for _, maps in found])
    arguments = {"maps": stacked, "signed": signed(findings, layer)}
    paths = tuple(f"{folder}/layers/{layer}/maps-{name}.webp" for name, _ in found)
    return [Drawing("activation_sheets", arguments, paths)]


def signed(findings: VisionFindings, layer: str) -> bool:
    """Whether a layer's activations go below zero."""
    return bool(findings.signal.of(layer).minimum.min() < 0)


def _filters(folder: str, filters: Filters) -> Drawing:
    paths = (f"{folder}/layers/{filters.layer}/filters.webp",)
    if filters.kind == "rgb":
        return Drawing("rgb_filters", {"filters": filters.values}, paths)
    if filters.kind == "kernels":
        return Drawing("kernel_sheet", {"kernels": filters.values}, paths)
    return Drawing("weight_matrix", {"matrix": filters.values, "side": MATRIX_SIDE}, paths)
