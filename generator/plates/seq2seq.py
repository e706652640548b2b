"""Which figures an encoder-decoder's findings are drawn as."""

from __future__ import annotations

import numpy as np

from generator.figures.attention import block_maximum, grain
from generator.figures.figure import Drawing
from generator.findings import Seq2SeqFindings, StackFindings
from generator.inputs.texts import readable
from generator.models.stacks import CROSS, DECODER, ENCODER
from generator.plates.stacks import grids_drawing, scatter_drawing
from generator.plates.text import DRAWN, attention_drawings, head_card, rollout_drawing
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
    found += _rollouts(findings)
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


def rollout_path(stack: StackFindings) -> str:
    """Where the rollout behind a stack's blocks is drawn."""
    return f"models/{stack.model.id}/{stack.stack.part('rollout')}-{stack.attentions[0].text}"


def _rollouts(findings: Seq2SeqFindings) -> list[Drawing]:
    """What the positions of encoder and decoder are made of on the first text.

    Between two texts a labelled map shows the shares behind the last block.
    """
    rolled, (encoder, decoder, cross) = findings.rollout, findings.stacks
    between = cross.attentions[0]
    block = grain(*rolled.crossed.shape[1:])
    labelled = {
        "weights": block_maximum(rolled.crossed[-1:, None], block),
        "causal": False,
        "tokens": tuple(readable(token) for token in between.tokens[::block]),
        "keys": tuple(readable(token) for token in between.keys[::block]),
    }
    return [
        rollout_drawing(
            encoder.attentions[0].tokens, rolled.source, f"{rollout_path(encoder)}.svg"
        ),
        rollout_drawing(
            decoder.attentions[0].tokens, rolled.target, f"{rollout_path(decoder)}.svg"
        ),
        Drawing("attention_maps", labelled, (f"{rollout_path(cross)}.webp",)),
    ]
