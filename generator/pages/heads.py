"""The pages of attention heads: where each looks, and how it stands among all heads."""

from __future__ import annotations

import numpy as np

from generator.addresses import Link, head_address
from generator.findings import TextFindings
from generator.formatting import number
from generator.models.layer import Layer
from generator.models.tokens import window_text
from generator.pages.circuit_views import circuit_view
from generator.pages.components import head_component
from generator.pages.context import Place, Strip, around, home, layer_link, layer_strip, model_link
from generator.pages.definitions import definitions_of
from generator.pages.environment import Pages
from generator.pages.head_tables import head_table_names
from generator.pages.page import Page
from generator.pages.roles import badge, head_link
from generator.pages.standings import Order, grain_note, standings, strong_links
from generator.probes.attention import Attention

TABLES = ("heads.csv", "heads_by_text.csv", "statistics.csv", "links.csv")
MORE_TABLES = {"roles.csv", "alike.csv", "ablation.csv", "written.csv", "pairs.csv"}


def head_name(layer: int, head: int) -> str:
    """A head as the field writes it."""
    return f"L{layer}H{head}"


def head_strip(findings: TextFindings, layer: Layer, current: int) -> Strip:
    """All heads of a layer as a strip; `current` is the page's own head or -1."""
    model = findings.model
    links = tuple(
        Link(head_address(model.id, layer.name, head), head_name(layer.index, head))
        for head in range(model.heads)
    )
    return Strip(f"Heads of layer {layer.name}", links, current)


def head_page(findings: TextFindings, layer: Layer, head: int, order: Order, pages: Pages) -> Page:
    """The page of one head."""
    model, name = findings.model, head_name(layer.index, head)
    count = len(model.layers) * model.heads
    place = layer.index * model.heads + head
    links = [
        Link(
            head_address(model.id, str(i // model.heads), i % model.heads),
            head_name(i // model.heads, i % model.heads),
        )
        for i in range(max(0, place - 1), min(count, place + 2))
    ]
    before, after = around(links, min(place, 1))
    group = head * model.kv_groups // model.heads
    siblings = [
        Link(head_address(model.id, layer.name, other), head_name(layer.index, other))
        for other in range(model.heads)
        if other != head and other * model.kv_groups // model.heads == group
    ]
    return pages.page(
        "head.html",
        head_address(model.id, layer.name, head),
        f"{name} · {model.title}",
        f"Attention head {name} of {model.title}: its attention map on {len(findings.texts)} texts and "
        f"its statistics, ranked among {count} heads.",
        searchable=False,
        lean=True,
        model=model,
        name=name,
        head=head,
        layer=layer,
        place=Place(
            (home(), model_link(model), layer_link(model, layer)),
            (layer_strip(model, layer), head_strip(findings, layer, head)),
            before,
            after,
        ),
        standings=standings(
            findings.statistics,
            findings.heads.control.values,
            order,
            layer.index,
            head,
            definitions_of(findings.heads.texts.measure),
        ),
        badge=badge(findings, layer.index, head),
        alike=_alike(findings, layer.index, head),
        circuits=circuit_view(findings, layer.index, head),
        silenced=findings.heads.texts,
        tables=(*TABLES, *(name for name in head_table_names(findings) if name in MORE_TABLES)),
        sees=window_text(layer.window, model.causal),
        group=group if model.kv_groups < model.heads else None,
        siblings=siblings,
        maps=[
            _map(findings, attention, layer, head, pages, embed=place_of_text == 0)
            for place_of_text, attention in enumerate(findings.attentions)
        ],
    )


def _alike(findings: TextFindings, layer: int, head: int) -> list[tuple[Link, float]]:
    """The heads whose maps resemble this one's most, with the correlation."""
    likeness = findings.heads.likeness
    pairs = zip(likeness.others[layer, head], likeness.correlation[layer, head], strict=True)
    return [
        (head_link(findings, int(one), int(other)), float(value))
        for (one, other), value in pairs
        if np.isfinite(value)
    ]


def _map(
    findings: TextFindings,
    attention: Attention,
    layer: Layer,
    head: int,
    pages: Pages,
    *,
    embed: bool,
) -> dict[str, object]:
    """One text; its weights stand in the page itself with `embed`, in a script of their own without."""
    text = next(text for text in findings.texts if text.id == attention.text)
    links = strong_links(attention, layer.index, head)
    weights = attention.weights[layer.index, head]
    sink = float(weights[1:, 0].mean()) if len(weights) > 1 else float("nan")
    strongest = (
        f"the strongest link past the first token goes from '{links[0].query}' to '{links[0].key}' "
        f"({number(links[0].weight)})"
        if links
        else "all weight lies on the first token"
    )
    alt = (
        f"Attention map of {head_name(layer.index, head)} on {len(attention.tokens)} tokens: {strongest}; "
        f"mean weight on the first token {number(sink)}."
    )
    caption = (
        f"{len(attention.tokens)} tokens. Mean weight on the first token: {number(sink)}."
        f"{grain_note(attention)}"
    )
    path = f"models/{findings.model.id}/layers/{layer.name}/heads/{head}/{text.id}.webp"
    neurons = any(found.text == text.id for found in findings.queries)
    component = head_component(
        findings.model.id, attention, layer.index, head, neurons=neurons, embed=embed
    )
    figure = (
        pages.figure(path, alt, caption, kind="attention_map", ink=True)
        if pages.has(path)
        else None
    )
    return {"text": text, "links": links, "component": component, "figure": figure}
