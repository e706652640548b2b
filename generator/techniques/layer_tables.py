"""The table of all layers."""

from typing import Any

import numpy as np

from generator.models.layer import Layer
from generator.models.model import Model, VisionModel
from generator.models.seq2seq import CROSS_KIND
from generator.probes.flops import Flops
from generator.probes.signal import LayerSignal, Signal, exact_zeros
from generator.table import Content
from generator.uncertainty import sample_deviation

_LAYER_COLUMNS = (
    "layer", "kind", "shape", "parameters", "sparsity", "sparsity_sd", "near_zero", "near_zero_sd",
    "units", "activation",
)  # fmt: skip


def layer_rows(model: Model, found: Signal, flops: Flops) -> Content:
    """Each layer with what it is made of, what it costs, and its shares of zero and near zero."""
    vision = isinstance(model, VisionModel)
    extra = (
        (
            *("dead_units", "field_height", "field_width", "field_stride", "field_start"),
            "norm_parameters",
        )
        if vision
        else ("heads", "kv_groups", "stream_rms")
    )
    rows = []
    # Where MLPs are left out, what a block hands on is still known.
    blocks = [layer.name for layer in model.layers if layer.kind != CROSS_KIND]
    named = [one.layer for one in found.layers] or blocks
    places = {name: place for place, name in enumerate(named)}
    for layer in model.layers:
        place = places.get(layer.name)  # cross attention has no activations of its own
        signal = None if place is None or not found.layers else found.layers[place]
        size = "" if vision or place is None else found.stream[place].mean()
        more = (
            _vision_row(layer, signal)
            if vision and signal
            else (layer.heads, layer.kv_groups, size)
        )
        rows.append((*_layer_row(layer, signal), *more, flops.layers[layer.name]))
    return (*_LAYER_COLUMNS, *extra, "flops"), rows


def _layer_row(layer: Layer, signal: LayerSignal | None) -> tuple[Any, ...]:
    what = (
        layer.name,
        layer.kind,
        "x".join(str(side) for side in layer.shape),
        layer.parameters,
    )
    if signal is None:
        return (*what, "", "", "", "", "", "")
    return (
        *what,
        *(n for shares in (exact_zeros(layer, signal), signal.near_zero) for n in _both(shares)),
        len(signal.active),
        layer.activation or "",
    )


def _both(shares: np.ndarray) -> tuple[float, float]:
    return float(shares.mean()), float(sample_deviation(shares))


def _vision_row(layer: Layer, signal: LayerSignal) -> tuple[Any, ...]:
    norm = layer.norm_parameters
    dead: int | str = int((signal.maximum <= 0).sum()) if layer.rectified else ""
    if layer.receptive_field is None:
        return (dead, "", "", "", "", norm)
    vertical, horizontal = layer.receptive_field
    if vertical.whole:
        return (dead, "whole", "whole", "", "", norm)
    return (dead, vertical.size, horizontal.size, vertical.stride, vertical.start, norm)
