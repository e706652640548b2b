"""Figures of attention over tokens for articles and papers: one head, or the heads of a layer."""

from __future__ import annotations

from generator.figures.figure import Figure, published
from generator.formatting import number, percent
from generator.inputs.texts import readable
from generator.models.stacks import Stack
from generator.probes.attention import Attention, measure_attention
from generator.probes.seq2seq import measure_pair, measure_pair_attention
from generator.run import PAIRS, Run
from generator.techniques.attention_drawings import on_first_token, size_of
from generator.techniques.measured_stack import stack_named
from generator.techniques.naming import Numbers
from generator.techniques.standings import strong_links


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
