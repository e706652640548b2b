"""The pages of a transformer: its overview and its layers, with those of its heads among them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from generator.addresses import Link, head_address, layer_address, model_address, part_address
from generator.figures.attention import sheet_columns
from generator.figures.figure import Figure
from generator.findings import TextFindings
from generator.formatting import number, percent
from generator.inputs.texts import CuratedText, readable
from generator.models.layer import Layer
from generator.models.model import LanguageModel
from generator.models.tokens import context_text, window_text
from generator.pages.all_heads import AllHeads, attention_address, attention_page
from generator.pages.atlas import atlas_address, language_atlas
from generator.pages.components import layer_component
from generator.pages.context import (
    Place,
    around,
    home,
    layer_link,
    layer_strip,
    model_link,
    size_text,
)
from generator.pages.decoding import decodes, decoding_address, decoding_page
from generator.pages.definitions import definitions_of
from generator.pages.environment import Pages
from generator.pages.head_tables import head_table_names
from generator.pages.heads import (
    head_name,
    head_page,
    head_strip,
)
from generator.pages.page import Page
from generator.pages.parts import CARD, MATCHING
from generator.pages.roles import badge, head_link, recipe_rows, role_rows, stable_rows
from generator.pages.sections import sections_of
from generator.pages.standings import Order, grain_note, leader, order_heads, standings
from generator.pages.worked import context_address, context_page
from generator.probes.attention import Attention

TABLES = (
    "layers.csv",
    "heads.csv",
    "heads_by_text.csv",
    "statistics.csv",
    "links.csv",
    "predictions.csv",
)


def language_pages(findings: TextFindings, pages: Pages) -> Iterator[Page]:
    """The model's page, then each layer's, each followed by its heads'."""
    order = order_heads(findings.statistics)
    yield _overview(findings, pages)
    neurons = [found.text for found in findings.queries]
    model = findings.model
    yield attention_page(
        model,
        AllHeads(attention_address(model.id), "All heads", model.layers, model.heads),
        findings.texts,
        findings.attentions,
        Place((home(), model_link(model)), (layer_strip(model, None),), model_link(model)),
        pages,
        neurons=neurons,
        rollout=_rollout_figure(findings, pages),
    )
    worked = findings.worked
    if worked is not None:
        yield context_page(findings.model, worked.text, worked.steps, worked.token, pages)
    yield language_atlas(findings, pages)
    if decodes(findings):
        yield decoding_page(findings, pages)
    for layer in findings.model.layers:
        yield _layer(findings, layer, order, pages)
        for head in range(findings.model.heads):
            yield head_page(findings, layer, head, order, pages)


def ways_in(findings: TextFindings) -> list[tuple[Link, str]]:
    """The pages of a transformer beside its layers, each with what a reader sees there."""
    name = findings.model.id
    heads = Link(attention_address(name), "All heads")
    found = [(heads, "every attention map side by side; open one, follow a token, see q and k")]
    if findings.worked is not None:
        context = Link(context_address(name), "Context, worked through")
        found.append((context, "one token through one head, with the real numbers"))
    atlas = Link(atlas_address(name), "Atlas of heads")
    found.append(
        (atlas, "every head in one picture and one table: any two statistics, sorted, filtered")
    )
    if decodes(findings):
        decoding = Link(decoding_address(name), "What it would say at each layer")
        found.append((decoding, "the logit lens, and which heads wrote the predicted token"))
    if findings.pictures:
        matching = Link(part_address(findings.pictures, MATCHING.key), MATCHING.title)
        found.append((matching, MATCHING.about))
    found.append((Link(part_address(name, CARD.key), CARD.title), CARD.about))
    return found


