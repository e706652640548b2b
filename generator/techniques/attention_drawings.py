"""Attention over tokens, drawn: figures of articles, and for pages the heads of a layer and labelled maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from generator.figures.attention import block_maximum, grain
from generator.figures.figure import Drawing, Figure, published
from generator.formatting import number, percent
from generator.inputs.texts import readable
from generator.models.stacks import Stack
from generator.probes.attention import Attention, measure_attention
from generator.probes.seq2seq import measure_pair, measure_pair_attention
from generator.run import PAIRS, Run
from generator.techniques.measured_stack import StackHeads, stack_named
from generator.techniques.naming import Numbers
from generator.techniques.standings import strong_links


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


def attention_on(run: Run, text: str, stack: Stack) -> Attention:
    """The weights of a stack on one text. Raises UsageError with the nearest text."""
    chosen = run.text(text)
    if run.reads == PAIRS:
        pair = measure_pair(run.pair, chosen, run.store)
        return measure_pair_attention(run.pair, pair, run.store).of(stack)
    return measure_attention(run.language, chosen, run.store)


def attention_map(run: Run, layer: int | str, head: int, text: str, stack: str = "") -> Figure:
    """Where one head looks on one text; in an encoder-decoder a head of one `stack`."""
    heads = stack_named(run.model, stack)
    row, column = heads.layer_named(layer), heads.head_numbered(head)
    attention = attention_on(run, text, heads.stack)
    tokens, keys = (
        tuple(readable(one) for one in side) for side in (attention.tokens, attention.keys)
    )
    name, links = heads.head(row, column), strong_links(attention, row, column)
    weights = attention.weights[row, column]
    strongest = (
        f"Past the first token the strongest link goes from ‘{links[0].query}’ to ‘{links[0].key}’ "
        f"({number(links[0].weight)})."
        if links
        else "All weight lies on the first token."
    )
    return published(
        "attention_map",
        {"tokens": tokens, "keys": keys, "weights": weights, "causal": attention.causal},
        f"Attention map of {name} on {size_of(attention)}. {strongest}",
        f"Where {name} of {run.model.title} looks: rows{_of(heads.stack.queries)} look, "
        f"columns{_of(heads.stack.keys)} are looked at, a row’s weights sum to 1. {strongest}",
    )


def attention_heads(
    run: Run, layer: int | str, text: str, heads: Numbers = (), stack: str = ""
) -> Figure:
    """All heads of a layer, or some, on one text; in an encoder-decoder those of one `stack`."""
    known = stack_named(run.model, stack)
    row = known.layer_named(layer)
    chosen = [known.head_numbered(head) for head in heads] or list(range(known.heads))
    attention = attention_on(run, text, known.stack)
    weights = attention.weights[row, chosen]
    names = [known.head(row, head) for head in chosen]
    sink = on_first_token(weights)
    where, size = f"{known.layer_words} {row}", size_of(attention)
    return published(
        "attention_grid",
        {"titles": tuple(names), "weights": weights, "causal": attention.causal},
        f"Attention maps of {len(chosen)} heads of {where} on {size}; on average "
        f"{percent(sink)} of the weight lies on the first token.",
        f"Heads of {where} of {run.model.title} on one text of {size}. "
        f"Rows{_of(known.stack.queries)} look, columns{_of(known.stack.keys)} are looked at. Mean "
        f"weight on the first token: {percent(sink)}.",
    )


def _of(side: str) -> str:
    """Which text a side of a map is, where there are two."""
    return f" ({side})" if side in {"source", "target"} else ""
