"""Which figures a transformer's findings are drawn as."""

from __future__ import annotations

import numpy as np

from generator.figures.render import Drawing
from generator.findings import TextFindings
from generator.inputs.texts import readable
from generator.plates.activity import activity


def text_drawings(findings: TextFindings) -> list[Drawing]:
    """The signal, the grids of statistics, every layer's activity, and the maps of every text."""
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
    found += [activity(folder, layer, dead=False) for layer in signal.layers]
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
