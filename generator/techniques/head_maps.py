"""Where heads look on every text: one, or a layer's, opened on the text that shows best what it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link
from generator.figures.attention import sheet_columns
from generator.figures.figure import Figure
from generator.formatting import number, percent
from generator.models.layer import Layer
from generator.models.tokens import window_text
from generator.probes.roles import UNLABELLED
from generator.run import PAIRS, TEXTS, Run, Section, Technique
from generator.techniques import attention_widgets
from generator.techniques.answers import Quote, quotes_of
from generator.techniques.attention import ATTENTION
from generator.techniques.attention_drawings import (
    grain_note,
    maps,
    on_first_token,
    sheets,
    size_of,
)
from generator.techniques.components import Component, component
from generator.techniques.first_view import NEARLY_ALL, FirstView, first_views
from generator.techniques.heads import HEADS, measured
from generator.techniques.links import layer_link
from generator.techniques.measured_stack import MeasuredStack, StackHeads, stack_of
from generator.techniques.standings import StrongLink, strong_links


@dataclass(frozen=True)
class TokenMap:
    """One head on one text, the page's first if it `opens`; the map of that one is drawn."""

    quote: Quote
    links: tuple[StrongLink, ...]
    component: Component
    figure: Figure | None
    opens: bool


@dataclass(frozen=True)
class HeadView:
    """One head on every text; `sees` says how far a token sees, if not everywhere.

    `first` says what stands out on the text that the page opens on.
    """

    maps: tuple[TokenMap, ...]
    causal: bool
    sees: str
    layer: Link
    first: str


@dataclass(frozen=True)
class Sheet:
    """All heads of a layer on one text, the page's first if it `opens`."""

    quote: Quote
    component: Component
    figure: Figure
    columns: int
    opens: bool


@dataclass(frozen=True)
class LayerView:
    """All heads of a layer on every text."""

    sheets: tuple[Sheet, ...]
    heads: tuple[Link, ...]
    several: bool
    stack: str


def head_view(run: Run, of: StackHeads, layer: int, head: int) -> HeadView:
    """One head on every text; the weights on the first to be seen stand in the page itself."""
    stack, at = measured(run, of), (layer, head)
    first = _first_views(run, stack)[at].place
    shown = tuple(_map(run, stack, text, at) for text in range(len(stack.attentions)))
    return HeadView(
        shown,
        stack.causal,
        window_text(stack.layers[layer].window, stack.causal),
        layer_link(run.model, stack.layers[layer]),
        _stands_out(stack.attentions[first].weights[at], shown[first]),
    )


def _first_views(run: Run, stack: MeasuredStack) -> Mapping[tuple[int, int], FirstView]:
    return run.once(("first views", stack.stack), lambda: first_views(stack))


def _map(run: Run, stack: MeasuredStack, text: int, head: tuple[int, int]) -> TokenMap:
    attention, first = stack.attentions[text], _first_views(run, stack)[head]
    links, opens = tuple(strong_links(attention, *head)), text == first.place
    shown = component(
        run.model.id,
        attention,
        *head,
        neurons=run[ATTENTION][stack.stack.name].has_vectors(attention.text),
        embed=opens,
        without_first=first.without_first[text],
    )
    figure = _figure(run, stack, text, head, links) if opens else None
    return TokenMap(quotes_of(run)[attention.text], links, shown, figure, opens)


def _figure(
    run: Run,
    stack: MeasuredStack,
    text: int,
    head: tuple[int, int],
    links: Sequence[StrongLink],
) -> Figure:
    attention, views = stack.attentions[text], _first_views(run, stack)
    size, sink = size_of(attention), number(on_first_token(attention.weights[head]))
    strongest = (
        f"the strongest link past the first token goes from '{links[0].query}' to '{links[0].key}' "
        f"({number(links[0].weight)})"
        if links
        else "all weight lies on the first token"
    )
    name, here = stack.head(*head), [at for at in stack.places if views[at].place == text]
    bare = [views[at].without_first[text] for at in here]
    left_out = ", which is left out" if views[head].without_first[text] else ""
    return Figure(
        maps(run, stack, attention, here, bare),
        f"Attention map of {name} on {size}: {strongest}; mean weight on the first token {sink}{left_out}.",
        f"{size}. Mean weight on the first token: {sink}{left_out}.{grain_note(attention)}",
        number=here.index(head),
        kind="attention_map",
        ink=True,
    )


def layer_view(run: Run, layer: Layer) -> LayerView:
    """All heads of a layer on every text, opened where the first of them that has a role opens."""
    stack = measured(run, stack_of(run.model, layer))
    place, views = stack.place_of(layer), _first_views(run, stack)
    having = [
        head for head in range(stack.heads) if stack.role(place, head) not in ("", UNLABELLED)
    ]
    first = views[place, having[0]].place if having else 0
    return LayerView(
        tuple(
            _sheet(run, stack, text, place, opens=text == first)
            for text in range(len(stack.attentions))
        ),
        tuple(stack.link(place, head) for head in range(stack.heads)),
        stack.several,
        stack.stack.name,
    )


def _sheet(run: Run, stack: MeasuredStack, text: int, layer: int, *, opens: bool) -> Sheet:
    attention = stack.attentions[text]
    quote, name = quotes_of(run)[attention.text], stack.layers[layer].name
    on_first = on_first_token(attention.weights[layer])
    sink = percent(on_first)
    if stack.several:
        looks = f"{len(attention.tokens)} tokens look (rows), {len(attention.keys)} are looked at (columns)"
    else:
        looks = f"“{quote.text.text}” – {size_of(attention)}. Rows look, columns are looked at"
    figure = Figure(
        sheets(run, stack, attention),
        f"Attention maps of all {stack.heads} heads of layer {name} on {size_of(attention)}; on average "
        f"{sink} of the weight lies on the first token.",
        f"{looks}; the more a cell stands out, the larger the weight. Mean weight on the first token: {sink}."
        f"{grain_note(attention)}",
        number=layer,
        kind="attention_heads",
        ink=True,
        pixelated=True,
    )
    neurons = run[ATTENTION][stack.stack.name].has_vectors(attention.text)
    shown = component(
        run.model.id, attention, layer, neurons=neurons, without_first=on_first > NEARLY_ALL
    )
    return Sheet(quote, shown, figure, sheet_columns(stack.heads), opens)


def _stands_out(weights: np.ndarray, shown: TokenMap) -> str:
    """What there is to see on the text that the page opens on, in sentences."""
    said = []
    if shown.component.without_first:
        said.append(
            f"{percent(on_first_token(weights), 0)} of its attention rests on the first token here, which is "
            "left out of the view: many heads look there where they find nothing."
        )
    if shown.links:
        one = shown.links[0]
        said.append(
            f"Its strongest link: “{one.query}” (token {one.query_place}) looks at “{one.key}” (token "
            f"{one.key_place}) with {percent(one.weight, 0)} of its attention."
        )
    return " ".join(said)


HEAD_MAPS = Technique(
    name="head_maps",
    title="Where heads look",
    search="attention map lines of a head",
    reads=(TEXTS, PAIRS),
    measure=HEADS.asked_of,
    widgets={
        "head_view": attention_widgets.head_view,
        "layer_view": attention_widgets.layer_view,
        "model_view": attention_widgets.model_view,
        "neuron_view": attention_widgets.neuron_view,
    },
    sections=(
        Section("layer", "heads", "attention_layer.html", layer_view),
        Section("head", "maps", "attention_head.html", head_view),
    ),
)
