"""Attention over tokens, drawn: the heads of a layer side by side, labelled maps, the card of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from generator.figures.attention import block_maximum, grain
from generator.figures.figure import Drawing
from generator.inputs.texts import readable
from generator.probes.attention import Attention
from generator.run import Run
from generator.techniques.measured_stack import StackHeads


def sheets(run: Run, stack: StackHeads, attention: Attention) -> Drawing:
    """The heads of each layer on one text, a picture a layer."""
    paths = (f"{folder}/heads-{attention.text}.webp" for folder in _folders(run, stack))
    return run.once(
        ("sheets", stack.stack, attention.text),
        lambda: Drawing("layer_heads", _blocks(attention), tuple(paths)),
    )


def maps(
    run: Run,
    stack: StackHeads,
    attention: Attention,
    heads: Sequence[tuple[int, int]],
    without_first: Sequence[bool],
) -> Drawing:
    """A labelled map of each of some heads on one text, a picture a head, of some without the first token.

    A drawn map of every head on every text would weigh more than the rest of a site: each head has one, on
    the text that its page opens on. Of a long text each cell is the largest weight of a block (see `grain`),
    named after its first tokens.
    """
    return run.once(
        ("maps", stack.stack, attention.text),
        lambda: _maps(run, stack, attention, heads, without_first),
    )


def _maps(
    run: Run,
    stack: StackHeads,
    attention: Attention,
    heads: Sequence[tuple[int, int]],
    without_first: Sequence[bool],
) -> Drawing:
    weights = np.stack([attention.weights[at] for at in heads])
    weights[list(without_first), :, 0] = 0
    block = grain(*weights.shape[1:])
    sides = (("tokens", attention.tokens), ("keys", attention.keys))
    names = {side: tuple(readable(token) for token in tokens[::block]) for side, tokens in sides}
    folders = _folders(run, stack)
    paths = (f"{folders[layer]}/heads/{head}/{attention.text}.webp" for layer, head in heads)
    drawn = {"weights": coarse(weights[None]), "causal": attention.causal}
    return Drawing("attention_maps", {**drawn, **names}, tuple(paths))


def _folders(run: Run, stack: StackHeads) -> list[str]:
    return [f"{run.folder}/layers/{layer.name}" for layer in stack.layers]


def _blocks(attention: Attention) -> dict[str, Any]:
    return {"weights": coarse(attention.weights), "causal": attention.causal}


def coarse(weights: np.ndarray) -> np.ndarray:
    """Weights as they are drawn: blocks of a long text."""
    return block_maximum(weights, grain(*weights.shape[2:]))


def grain_note(attention: Attention) -> str:
    """What a drawn map shows of a long text; empty for any other."""
    block = grain(len(attention.tokens), len(attention.keys))
    return f" Each cell is the largest of {block} × {block} weights." if block > 1 else ""


def size_of(attention: Attention) -> str:
    """How many tokens look, and how many are looked at where these are others."""
    if attention.source is None:
        return f"{len(attention.tokens)} tokens"
    return f"{len(attention.tokens)} × {len(attention.keys)} tokens"


def on_first_token(weights: np.ndarray) -> float:
    """Mean weight on the first token over all later queries; NaN for a single one."""
    return float(weights[..., 1:, 0].mean()) if weights.shape[-2] > 1 else float("nan")


def head_card(run: Run, attention: Attention) -> Drawing:
    """The picture of the model's card in the gallery: all heads on one text."""
    return Drawing(
        "head_card", {"weights": coarse(attention.weights)}, (f"{run.folder}/card.webp",)
    )
