"""Every number that a page states, as CSV, and the provenance of all of it as JSON."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from generator import __version__
from generator.cards.tables import card_tables
from generator.deviation import sample_deviation
from generator.exhibit import Exhibit
from generator.findings import Findings, Seq2SeqFindings, TextFindings, VisionFindings
from generator.inputs.texts import readable
from generator.models.layer import Layer
from generator.pages.csv_text import as_csv
from generator.pages.definitions import definitions_of
from generator.pages.head_tables import head_tables
from generator.pages.page import data_address
from generator.pages.patch_data import patch_files
from generator.pages.seq2seq_tables import seq2seq_inputs, seq2seq_tables
from generator.pages.standings import order_heads, strong_links
from generator.pages.vision_tables import vision_tables
from generator.pages.worked import context_tables
from generator.probes import heads as head_probe
from generator.probes.signal import LayerSignal, exact_zeros

LIBRARIES = (
    "torch",
    "torchvision",
    "transformers",
    "timm",
    "numpy",
    "matplotlib",
    "mkdocs-material",
)


def tables(found: Findings) -> Iterator[tuple[str, str]]:
    """The numbers of one model as tables: address in the site, and text."""
    name = found.model.id
    yield data_address(name, "layers.csv"), _layers(found)
    if isinstance(found, Seq2SeqFindings):
        yield from seq2seq_tables(found)
        return
    yield data_address(name, "predictions.csv"), _predictions(found)
    for table, text in card_tables(found):
        yield data_address(name, table), text
    if isinstance(found, TextFindings):
        yield data_address(name, "heads.csv"), _heads(found)
        yield data_address(name, "heads_by_text.csv"), _heads_by_text(found)
        yield data_address(name, "statistics.csv"), _statistics(found)
        yield data_address(name, "links.csv"), _links(found)
        for table, text in head_tables(found):
            yield data_address(name, table), text
        if found.worked is not None:
            for table, text in context_tables(found.worked.steps):
                yield data_address(name, table), text
    else:
        for table, text in vision_tables(found):
            yield data_address(name, table), text
        yield from patch_files(found)


_LAYER_COLUMNS = (
    "layer", "kind", "shape", "parameters", "sparsity", "sparsity_sd", "near_zero", "near_zero_sd",
    "units", "activation",
)  # fmt: skip


def _layers(found: Findings) -> str:
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
    return as_csv((*_LAYER_COLUMNS, *extra), rows)


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


def _heads(found: TextFindings) -> str:
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
    return as_csv(header, rows)


def _statistics(found: TextFindings) -> str:
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
    return as_csv(header, rows)


def _heads_by_text(found: TextFindings) -> str:
    model = found.model
    on_texts = [s for s in found.statistics if s.name in _ON_TEXTS]
    rows = [
        (layer, head, text.id, *(s.values[number, layer, head] for s in on_texts))
        for number, text in enumerate(found.texts)
        for layer, head in np.ndindex(len(model.layers), model.heads)
    ]
    return as_csv(("layer", "head", "text", *(s.name for s in on_texts)), rows)


_ON_TEXTS = {
    "entropy_nats", "relative_entropy", "mean_distance", "previous_token", "next_token",
    "sink_mass", "delimiter_mass",
}  # fmt: skip


def _links(found: TextFindings) -> str:
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
    return as_csv(header, rows)


def _predictions(found: VisionFindings | TextFindings) -> str:
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
    return as_csv(("input", "kind", "place", "answer", "score", "loss_nats"), rows)


def manifest(exhibit: Exhibit, findings: Sequence[Findings]) -> str:
    """Sources, digests, versions, seed and parameters; nothing that changes from run to run."""
    stated = {
        "generator": {"name": "cutaway", "version": __version__},
        "exhibit": {"title": exhibit.title, "seed": exhibit.seed},
        "environment": environment(),
        "models": [_model(found) for found in findings],
    }
    return json.dumps(stated, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def environment() -> dict[str, Any]:
    """The interpreter, the machine and the libraries that everything was measured with."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _model(found: Findings) -> dict[str, Any]:
    model, origin = found.model, found.model.provenance
    stated: dict[str, Any] = {
        "id": model.id,
        "title": model.title,
        "kind": model.kind,
        "parameters": model.parameters,
        "layers": len(model.layers),
        "device": model.device.type,
        "source": origin.source,
        "origin": origin.origin,
        "revision": origin.revision,
        "files": dict(origin.files),
        "weights_sha256": origin.weights_sha256,
        "architecture": origin.architecture,
        "licence": origin.licence,
        "checks": [
            {
                "name": check.name,
                "says": check.says,
                "passed": check.passed,
                "difference": check.difference if math.isfinite(check.difference) else None,
            }
            for check in model.trial
        ],
        "left_out": {part.name: part.reason for part in model.left_out},
        "notes": list(origin.notes),
    }
    if isinstance(found, VisionFindings):
        stated["pool"] = {one.id: one.sha256 for one in found.pool}
        stated |= _patches(found)
        stated["preprocessing"] = found.model.preprocessing.model_dump(mode="json")
        stated["inputs"] = [
            {
                "id": i.id,
                "label": i.label,
                "sha256": i.sha256,
                "licence": i.licence,
                "origin": i.origin,
            }
            for i in found.images
        ]
    elif isinstance(found, Seq2SeqFindings):
        stated |= seq2seq_inputs(found)
    else:
        stated["inputs"] = [
            {"id": text.id, "text": text.text, "tokens": len(found.encodings[text.id].ids)}
            for text in found.texts
        ]
        stated["repeated_sequences"] = head_probe.SEQUENCES
        stated["silenced_on"] = {
            "texts": list(found.heads.texts.inputs),
            "repeated_sequences": len(found.heads.repeats.inputs),
        }
        stated["effects_tested_on"] = {
            "texts": list(found.heads.named.held_out.texts.inputs),
            "repeated_sequences": len(found.heads.named.held_out.repeats.inputs),
        }
        stated["random_twin_seed"] = found.heads.control.seed
        if (
            found.model.windows
        ):  # how many tokens away is not seen, by layer; 0 where nothing ends it
            stated["windows"] = {layer.name: layer.window for layer in found.model.layers}
    return stated


def _patches(found: VisionFindings) -> dict[str, Any]:
    """How a vision transformer cuts its pictures, and the seed of its random twin."""
    if found.patches is None:
        return {"no_attention": found.model.no_attention} if found.model.no_attention else {}
    grid = found.patches.attention.grid
    return {
        "patches": {
            "grid": [grid.rows, grid.columns],
            "pixels": [grid.height, grid.width],
            "other_tokens": list(grid.special),
        },
        "random_twin_seed": found.patches.control.control.seed,
    }
