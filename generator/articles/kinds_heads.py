"""Figures of attention: one head on one text, all heads of a layer, statistics of all heads."""

from __future__ import annotations

import numpy as np

from generator.articles.catalogue import Catalogue
from generator.articles.named_heads import measured_heads, named_heads, statistic_of
from generator.figures.figure import Figure, published
from generator.formatting import number, percent
from generator.inputs.texts import readable
from generator.pages.standings import strong_links
from generator.probes.attention import Attention
from generator.techniques.naming import Names, Numbers

_NAMED = 8
_APART = (0.1, 0.055)  # of the width and the height of a scatter, for two names


def attention_map(
    catalogue: Catalogue, model: str, layer: int | str, head: int, text: str, stack: str = ""
) -> Figure:
    """Where one head looks on one text; in an encoder-decoder a head of one `stack`."""
    heads = named_heads(catalogue, model, stack)
    row, column = heads.layer(layer), heads.head(head)
    attention = catalogue.attention(model, text, heads.stack)
    tokens, keys = _readable(attention)
    name, links = heads.name(row, column), strong_links(attention, row, column)
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
        f"Attention map of {name} on {_size(attention)}. {strongest}",
        f"Where {name} of {heads.title} looks: rows{_of(heads.stack.queries)} look, "
        f"columns{_of(heads.stack.keys)} are looked at, a row’s weights sum to 1. {strongest}",
    )


def attention_heads(
    catalogue: Catalogue,
    model: str,
    layer: int | str,
    text: str,
    heads: Numbers = (),
    stack: str = "",
) -> Figure:
    """All heads of a layer, or some, on one text; in an encoder-decoder those of one `stack`."""
    known = named_heads(catalogue, model, stack)
    row = known.layer(layer)
    chosen = [known.head(head) for head in heads] or list(range(known.count))
    attention = catalogue.attention(model, text, known.stack)
    weights = attention.weights[row, chosen]
    names = [known.name(row, head) for head in chosen]
    sink = float(weights[:, 1:, 0].mean()) if weights.shape[-2] > 1 else float("nan")
    where, size = f"{known.layer_words} {row}", _size(attention)
    return published(
        "attention_grid",
        {"titles": tuple(names), "weights": weights, "causal": attention.causal},
        f"Attention maps of {len(chosen)} heads of {where} on {size}; on average "
        f"{percent(sink)} of the weight lies on the first token.",
        f"Heads of {where} of {known.title} on one text of {size}. "
        f"Rows{_of(known.stack.queries)} look, columns{_of(known.stack.keys)} are looked at. Mean "
        f"weight on the first token: {percent(sink)}.",
    )


def _readable(attention: Attention) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tokens that look, and those that are looked at."""
    tokens, keys = (
        tuple(readable(one) for one in side) for side in (attention.tokens, attention.keys)
    )
    return tokens, keys


def _size(attention: Attention) -> str:
    if attention.source is None:
        return f"{len(attention.tokens)} tokens"
    return f"{len(attention.tokens)} × {len(attention.keys)} tokens"


def _of(side: str) -> str:
    """Which text a side of a map is, where there are two."""
    return f" ({side})" if side in {"source", "target"} else ""


def head_scatter(
    catalogue: Catalogue, model: str, x: str = "", y: str = "", heads: Names = (), stack: str = ""
) -> Figure:
    """All heads over two statistics, those with a role in colour; some can be named (L18H6)."""
    found, known = measured_heads(catalogue, model, stack), named_heads(catalogue, model, stack)
    over, up = (
        statistic_of(found, name or usual)
        for name, usual in zip((x, y), found.telling_axes, strict=True)
    )
    named = [known.place(head) for head in heads] or _outermost(over.mean, up.mean)
    best = named[0] if heads else highest(up.mean)
    said = f"{known.name(*best)} has {number(float(up.mean[best]))}"
    labels = tuple(found.definitions[one.name].name.lower() for one in (over, up))
    roles = " A colour marks a role that the effect of silencing the head confirms."
    return published(
        "head_scatter",
        {
            "labels": labels,
            "x": over.mean,
            "y": up.mean,
            "groups": tuple(found.role(*at) for at in found.places),
            "order": tuple(rule.role for rule in found.rules),
            "named": tuple(named),
            "letter": known.stack.letter,
        },
        f"Scatter plot of {up.mean.size} heads: {labels[0]} to the right, {labels[1]} upwards. "
        f"{said} in {labels[1]}.",
        f"Each mark is one of the {up.mean.size} {_heads_of(known.stack.title)} of {known.title}: "
        f"{labels[0]} to the right, {labels[1]} upwards.{roles if found.rules else ''}",
    )


def head_grid(
    catalogue: Catalogue, model: str, statistic: str, heads: Names = (), stack: str = ""
) -> Figure:
    """One statistic of all heads, layers downwards, heads to the right."""
    about, known = measured_heads(catalogue, model, stack), named_heads(catalogue, model, stack)
    found = statistic_of(about, statistic)
    named = [known.place(head) for head in heads]
    best, said_of = highest(found.mean), about.definitions[statistic]
    said = f"{known.name(*best)} is the highest with {number(float(found.mean[best]))}"
    return published(
        "head_grid",
        {
            "label": said_of.name.lower(),
            "values": found.mean,
            "named": tuple(named or [best]),
            "letter": known.stack.letter,
        },
        f"Heatmap of {said_of.name.lower()} over {found.mean.shape[0]} layers and "
        f"{found.mean.shape[1]} heads; {said}.",
        f"{said_of.name} of all {found.mean.size} {_heads_of(known.stack.title)} of {known.title}: "
        f"{said_of.formula} ({said_of.source}). {said[:1].upper()}{said[1:]}.",
    )


def _heads_of(stack: str) -> str:
    return f"{stack.lower()} heads".strip()


def highest(values: np.ndarray) -> tuple[int, int]:
    """Layer and head of the largest value, the first of equal ones."""
    layer, head = np.unravel_index(int(np.nanargmax(values)), values.shape)
    return int(layer), int(head)


def _outermost(x: np.ndarray, y: np.ndarray) -> list[tuple[int, int]]:
    """The highest heads whose names do not cover each other."""
    spread = [(one - one.min()) / (np.ptp(one) or 1) for one in (x, y)]
    found: list[tuple[int, int]] = []
    for place in np.argsort(-y, axis=None, kind="stable"):
        at = divmod(int(place), y.shape[1])
        apart = (tuple(abs(float(one[at] - one[other])) for one in spread) for other in found)
        if all(right > _APART[0] or up > _APART[1] for right, up in apart):
            found.append(at)
        if len(found) == _NAMED:
            break
    return found
