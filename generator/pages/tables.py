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
from generator.pages.definitions import definitions_of
from generator.pages.evaluation_tables import evaluation_tables
from generator.pages.head_tables import head_tables
from generator.pages.sections import technique_tables
from generator.pages.seq2seq_tables import LAYERS, seq2seq_tables
from generator.pages.standings import order_heads, strong_links
from generator.pages.vision_tables import vision_tables
from generator.pages.worked import context_tables
from generator.probes.signal import LayerSignal, exact_zeros
from generator.table import Content, Table


def tables(found: Findings) -> Iterator[Table]:
    """The numbers of one model."""
    yield Table(LAYERS, partial(_layers, found))
    if found.run is not None and not isinstance(found, VisionFindings):
        yield from technique_tables(found.run)
    if isinstance(found, Seq2SeqFindings):
        yield from seq2seq_tables(found)
        return
    yield Table("predictions.csv", partial(_predictions, found))
    yield from evaluation_tables(found)
    if isinstance(found, VisionFindings):
        yield from vision_tables(found)
        return
    yield Table("heads.csv", partial(_heads, found))
    yield Table("heads_by_text.csv", partial(_heads_by_text, found))
    yield Table("statistics.csv", partial(_statistics, found))
    yield Table("links.csv", partial(_links, found))
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
    places = {layer.layer: place for place, layer in enumerate(found.signal.layers)}
    for layer in found.model.layers:
        place = places.get(layer.name)  # cross attention has no activations of its own
        signal = None if place is None else found.signal.layers[place]
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


def _heads(found: TextFindings) -> Content:
    model, statistics = found.model, found.statistics
    header = ["layer", "head", "kv_group", "role", "near_role"]
    for statistic in statistics:
        header += [f"{statistic.name}{end}" for end in ("", "_sd", "_rank", "_percentile")]
    header.append("patterns")
    order = order_heads(found.statistics)
    rows = []
    for layer, head in np.ndindex(len(model.layers), model.heads):
        role = found.heads.roles[layer][head]
        row: list[Any] = [layer, head, head * model.kv_groups // model.heads, role.role, role.near]
        for statistic in statistics:
            row += [statistic.mean[layer, head], statistic.spread[layer, head]]
            row.append(int(order.ranks[statistic.name][layer, head]))
            row.append(order.percentiles[statistic.name][layer, head])
        rows.append([*row, "; ".join(role.patterns)])
    return header, rows


def _statistics(found: TextFindings) -> Content:
    """What each column of heads.csv means, and its controls: an even spread, and random weights."""
    words = definitions_of(found.heads.texts.measure)
    rows = [
        (
            statistic.name,
            words[statistic.name].formula,
            words[statistic.name].source,
            words[statistic.name].probe,
            statistic.probes,
            statistic.uniform,
            found.heads.control.mean(statistic.name),
            found.heads.control.highest(statistic.name),
        )
        for statistic in found.statistics
    ]
    header = (
        "statistic", "definition", "source", "probe", "probes", "uniform_attention",
        "random_twin_mean", "random_twin_highest",
    )  # fmt: skip
    return header, rows


def _heads_by_text(found: TextFindings) -> Content:
    model = found.model
    on_texts = [s for s in found.statistics if s.name in _ON_TEXTS]
    rows = [
        (layer, head, text.id, *(s.values[number, layer, head] for s in on_texts))
        for number, text in enumerate(found.texts)
        for layer, head in np.ndindex(len(model.layers), model.heads)
    ]
    return ("layer", "head", "text", *(s.name for s in on_texts)), rows


_ON_TEXTS = {
    "entropy_nats", "relative_entropy", "mean_distance", "previous_token", "next_token",
    "sink_mass", "delimiter_mass",
}  # fmt: skip


def _links(found: TextFindings) -> Content:
    rows = [
        (
            layer,
            head,
            attention.text,
            link.query_place,
            link.query,
            link.key_place,
            link.key,
            link.weight,
        )
        for attention in found.attentions
        for layer, head in np.ndindex(len(found.model.layers), found.model.heads)
        for link in strong_links(attention, layer, head)
    ]
    header = ("layer", "head", "text", "query", "query_token", "key", "key_token", "weight")
    return header, rows


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
