"""The pages of an encoder-decoder's layers and heads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from generator.addresses import Link, head_address, layer_address
from generator.figures.attention import sheet_columns
from generator.figures.figure import Figure
from generator.findings.seq2seq import Seq2SeqFindings, StackFindings
from generator.formatting import number, percent
from generator.models.layer import Layer
from generator.models.stacks import CROSS
from generator.pages.components import head_component, layer_component
from generator.pages.context import Place, Strip, around, home, layer_link, model_link
from generator.pages.definitions import TARGET, definitions_of
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.roles import badge_of
from generator.pages.seq2seq_tables import seq2seq_table_names
from generator.pages.standings import Order, grain_note, order_heads, standings, strong_links
from generator.probes.attention import Attention
from generator.probes.seq2seq import LONGEST, Pair
from generator.probes.signal import LayerSignal

MEASURE = "the loss on the target in nats a token"
_WORDS = definitions_of(TARGET)


def all_heads_address(model: str, stack: str) -> str:
    """The page of all heads of a stack."""
    return f"models/{model}/attention/{stack}/index.html"


def head_link(findings: Seq2SeqFindings, stack: StackFindings, layer: int, head: int) -> Link:
    """A link to a head's page."""
    target = head_address(findings.model.id, stack.layers[layer].name, head)
    return Link(target, stack.head(layer, head))


def layer_strips(findings: Seq2SeqFindings, current: Layer | None) -> tuple[Strip, ...]:
    """The layers of each stack as a strip."""
    found = []
    for stack in findings.stacks:
        place = next((i for i, layer in enumerate(stack.layers) if layer is current), -1)
        links = tuple(layer_link(findings.model, layer) for layer in stack.layers)
        found.append(Strip(stack.stack.title, links, place))
    return tuple(found)


def target_line(pair: Pair) -> str:
    """Where the target comes from."""
    if not pair.generated:
        return "the target that the exhibit names"
    if pair.ended:
        return "the model’s own answer: the most probable token at each step"
    return (
        f"the model’s own answer, the most probable token at each step, cut after {LONGEST} tokens"
    )


def layer_pages(findings: Seq2SeqFindings, stack: StackFindings, pages: Pages) -> Iterator[Page]:
    """The pages of a stack's layers, each followed by those of its heads."""
    order = order_heads(stack.statistics)
    for place, layer in enumerate(stack.layers):
        yield _layer(findings, stack, place, layer, order, pages)
        for head in range(stack.heads):
            yield _head(findings, stack, place, layer, head, order, pages)


def pair_view(findings: Seq2SeqFindings, name: str) -> dict[str, object]:
    """What a page says of the two texts: source, target, and where the target comes from."""
    text = next(text for text in findings.texts if text.id == name)
    pair = findings.pairs[text.id]
    return {"text": text, "target": pair.target, "how": target_line(pair)}


def _layer(
    findings: Seq2SeqFindings,
    stack: StackFindings,
    place: int,
    layer: Layer,
    order: Order,
    pages: Pages,
) -> Page:
    model = findings.model
    links = [layer_link(model, each) for each in model.layers]
    before, after = around(links, layer.index)
    return pages.page(
        "layer_seq2seq.html",
        layer_address(model.id, layer.name),
        f"Layer {layer.name} · {model.title}",
        f"Layer {layer.name} of {model.title}: its {stack.heads} attention heads side by side on "
        f"{len(findings.texts)} texts, and their statistics.",
        model=model,
        layer=layer,
        stack=stack.stack,
        place=Place(
            (home(), model_link(model)),
            (*layer_strips(findings, layer), _head_strip(findings, stack, place, -1)),
            before or model_link(model),
            after,
        ),
        heads=stack.heads,
        head_width=model.head_width,
        signal=_signal(findings, layer),
        sheets=[_sheet(findings, stack, one, place, pages) for one in stack.attentions],
        columns=sheet_columns(stack.heads),
        rows=[
            {
                "link": head_link(findings, stack, place, head),
                "group": head,
                "standings": standings(
                    stack.statistics, stack.control, order, place, head, definitions_of(TARGET)
                ),
                "badge": badge_of(stack.roles[place][head], MEASURE, stack.sweep),
            }
            for head in range(stack.heads)
        ],
        activity=_activity(findings, layer, pages),
        tables=seq2seq_table_names(findings),
    )


def _signal(findings: Seq2SeqFindings, layer: Layer) -> LayerSignal | None:
    """The activity of a block's MLP; cross attention has none."""
    return next((one for one in findings.signal.layers if one.layer == layer.name), None)


