"""Which figures a model's findings are drawn as: findings -> drawings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from generator.figures.mosaic import CONTACT
from generator.figures.render import Drawing
from generator.findings import Findings, TextFindings, VisionFindings
from generator.inputs.images import as_seen, open_rgb
from generator.inputs.texts import readable
from generator.models.layer import Layer
from generator.probes.exemplars import LayerExemplars, field_box, unit_layers
from generator.probes.filters import MATRIX_SIDE, Filters
from generator.probes.signal import LayerSignal


def drawings(findings: Findings) -> list[Drawing]:
    """All figures of one model."""
    if isinstance(findings, VisionFindings):
        return _vision(findings)
    return _text(findings)


def _vision(findings: VisionFindings) -> list[Drawing]:
    model, signal = findings.model, findings.signal
    folder = f"models/{model.id}"
    found = [
        Drawing(
            "vision_signal",
            folder,
            {
                "layers": tuple(layer.name for layer in model.layers),
                "rectified": np.array([layer.rectified for layer in model.layers]),
                "zero": np.stack([layer.zero for layer in signal.layers]),
                "near": np.stack([layer.near_zero for layer in signal.layers]),
            },
        )
    ]
    if findings.pool:
        found += _pool(findings)
    names = tuple(f"pictures/{name}.webp" for name in findings.seen)
    shown = {"names": names, "pixels": np.stack(list(findings.seen.values())), "quality": 90}
    found.append(Drawing("photographs", folder, shown))
    found += _class_maps(folder, findings)
    for layer in model.layers:
        if layer.name in model.paged:
            found.append(_activity(folder, signal.of(layer.name), dead=layer.rectified))
            found += _maps(folder, findings, layer.name)
    found += [_filters(folder, filters) for filters in findings.filters.values()]
    first = next((f for f in findings.filters.values() if f.kind == "rgb"), None)
    if first is not None:
        found.append(Drawing("filter_card", folder, {"filters": first.values}))
    return found


def _pool(findings: VisionFindings) -> list[Drawing]:
    """The pool as the network saw it, which unit pages cut their patches from, and contact sheets."""
    how, folder = findings.model.preprocessing, f"models/{findings.model.id}"
    seen = [as_seen(open_rgb(one.path), how) for one in findings.pool]
    names = tuple(f"pool/{one.id}.webp" for one in findings.pool)
    pixels = np.stack([np.asarray(image) for image in seen])
    shown = {"names": names, "pixels": pixels, "quality": 80}
    found = [Drawing("photographs", folder, shown)]
    for layer in unit_layers(findings.model):
        exemplars = findings.exemplars.of(layer.name) if findings.exemplars else None
        if exemplars is not None:
            tiles = np.stack([_best_patch(layer, exemplars, u, seen) for u in range(layer.units)])
            arguments = {"layer": layer.name, "tiles": tiles}
            found.append(Drawing("contact_sheet", folder, arguments))
    return found


def _best_patch(
    layer: Layer, exemplars: LayerExemplars, unit: int, seen: Sequence[Image.Image]
) -> np.ndarray:
    picture = seen[int(exemplars.neuron[unit, 0])]
    left, top, width, height = field_box(layer, int(exemplars.place[unit, 0]), picture.width)
    box = (left, top, left + width, top + height)
    small = picture.resize((CONTACT, CONTACT), Image.Resampling.BOX, box=box)
    return np.asarray(small)


def _class_maps(folder: str, findings: VisionFindings) -> list[Drawing]:
    return [
        Drawing(
            "class_overlays",
            folder,
            {
                "names": tuple(f"classes/{picture}-{i}.webp" for i in range(len(found.classes))),
                "picture": findings.seen[picture],
                "maps": np.stack([each.values for each in found.classes]),
            },
        )
        for picture, found in findings.class_maps.items()
        if found.classes
    ]


def _activity(folder: str, signal: LayerSignal, *, dead: bool) -> Drawing:
    arguments = {
        "layer": signal.layer,
        "counts": signal.counts,
        "edges": signal.edges,
        "active": signal.active,
        "dead": int((signal.maximum <= 0).sum()) if dead else 0,
    }
    return Drawing("activity", folder, arguments)


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
    arguments = {
        "layer": layer,
        "pictures": tuple(name for name, _ in found),
        "maps": stacked,
        "signed": signed(findings, layer),
    }
    return [Drawing("activation_sheets", folder, arguments)]


def signed(findings: VisionFindings, layer: str) -> bool:
    """Whether a layer's activations go below zero."""
    return bool(findings.signal.of(layer).minimum.min() < 0)


def _filters(folder: str, filters: Filters) -> Drawing:
    if filters.kind == "rgb":
        return Drawing("rgb_filters", folder, {"layer": filters.layer, "filters": filters.values})
    if filters.kind == "kernels":
        return Drawing("kernel_sheet", folder, {"layer": filters.layer, "kernels": filters.values})
    arguments = {"layer": filters.layer, "matrix": filters.values, "side": MATRIX_SIDE}
    return Drawing("weight_matrix", folder, arguments)


def _text(findings: TextFindings) -> list[Drawing]:
    folder = f"models/{findings.model.id}"
    signal = findings.signal
    # Under a causal mask no head sees the next token: a map of zeros would show nothing.
    varied = [statistic for statistic in findings.statistics if statistic.mean.max() > 0]
    means = np.stack([statistic.mean for statistic in varied])
    found = [
        Drawing(
            "text_signal",
            folder,
            {
                "near": np.stack([layer.near_zero for layer in signal.layers]),
                "stream": signal.stream,
            },
        ),
        Drawing(
            "head_grids",
            folder,
            {
                "titles": tuple(s.name.replace("_", " ") for s in varied),
                "values": means,
                "most": tuple(float(mean.max()) for mean in means),
            },
        ),
    ]
    found += [_activity(folder, layer, dead=False) for layer in signal.layers]
    for attention in findings.attentions:
        tokens = tuple(readable(token) for token in attention.tokens)
        arguments = {
            "text": attention.text,
            "weights": attention.weights,
            "causal": attention.causal,
        }
        found.append(Drawing("attention_maps", folder, {**arguments, "tokens": tokens}))
        found.append(Drawing("layer_heads", folder, arguments))
    longest = max(findings.attentions, key=lambda attention: len(attention.tokens))
    found.append(Drawing("head_card", folder, {"weights": longest.weights}))
    return found
