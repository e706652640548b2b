"""Heads over tokens: their maps on each text, for the page of one head and for that of a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.figures.attention import sheet_columns
from generator.figures.figure import Figure
from generator.findings import StackFindings
from generator.formatting import number, percent
from generator.pages.components import Component, head_component, layer_component
from generator.pages.environment import Pages
from generator.pages.heads import HeadMaps
from generator.pages.quotes import Quote
from generator.pages.standings import StrongLink, grain_note, strong_links
from generator.probes.attention import Attention

Quotes = dict[str, Quote]


@dataclass(frozen=True)
class TokenMap:
    """One head on one text; `figure` is None where the map is not drawn."""

    quote: Quote
    links: tuple[StrongLink, ...]
    component: Component
    figure: Figure | None


@dataclass(frozen=True)
class Sheet:
    """All heads of a layer on one text."""

    quote: Quote
    component: Component
    figure: Figure
    columns: int


def token_maps(
    stack: StackFindings, quotes: Quotes, layer: int, head: int, pages: Pages
) -> HeadMaps:
    """One head on every text; the first one's weights stand in the page itself."""
    return HeadMaps(
        "partials/token_maps.html",
        tuple(
            _map(stack, attention, quotes[attention.text], layer, head, pages, embed=number == 0)
            for number, attention in enumerate(stack.attentions)
        ),
    )


def _map(
    stack: StackFindings,
    attention: Attention,
    quote: Quote,
    layer: int,
    head: int,
    pages: Pages,
    *,
    embed: bool,
) -> TokenMap:
    """One text; its weights stand in the page itself with `embed`, in a script of their own without."""
    links = strong_links(attention, layer, head)
    sink = number(_sink(attention.weights[layer, head]))
    strongest = (
        f"the strongest link past the first token goes from '{links[0].query}' to '{links[0].key}' "
        f"({number(links[0].weight)})"
        if links
        else "all weight lies on the first token"
    )
    size = size_of(attention)
    folder = f"models/{stack.model.id}/layers/{stack.layers[layer].name}"
    path = f"{folder}/heads/{head}/{attention.text}.webp"
    figure = None
    if pages.has(path):
        alt = (
            f"Attention map of {stack.head(layer, head)} on {size}: {strongest}; mean weight on the first "
            f"token {sink}."
        )
        caption = f"{size}. Mean weight on the first token: {sink}.{grain_note(attention)}"
        figure = pages.figure(path, alt, caption, kind="attention_map", ink=True)
    neurons = _with_vectors(stack, attention)
    component = head_component(stack.model.id, attention, layer, head, neurons=neurons, embed=embed)
    return TokenMap(quote, tuple(links), component, figure)


def layer_sheets(
    stack: StackFindings, quotes: Quotes, layer: int, pages: Pages
) -> tuple[Sheet, ...]:
    """All heads of a layer on every text."""
    return tuple(
        _sheet(stack, attention, quotes[attention.text], layer, pages)
        for attention in stack.attentions
    )


def _sheet(
    stack: StackFindings, attention: Attention, quote: Quote, layer: int, pages: Pages
) -> Sheet:
    name = stack.layers[layer].name
    sink = percent(_sink(attention.weights[layer]))
    if stack.several:
        looks = f"{len(attention.tokens)} tokens look (rows), {len(attention.keys)} are looked at (columns)"
    else:
        looks = f"“{quote.text.text}” – {size_of(attention)}. Rows look, columns are looked at"
    figure = pages.figure(
        f"models/{stack.model.id}/layers/{name}/heads-{attention.text}.webp",
        f"Attention maps of all {stack.heads} heads of layer {name} on {size_of(attention)}; on average "
        f"{sink} of the weight lies on the first token.",
        f"{looks}; the more a cell stands out, the larger the weight. Mean weight on the first token: {sink}."
        f"{grain_note(attention)}",
        kind="attention_heads",
        ink=True,
        pixelated=True,
    )
    neurons = _with_vectors(stack, attention)
    component = layer_component(stack.model.id, attention, layer, neurons=neurons)
    return Sheet(quote, component, figure, sheet_columns(stack.heads))


def _sink(weights: np.ndarray) -> float:
    """Mean weight on the first token over all later queries; NaN for a single one."""
    return float(weights[..., 1:, 0].mean()) if weights.shape[-2] > 1 else float("nan")


def size_of(attention: Attention) -> str:
    """How many tokens look, and how many are looked at where these are others."""
    if attention.stack:
        return f"{len(attention.tokens)} × {len(attention.keys)} tokens"
    return f"{len(attention.tokens)} tokens"


def _with_vectors(stack: StackFindings, attention: Attention) -> bool:
    return any(one.text == attention.text for one in stack.queries)