def _activity(findings: Seq2SeqFindings, layer: Layer, pages: Pages) -> Figure | None:
    signal = _signal(findings, layer)
    if signal is None:
        return None
    path = f"models/{findings.model.id}/layers/{layer.name}/activity.webp"
    share = percent(float(signal.zero.mean()))
    zeros = f"; {share} are exactly zero" if layer.rectified else ""
    text = (
        f"Left: activations of the MLP that are not exactly zero, from {number(float(signal.edges[0]))} to "
        f"{number(float(signal.edges[-1]))}{zeros}. Right: "
        f"its {len(signal.active)} hidden units, most often above zero first; the median unit is above "
        f"zero at {percent(float(np.median(signal.active)))} of tokens."
    )
    alt = f"Histogram of the MLP activations of {layer.name} and share of active tokens. {text}"
    return pages.figure(path, alt, text, kind="sparsity", ink=True)


def _sheet(
    findings: Seq2SeqFindings, stack: StackFindings, attention: Attention, place: int, pages: Pages
) -> dict[str, object]:
    layer = stack.layers[place]
    sink = _sink(attention.weights[place])
    figure = pages.figure(
        f"models/{findings.model.id}/layers/{layer.name}/heads-{attention.text}.webp",
        f"Attention maps of all {stack.heads} heads of layer {layer.name} on {len(attention.tokens)} × "
        f"{len(attention.keys)} tokens.",
        f"{len(attention.tokens)} tokens look (rows), {len(attention.keys)} are looked at (columns); the "
        "more a cell stands out, the larger the weight. Mean weight on the first token: "
        f"{percent(sink)}.{grain_note(attention)}",
        kind="attention_heads",
        ink=True,
        pixelated=True,
    )
    neurons = any(found.text == attention.text for found in stack.queries)
    component = layer_component(findings.model.id, attention, place, neurons=neurons)
    return {**pair_view(findings, attention.text), "component": component, "figure": figure}


def _sink(weights: np.ndarray) -> float:
    return float(weights[..., 1:, 0].mean()) if weights.shape[-2] > 1 else float("nan")


def _head_strip(findings: Seq2SeqFindings, stack: StackFindings, place: int, current: int) -> Strip:
    links = tuple(head_link(findings, stack, place, head) for head in range(stack.heads))
    return Strip(f"Heads of {stack.layers[place].name}", links, current)


def _head(
    findings: Seq2SeqFindings,
    stack: StackFindings,
    place: int,
    layer: Layer,
    head: int,
    order: Order,
    pages: Pages,
) -> Page:
    model, name = findings.model, stack.head(place, head)
    count = len(stack.layers) * stack.heads
    links = [head_link(findings, stack, *divmod(number, stack.heads)) for number in range(count)]
    before, after = around(links, place * stack.heads + head)
    return pages.page(
        "head_seq2seq.html",
        head_address(model.id, layer.name, head),
        f"{name} · {model.title}",
        f"Attention head {name} of {model.title}: its attention map on {len(findings.texts)} texts and its "
        f"statistics, ranked among the {count} heads of its kind.",
        searchable=False,
        lean=True,
        model=model,
        name=name,
        head=head,
        layer=layer,
        stack=stack.stack,
        crosses=stack.stack is CROSS,
        causal=stack.attentions[0].causal,
        place=Place(
            (home(), model_link(model), layer_link(model, layer)),
            (*layer_strips(findings, layer), _head_strip(findings, stack, place, head)),
            before,
            after,
        ),
        standings=standings(
            stack.statistics, stack.control, order, place, head, definitions_of(TARGET)
        ),
        badge=badge_of(stack.roles[place][head], MEASURE, stack.sweep),
        alike=[
            (head_link(findings, stack, int(one), int(other)), float(value))
            for (one, other), value in zip(
                stack.likeness.others[place, head],
                stack.likeness.correlation[place, head],
                strict=True,
            )
            if np.isfinite(value)
        ],
        silenced=stack.ablation,
        tables=seq2seq_table_names(findings),
        maps=[
            _map(findings, stack, attention, place, head, pages, embed=number == 0)
            for number, attention in enumerate(stack.attentions)
        ],
    )


def _map(
    findings: Seq2SeqFindings,
    stack: StackFindings,
    attention: Attention,
    place: int,
    head: int,
    pages: Pages,
    *,
    embed: bool,
) -> dict[str, object]:
    links = strong_links(attention, place, head)
    sink = _sink(attention.weights[place, head])
    strongest = (
        f"the strongest link past the first token goes from '{links[0].query}' to '{links[0].key}' "
        f"({number(links[0].weight)})"
        if links
        else "all weight lies on the first token"
    )
    size = f"{len(attention.tokens)} × {len(attention.keys)} tokens"
    path = f"models/{findings.model.id}/layers/{stack.layers[place].name}/heads/{head}/{attention.text}.webp"
    figure = None
    if pages.has(path):
        alt = f"Attention map of {stack.head(place, head)} on {size}: {strongest}."
        caption = f"{size}. Mean weight on the first token: {number(sink)}.{grain_note(attention)}"
        figure = pages.figure(path, alt, caption, ink=True)
    component = head_component(
        findings.model.id,
        attention,
        place,
        head,
        neurons=any(found.text == attention.text for found in stack.queries),
        embed=embed,
    )
    view = pair_view(findings, attention.text)
    return {**view, "links": links, "component": component, "figure": figure}
