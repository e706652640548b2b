"""Which figures a transformer's findings are drawn as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from generator.figures.attention import block_maximum, grain
from generator.figures.figure import Drawing
from generator.findings import TextFindings
from generator.inputs.texts import readable
from generator.models.layer import Layer
from generator.plates.stacks import grids_drawing, scatter_drawing
from generator.probes.attention import Attention
from generator.probes.norms import rollout, sink_masked, weighted
from generator.techniques.activity import activity_drawing

# A drawn map of every head on every text would weigh more than the rest of a site. The other texts stand
# on the layer pages, all heads side by side, and in the components.
DRAWN = 2


def text_drawings(findings: TextFindings) -> list[Drawing]:
    """The signal, the grids of statistics, every layer's activity, and the maps of every text."""
    folder = f"models/{findings.model.id}"
    signal = findings.signal
    found = [signal_drawing(findings)] if signal.layers else []
    found += [grids_drawing(findings.stack)]
    found += [activity_drawing(folder, layer, dead=False) for layer in signal.layers]
    for number, attention in enumerate(findings.stack.attentions):
        found += attention_drawings(findings.model.layers, attention, folder, maps=number < DRAWN)
    found += _heads(findings, folder)
    found += _readings(findings, folder)
    longest = max(findings.stack.attentions, key=lambda attention: len(attention.tokens))
    found.append(head_card(longest, folder))
    return found


def signal_drawing(findings: TextFindings) -> Drawing:
    """Near-zero activations and the size of the residual stream, layer by layer."""
    signal = findings.signal
    near = np.stack([layer.near_zero for layer in signal.layers])
    arguments = {"near": near, "stream": signal.stream}
    return Drawing("text_signal", arguments, (f"models/{findings.model.id}/signal.svg",))


def attention_drawings(
    layers: Sequence[Layer], attention: Attention, folder: str, *, maps: bool
) -> list[Drawing]:
    """The sheet of each layer's heads on one text, and with `maps` a labelled map of each head.

    Of a long text each cell is the largest weight of a block (see `grain`), named after its first tokens.
    """
    block = grain(*attention.weights.shape[2:])
    arguments: dict[str, Any] = {
        "weights": block_maximum(attention.weights, block),
        "causal": attention.causal,
    }
    inside = [f"{folder}/layers/{layer.name}" for layer in layers]
    sheets = tuple(f"{one}/heads-{attention.text}.webp" for one in inside)
    found = [Drawing("layer_heads", arguments, sheets)]
    if maps:
        names = {
            "tokens": tuple(readable(token) for token in attention.tokens[::block]),
            "keys": tuple(readable(token) for token in attention.keys[::block]),
        }
        heads = range(attention.weights.shape[1])
        paths = [f"{one}/heads/{head}/{attention.text}.webp" for one in inside for head in heads]
        found.append(Drawing("attention_maps", {**arguments, **names}, tuple(paths)))
    return found


def _heads(findings: TextFindings, folder: str) -> list[Drawing]:
    """The scatter of all heads, and for a decoder who wrote its answer and how it came about."""
    found = [scatter_drawing(findings.stack)]
    for lens, attribution in findings.decoded:
        if not lens.reason:
            course = {
                "probability": lens.final_probability[:, -1],
                "divergence": lens.divergence[:, -1],
            }
            found.append(
                Drawing("lens_course", course, (f"{folder}/decoding/course-{lens.text}.svg",))
            )
        shares = attribution.above_mean
        if shares is not None:
            written = {"heads": shares.heads, "mlps": shares.mlps}
            path = f"{folder}/decoding/shares-{lens.text}.svg"
            found.append(Drawing("logit_shares", written, (path,)))
    return found


def head_card(attention: Attention, folder: str) -> Drawing:
    """The picture of the model's card in the gallery: all heads on one text."""
    arguments = {"weights": coarse(attention.weights)}
    return Drawing("head_card", arguments, (f"{folder}/card.webp",))


def coarse(weights: np.ndarray) -> np.ndarray:
    """Weights as they are drawn: blocks of a long text."""
    return block_maximum(weights, grain(*weights.shape[2:]))


def readings(findings: TextFindings) -> dict[str, np.ndarray]:
    """The first text's weights read in several ways, (layers, heads, queries, keys), from 0 to 1.

    Weighted maps have no natural scale: each head's is divided by its largest entry. Of a long text
    they are blocks.
    """
    raw, norms = findings.stack.attentions[0].weights, findings.norms
    found = {"weights": coarse(raw)}
    if not norms.reason:
        found["value-weighted"] = _own_scale(coarse(weighted(raw, norms.value)))
        found["norm-weighted"] = _own_scale(coarse(weighted(raw, norms.output)))
    found["without sinks"] = coarse(sink_masked(raw, norms.sinks))
    return found


def _own_scale(maps: np.ndarray) -> np.ndarray:
    most = maps.max((-1, -2), keepdims=True)
    return np.divide(maps, most, out=np.zeros_like(maps), where=most > 0)


def _readings(findings: TextFindings, folder: str) -> list[Drawing]:
    """The readings of the first text for each layer, and its rollout behind a few layers."""
    attention = findings.stack.attentions[0]
    maps = readings(findings)
    heads = range(findings.model.heads)
    found = []
    for layer in findings.model.layers:
        arguments = {
            "names": tuple(maps),
            "heads": tuple(f"L{layer.index}H{head}" for head in heads),
            "maps": np.stack([one[layer.index] for one in maps.values()]).astype(np.float32),
            "causal": attention.causal,
        }
        found.append(
            Drawing("head_readings", arguments, (f"{folder}/layers/{layer.name}/readings.webp",))
        )
    path = f"{folder}/rollout-{attention.text}.svg"
    return [*found, rollout_drawing(attention.tokens, rollout(attention.weights), path)]


def rollout_drawing(tokens: Sequence[str], followed: np.ndarray, path: str) -> Drawing:
    """Rollout (layers, positions, inputs) over one text, behind a few layers; blocks of a long text."""
    block = grain(*followed.shape[1:])
    count = len(followed)
    shown = sorted({0, count // 8, count // 4, count - 1})  # most happens early
    arguments = {
        "tokens": tuple(readable(token) for token in tokens[::block]),
        "layers": tuple(shown),
        "maps": block_maximum(followed[:, None], block)[:, 0][shown],
    }
    return Drawing("rollout_maps", arguments, (path,))