def _overview(findings: TextFindings, pages: Pages) -> Page:
    model, words = findings.model, definitions_of(findings.heads.texts.measure)
    return pages.page(
        "model_language.html",
        model_address(model.id),
        model.title,
        f"{model.title} opened: {len(model.layers)} layers with {model.heads} attention heads each, "
        f"{size_text(model.parameters)} parameters, measured on {len(findings.texts)} texts.",
        model=model,
        place=Place(
            (home(),), (layer_strip(model, None),), None, layer_link(model, model.layers[0])
        ),
        size=size_text(model.parameters),
        context=context_text(model.max_tokens),
        ways=ways_in(findings),
        signal=_signal_figure(findings, pages),
        heads=_head_grids(findings, pages),
        leaders=[
            leader(one, findings.heads.control.values, partial(head_link, findings), words)
            for one in findings.statistics
        ],
        roles=role_rows(findings),
        stable=stable_rows(findings),
        recipes=recipe_rows(findings),
        found=findings.heads,
        sees=_how_far(model),
        rows=[_architecture_row(findings, layer) for layer in model.layers],
        inputs=[_input_row(findings, text) for text in findings.texts],
        sections=sections_of(findings.run, "model") if findings.run else (),
        weight_tables=(*TABLES, *head_table_names(findings)),
    )


def _signal_figure(findings: TextFindings, pages: Pages) -> Figure:
    model, signal = findings.model, findings.signal
    near = [float(layer.near_zero.mean()) for layer in signal.layers]
    sizes = signal.stream.mean(1)
    text = (
        f"Left: the share of MLP activations near zero, from {percent(min(near))} (layer "
        f"{int(np.argmin(near))}) to {percent(max(near))} (layer {int(np.argmax(near))}). Right: the "
        f"size of what a layer hands on, {number(float(sizes[0]))} for layer 0 and "
        f"{number(float(sizes[-1]))} for layer {len(sizes) - 1}."
    )
    return pages.figure(
        f"models/{model.id}/signal.svg",
        f"Two charts over the {len(model.layers)} layers. {text}",
        f"{text} Points are means over {len(findings.texts)} texts, bars reach from the lowest to "
        "the highest text.",
        kind="sparsity",
        ink=True,
    )


def _architecture_row(findings: TextFindings, layer: Layer) -> dict[str, object]:
    model = findings.model
    heads = [Link(head_address(model.id, layer.name, h), str(h)) for h in range(model.heads)]
    return {"layer": layer, "signal": findings.signal.of(layer.name), "heads": heads}


def _input_row(findings: TextFindings, text: CuratedText) -> dict[str, object]:
    prediction = findings.predictions[text.id]
    return {
        "text": text,
        "count": len(findings.encodings[text.id].ids),
        "prediction": prediction,
        "guesses": [(readable(guess.label), guess.score) for guess in prediction.guesses],
    }


def _how_far(model: LanguageModel) -> str:
    """A sentence on windows; "" where every layer sees the whole text."""
    if not model.windows:
        return ""
    parts = []
    for window in sorted(set(model.windows) - {0}):
        names = ", ".join(layer.name for layer in model.layers if layer.window == window)
        parts.append(f"{window_text(window, model.causal)} (layers {names})")
    rest = " The other layers see the whole text." if 0 in model.windows else ""
    return f"A token sees {'; '.join(parts)}.{rest}"


def _head_grids(findings: TextFindings, pages: Pages) -> Figure:
    model = findings.model
    caption = (
        f"All {len(model.layers) * model.heads} heads at a glance: layers downwards, heads to the right, "
        "the more a cell stands out, the higher. Each map has its own scale, written above it."
    )
    best = findings.statistic("previous_token").mean
    layer, head = (int(i) for i in np.unravel_index(best.argmax(), best.shape))
    return pages.figure(
        f"models/{model.id}/heads.svg",
        f"Heatmaps of layers by heads, one for each statistic; for the "
        f"previous token the highest is {head_name(layer, head)} with {number(float(best.max()))}.",
        caption,
        kind="head_grid",
        ink=True,
    )


