"""Which figures an encoder-decoder's findings are drawn as."""

from __future__ import annotations

import numpy as np

from generator.figures.figure import Drawing
from generator.findings import Seq2SeqFindings, StackFindings
from generator.models.stacks import CROSS, DECODER, ENCODER
from generator.plates.stacks import grids_drawing, scatter_drawing
from generator.plates.text import DRAWN, attention_drawings, head_card
from generator.probes.signal import Signal
from generator.techniques.activity import activity_drawing


def seq2seq_drawings(findings: Seq2SeqFindings) -> list[Drawing]:
    """The signal of encoder and decoder, each layer's activity, and of each stack grids and maps."""
    folder = f"models/{findings.model.id}"
    found = [_signal(findings.signal, one, folder) for one in findings.stacks if _reads(one)]
    found += [activity_drawing(folder, layer, dead=False) for layer in findings.signal.layers]
    for stack in findings.stacks:
        found += [grids_drawing(stack), scatter_drawing(stack)]
        for number, attention in enumerate(stack.attentions):
            found += attention_drawings(stack.layers, attention, folder, maps=number < DRAWN)
    longest = max(findings.of(CROSS).attentions, key=lambda one: one.weights[0, 0].size)
    return [*found, head_card(longest, folder)]


def _reads(stack: StackFindings) -> bool:
    return stack.stack in (ENCODER, DECODER)


def _signal(signal: Signal, stack: StackFindings, folder: str) -> Drawing:
    names = {layer.name for layer in stack.layers}
    places = [place for place, layer in enumerate(signal.layers) if layer.layer in names]
    arguments = {
        "near": np.stack([signal.layers[place].near_zero for place in places]),
        "stream": signal.stream[places],
    }
    return Drawing("text_signal", arguments, (f"{folder}/signal-{stack.stack.name}.svg",))
