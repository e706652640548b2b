"""Attention over tokens, drawn: the heads of a layer side by side, labelled maps, the card of a model."""

from __future__ import annotations

from collections.abc import Sequence

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

    def make() -> Drawing:
        blocks = {"weights": coarse(attention.weights), "causal": attention.causal}
        return Drawing("layer_heads", blocks, tuple(paths))

    return run.once(("sheets", stack.stack, attention.text), make)


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

    def make() -> Drawing:
        weights = np.stack([attention.weights[at] for at in heads])
        weights[list(without_first), :, 0] = 0
        folders = _folders(run, stack)
        paths = (f"{folders[layer]}/heads/{head}/{attention.text}.webp" for layer, head in heads)
        names, causal = named_sides(attention, weights.shape[1:]), attention.causal
        drawn = {"weights": coarse(weights[None]), "causal": causal, **names}
        return Drawing("attention_maps", drawn, tuple(paths))

    return run.once(("maps", stack.stack, attention.text), make)


def named_sides(attention: Attention, shape: Sequence[int]) -> dict[str, tuple[str, ...]]:
    """The tokens on both sides of a map (queries, keys), of a long text the first of each block."""
    block, sides = grain(*shape), (("tokens", attention.tokens), ("keys", attention.keys))
    return {side: tuple(readable(token) for token in tokens[::block]) for side, tokens in sides}


def _folders(run: Run, stack: StackHeads) -> list[str]:
    return [f"{run.folder}/layers/{layer.name}" for layer in stack.layers]


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