def _layer(findings: TextFindings, layer: Layer, order: Order, pages: Pages) -> Page:
    model, words = findings.model, definitions_of(findings.heads.texts.measure)
    links = [layer_link(model, each) for each in model.layers]
    before, after = around(links, layer.index)
    signal = findings.signal.of(layer.name)
    text = (
        f"Left: activations of the MLP that are not exactly zero, from {number(float(signal.edges[0]))} "
        f"to {number(float(signal.edges[-1]))}. Right: its {len(signal.active)} hidden units, most often "
        f"above zero first; the median unit is above zero at "
        f"{percent(float(np.median(signal.active)))} of tokens."
    )
    return pages.page(
        "layer_language.html",
        layer_address(model.id, layer.name),
        f"Layer {layer.name} · {model.title}",
        f"Layer {layer.name} of {model.title}: its {model.heads} attention heads side by side on "
        f"{len(findings.texts)} texts, their statistics, and the activity of its MLP.",
        model=model,
        layer=layer,
        sees=window_text(layer.window, model.causal),
        place=Place(
            (home(), model_link(model)),
            (layer_strip(model, layer), head_strip(findings, layer, -1)),
            before or model_link(model),
            after,
        ),
        signal=signal,
        stream=findings.signal.stream[layer.index],
        sheets=[_sheet(findings, attention, layer, pages) for attention in findings.attentions],
        columns=sheet_columns(model.heads),
        rows=[
            {
                "link": Link(head_address(model.id, layer.name, h), head_name(layer.index, h)),
                "group": h * model.kv_groups // model.heads,
                "standings": standings(
                    findings.statistics, findings.heads.control.values, order, layer.index, h, words
                ),
                "badge": badge(findings, layer.index, h),
            }
            for h in range(model.heads)
        ],
        readings=_readings_figure(findings, layer, pages),
        activity=pages.figure(
            f"models/{model.id}/layers/{layer.name}/activity.webp",
            f"Histogram of the MLP activations of layer {layer.name} and share of active tokens. {text}",
            text,
            kind="sparsity",
            ink=True,
        ),
    )


def _readings_figure(findings: TextFindings, layer: Layer, pages: Pages) -> Figure:
    text, norms = findings.texts[0], findings.norms
    why = f" {norms.reason}" if norms.reason else ""
    return pages.figure(
        f"models/{findings.model.id}/layers/{layer.name}/readings.webp",
        f"The attention maps of the {findings.model.heads} heads of layer {layer.name} on one text, read in "
        "several ways, one below the other.",
        f"“{text.text}” – the colour is the square root. Weighted maps are each drawn up to their own "
        f"largest entry.{grain_note(findings.attentions[0])}{why}",
        kind="readings",
        ink=True,
        pixelated=True,
    )


def _rollout_figure(findings: TextFindings, pages: Pages) -> Figure:
    attention = findings.attentions[0]
    text = (
        "“"
        + findings.texts[0].text
        + "” – rows are positions behind a layer, columns the input tokens; "
        "a row's shares sum to 1. The colour is the square root of the share."
        f"{grain_note(attention)}"
    )
    return pages.figure(
        f"models/{findings.model.id}/rollout-{attention.text}.svg",
        f"Attention rollout on {len(attention.tokens)} tokens behind a few early layers and the "
        "last: the share of each input token in each position.",
        text,
        kind="rollout",
        ink=True,
    )


def _sheet(
    findings: TextFindings, attention: Attention, layer: Layer, pages: Pages
) -> dict[str, object]:
    text = next(text for text in findings.texts if text.id == attention.text)
    weights = attention.weights[layer.index]
    sink = weights[:, 1:, 0].mean() if weights.shape[-1] > 1 else float("nan")
    alt = (
        f"Attention maps of all {findings.model.heads} heads of layer {layer.name} on "
        f"{len(attention.tokens)} tokens; on average {percent(float(sink))} of the weight lies on the "
        "first token."
    )
    path = f"models/{findings.model.id}/layers/{layer.name}/heads-{text.id}.webp"
    caption = (
        f"“{text.text}” – {len(attention.tokens)} tokens. Rows look, columns are looked at; the more a "
        f"cell stands out, the larger the weight. Mean weight on the first token: {percent(float(sink))}."
        f"{grain_note(attention)}"
    )
    figure = pages.figure(path, alt, caption, kind="attention_heads", ink=True, pixelated=True)
    neurons = any(found.text == text.id for found in findings.queries)
    component = layer_component(findings.model.id, attention, layer.index, neurons=neurons)
    return {"text": text, "component": component, "figure": figure}
