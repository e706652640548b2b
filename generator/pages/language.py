"""The pages of a transformer: its overview and its layers, with those of its heads among them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from generator.addresses import Link, head_address, model_address, part_address
from generator.figures.figure import Figure
from generator.findings import TextFindings
from generator.formatting import number, percent
from generator.inputs.texts import CuratedText, readable
from generator.models.layer import Layer
from generator.models.model import LanguageModel
from generator.models.pooling import VECTORS
from generator.models.tokens import context_text, window_text
from generator.pages.all_heads import attention_page
from generator.pages.atlas import atlas_page
from generator.pages.circuit_views import circuit_view
from generator.pages.context import Place, home, layer_link, size_text
from generator.pages.decoding import decodes, decoding_address, decoding_page
from generator.pages.environment import Pages
from generator.pages.head_tables import head_table_names
from generator.pages.heads import HeadKind
from generator.pages.layers import layer_pages
from generator.pages.page import Page
from generator.pages.parts import CARD, MATCHING
from generator.pages.quotes import quotes_of
from generator.pages.roles import recipe_rows, role_rows, stable_rows
from generator.pages.sections import sections_of
from generator.pages.stack_views import atlas_address, attention_address, below_model, layer_strips
from generator.pages.standings import best_heads, grain_note, leaders
from generator.pages.token_heads import token_maps
from generator.pages.worked import context_address, context_page

HEAD_TABLES = {
    "heads.csv", "heads_by_text.csv", "statistics.csv", "links.csv", "roles.csv", "alike.csv",
    "ablation.csv", "written.csv", "pairs.csv",
}  # fmt: skip


def language_pages(findings: TextFindings, pages: Pages) -> Iterator[Page]:
    """The model's page, then each layer's, each followed by its heads'."""
    stack, quotes = findings.stack, quotes_of(findings)
    yield _overview(findings, pages)
    place = below_model(findings.stacks)
    yield attention_page(stack, quotes, place, pages, rollout=_rollout_figure(findings, pages))
    worked = findings.worked
    if worked is not None:
        yield context_page(findings.model, worked.text, worked.steps, worked.token, pages)
    yield atlas_page(stack, place, pages)
    if decodes(findings):
        yield decoding_page(findings, pages)
    kind = HeadKind(
        maps=lambda layer, head: token_maps(stack, quotes, layer, head, pages),
        inputs=f"its attention map on {len(findings.texts)} texts",
        tables=tuple(one for one in head_table_names(findings) if one in HEAD_TABLES),
        circuits=partial(circuit_view, findings),
    )
    readings = partial(_readings_figure, findings, pages=pages)
    yield from layer_pages(
        findings.stacks, stack, quotes, findings.signal, kind, pages, readings=readings
    )


def ways_in(findings: TextFindings) -> list[tuple[Link, str]]:
    """The pages of a transformer beside its layers, each with what a reader sees there."""
    name = findings.model.id
    heads = Link(attention_address(findings.stack), "All heads")
    found = [(heads, "every attention map side by side; open one, follow a token, see q and k")]
    if findings.worked is not None:
        context = Link(context_address(name), "Context, worked through")
        found.append((context, "one token through one head, with the real numbers"))
    atlas = Link(atlas_address(findings.stack), "Atlas of heads")
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
    model, stack = findings.model, findings.stack
    return pages.page(
        "model_language.html",
        model_address(model.id),
        model.title,
        f"{model.title} opened: {len(model.layers)} layers with {model.heads} attention heads each, "
        f"{size_text(model.parameters)} parameters, measured on {len(findings.texts)} texts.",
        model=model,
        place=Place(
            (home(),), layer_strips(findings.stacks, None), None, layer_link(model, model.layers[0])
        ),
        size=size_text(model.parameters),
        context=context_text(model.max_tokens),
        vectors=VECTORS[model.pooling],
        ways=ways_in(findings),
        signal=_signal_figure(findings, pages) if findings.signal.layers else None,
        heads=_head_grids(findings, pages),
        stack=stack,
        leaders=leaders(stack),
        roles=role_rows(stack),
        stable=stable_rows(findings),
        recipes=recipe_rows(findings),
        found=findings.heads,
        sees=_how_far(model),
        rows=[_architecture_row(findings, layer) for layer in model.layers],
        inputs=[_input_row(findings, text) for text in findings.texts],
        sections=sections_of(findings.run, "model") if findings.run else (),
        weight_tables=("layers.csv", "predictions.csv", *head_table_names(findings)),
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
    signal = next((one for one in findings.signal.layers if one.layer == layer.name), None)
    return {"layer": layer, "signal": signal, "heads": heads}


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
    axis = findings.stack.telling_axes[0]
    best, told = findings.stack.statistic(axis).mean, axis.replace("_", " ")
    highest = findings.stack.head(*best_heads(best, 1)[0])
    return pages.figure(
        f"models/{model.id}/heads.svg",
        f"Heatmaps of layers by heads, one for each statistic; for the "
        f"{told} the highest is {highest} with {number(float(best.max()))}.",
        caption,
        kind="head_grid",
        ink=True,
    )


def _readings_figure(findings: TextFindings, layer: Layer, *, pages: Pages) -> Figure:
    text, norms = findings.texts[0], findings.norms
    why = f" {norms.reason}" if norms.reason else ""
    return pages.figure(
        f"models/{findings.model.id}/layers/{layer.name}/readings.webp",
        f"The attention maps of the {findings.model.heads} heads of layer {layer.name} on one text, read in "
        "several ways, one below the other.",
        f"“{text.text}” – the colour is the square root. Weighted maps are each drawn up to their own "
        f"largest entry.{grain_note(findings.stack.attentions[0])}{why}",
        kind="readings",
        ink=True,
        pixelated=True,
    )


def _rollout_figure(findings: TextFindings, pages: Pages) -> Figure:
    attention = findings.stack.attentions[0]
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
