"""Every number that the pages of a model state, as tables."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from generator.deviation import sample_deviation
from generator.findings import Findings, Seq2SeqFindings, TextFindings, VisionFindings
from generator.inputs.texts import readable
from generator.models.layer import Layer
from generator.pages.evaluation_tables import evaluation_tables
from generator.pages.head_tables import head_tables
from generator.pages.patch_tables import patch_tables
from generator.pages.sections import technique_tables
from generator.pages.stack_tables import stack_tables
from generator.pages.worked import context_tables
from generator.probes.signal import LayerSignal, exact_zeros
from generator.table import Content, Table


def tables(found: Findings) -> Iterator[Table]:
    """The numbers of one model."""
    yield Table("layers.csv", partial(_layers, found))
    if found.run is not None:
        yield from technique_tables(found.run)
    if isinstance(found, Seq2SeqFindings):
        yield from stack_tables(found.stacks)
        yield Table("answers.csv", partial(_answers, found))
        return
    yield Table("predictions.csv", partial(_predictions, found))
    yield from evaluation_tables(found)
    if isinstance(found, VisionFindings):
        yield from patch_tables(found)
        return
    yield from head_tables(found)
    if found.worked is not None:
        yield from context_tables(found.worked.steps)


_LAYER_COLUMNS = (
    "layer", "kind", "shape", "parameters", "sparsity", "sparsity_sd", "near_zero", "near_zero_sd",
    "units", "activation",
)  # fmt: skip


def _layers(found: Findings) -> Content:
    vision = isinstance(found, VisionFindings)
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
    named = [layer.layer for layer in found.signal.layers] or [
        one.name for one in found.model.layers
    ]
    places = {name: place for place, name in enumerate(named)}
    for layer in found.model.layers:
        place = places.get(layer.name)  # cross attention has no activations of its own
        signal = None if place is None or not found.signal.layers else found.signal.layers[place]
        size = "" if vision or place is None else found.signal.stream[place].mean()
        more = (
            _vision_row(layer, signal)
            if vision and signal
            else (layer.heads, layer.kv_groups, size)
        )
        rows.append((*_layer_row(layer, signal), *more))
    return (*_LAYER_COLUMNS, *extra), rows


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


def _predictions(found: VisionFindings | TextFindings) -> Content:
    vision = isinstance(found, VisionFindings)
    rows = [
        (
            prediction.input,
            prediction.kind,
            place,
            # Tokens show their white space; the names of classes are plain words.
            guess.label if vision else readable(guess.label),
            guess.score,
            prediction.loss,
        )
        for prediction in found.predictions.values()
        for place, guess in enumerate(prediction.guesses, start=1)
    ]
    return ("input", "kind", "place", "answer", "score", "loss_nats"), rows


def _answers(found: Seq2SeqFindings) -> Content:
    """What the decoder read and was to write, token by token."""
    rows = []
    for text, pair in found.pairs.items():
        how = "answer" if pair.generated else "given"
        tokens = zip(pair.read.tokens, pair.written.tokens, strict=True)
        for place, (read, written) in enumerate(tokens):
            rows.append((text, how, place, readable(read), readable(written), pair.loss))
    return ("text", "target", "place", "read", "written", "loss_nats"), rows
