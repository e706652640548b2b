"""The pages of an encoder-decoder: its overview, and all heads of each of its three stacks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from generator.addresses import Link, head_address, model_address
from generator.figures.figure import Figure
from generator.findings import Seq2SeqFindings, StackFindings
from generator.formatting import number, percent
from generator.inputs.texts import CuratedText, readable
from generator.models.layer import Layer
from generator.models.stacks import CROSS, DECODER, ENCODER
from generator.models.tokens import context_text
from generator.pages.all_heads import attention_page
from generator.pages.atlas import atlas_page
from generator.pages.context import Place, home, layer_link, size_text
from generator.pages.environment import Pages
from generator.pages.heads import HeadKind
from generator.pages.layers import layer_pages
from generator.pages.page import Page
from generator.pages.quotes import quotes_of, target_line
from generator.pages.roles import role_rows
from generator.pages.sections import sections_of
from generator.pages.stack_tables import stack_table_names
from generator.pages.stack_views import (
    atlas_address,
    attention_address,
    below_model,
    heads_title,
    layer_strips,
)
from generator.pages.standings import grain_note, leaders
from generator.pages.token_heads import token_maps
from generator.plates.seq2seq import rollout_path

LEFT_OUT = (
    "Not made for an encoder-decoder: OV and QK circuits with the copying score, the logit lens and direct "
    "logit attribution, norm-weighted maps, and the page that works through one token. They "
    "follow one stream from the token embeddings to the logits. Here a head of the encoder reaches the "
    "logits only through cross attention, and a head of cross attention reads what the encoder has made of "
    "the source, so that the direct way which these methods read off does not exist for two of the three "
    "stacks."
)
_ABOUT = {
    ENCODER.name: "how the source is read: each of its tokens looks at all others",
    DECODER.name: "how the target is written: each of its tokens looks at those before it",
    CROSS.name: "where the target finds the source: its tokens look across",
}
_NOTES = {
    ENCODER.name: "Rows and columns are the tokens of the source.",
    DECODER.name: "Rows and columns are the tokens that the decoder reads: the target, one token behind.",
    CROSS.name: "Rows are the tokens that the decoder reads, columns those of the source.",
}


def seq2seq_pages(findings: Seq2SeqFindings, pages: Pages) -> Iterator[Page]:
    """The model's page, all heads of each stack, then each layer's page, followed by its heads'."""
    quotes, place = quotes_of(findings), below_model(findings.stacks)
    yield _overview(findings, pages)
    for stack in findings.stacks:
        figure = _rollout_figure(findings, stack, pages)
        yield attention_page(
            stack, quotes, place, pages, note=_NOTES[stack.stack.name], rollout=figure
        )
        yield atlas_page(stack, place, pages)
    for stack in findings.stacks:
        kind = HeadKind(
            maps=partial(token_maps, stack, quotes, pages=pages),
            inputs=f"its attention map on {len(findings.texts)} texts",
            tables=seq2seq_table_names(findings),
            left_out=LEFT_OUT,
        )
        yield from layer_pages(findings.stacks, stack, quotes, findings.signal, kind, pages)


_ROLLED = {
    ENCODER.name: "the share of each source token in each position of the encoder; a row’s shares sum to 1",
    DECODER.name: "the share of each target token that was read in each position of the decoder; the rest of "
    "a row, up to 1, comes from the source",
    CROSS.name: "the share of each source token in each position behind the last block of the decoder; the "
    "rest of a row, up to 1, comes from the target tokens that were read",
}


def _rollout_figure(findings: Seq2SeqFindings, stack: StackFindings, pages: Pages) -> Figure:
    name, attention = stack.stack.name, stack.attentions[0]
    own = float(findings.rollout.crossed[-1].sum(-1).mean())
    shares = (
        f" Behind the last block {percent(own)} of a position is from the source, the mean over positions: "
        "each cross attention is taken to bring half."
        if stack.stack is not ENCODER
        else ""
    )
    ending = "webp" if stack.stack is CROSS else "svg"
    return pages.figure(
        f"{rollout_path(stack)}.{ending}",
        f"Attention rollout on {len(attention.tokens)} × {len(attention.keys)} tokens: {_ROLLED[name]}.",
        f"“{findings.texts[0].text}” – {_ROLLED[name]}. The colour is the square root of the share.{shares}"
        f"{grain_note(attention)}",
        kind="rollout",
        ink=True,
    )


def seq2seq_table_names(findings: Seq2SeqFindings) -> tuple[str, ...]:
    """The tables that there are."""
    return ("layers.csv", *stack_table_names(findings.stacks), "answers.csv")


def seq2seq_ways(findings: Seq2SeqFindings) -> list[tuple[Link, str]]:
    """The pages of a model beside its layers and heads, each with what stands there."""
    found = []
    for one in findings.stacks:
        link = Link(attention_address(one), heads_title("All", one))
        found.append((link, _ABOUT[one.stack.name]))
    for one in findings.stacks:
        atlas = Link(atlas_address(one), heads_title("Atlas of", one))
        found.append((atlas, "any two statistics, sorted, filtered"))
    return found


def _overview(findings: Seq2SeqFindings, pages: Pages) -> Page:
    model = findings.model
    heads = sum(stack.count for stack in findings.stacks)
    return pages.page(
        "model_seq2seq.html",
        model_address(model.id),
        model.title,
        f"{model.title} opened: an encoder-decoder with {heads} attention heads in three stacks, "
        f"{size_text(model.parameters)} parameters, measured on {len(findings.texts)} texts.",
        model=model,
        place=Place(
            (home(),), layer_strips(findings.stacks, None), None, layer_link(model, model.layers[0])
        ),
        size=size_text(model.parameters),
        heads=heads,
        context=context_text(model.max_tokens),
        ways=seq2seq_ways(findings),
        signals=[
            _signal(findings, one, pages) for one in findings.stacks if one.stack is not CROSS
        ],
        stacks=[_stack(findings, one, pages) for one in findings.stacks],
        silenced=findings.stacks[0].ablation,
        left_out=LEFT_OUT,
        inputs=[_input(findings, text) for text in findings.texts],
        rows=[
            _architecture(findings, stack, layer)
            for stack in findings.stacks
            for layer in stack.layers
        ],
        sections=sections_of(findings.run, "model") if findings.run else (),
        tables=seq2seq_table_names(findings),
    )


def _signal(findings: Seq2SeqFindings, stack: StackFindings, pages: Pages) -> Figure:
    names = {layer.name for layer in stack.layers}
    signal = findings.signal
    places = [place for place, layer in enumerate(signal.layers) if layer.layer in names]
    near = [float(signal.layers[place].near_zero.mean()) for place in places]
    sizes = signal.stream[places].mean(1)
    title = stack.stack.title
    text = (
        f"{title}. Left: the share of MLP activations near zero, from {percent(min(near))} (block "
        f"{int(np.argmin(near))}) to {percent(max(near))} (block {int(np.argmax(near))}). Right: the size "
        f"of what a block hands on, {number(float(sizes[0]))} for block 0 and "
        f"{number(float(sizes[-1]))} for block {len(sizes) - 1}."
    )
    return pages.figure(
        f"models/{findings.model.id}/signal-{stack.stack.name}.svg",
        f"Two charts over the {len(places)} blocks. {text}",
        text,
        kind="sparsity",
        ink=True,
    )


def _stack(findings: Seq2SeqFindings, stack: StackFindings, pages: Pages) -> dict[str, object]:
    count = stack.count
    figure = pages.figure(
        f"models/{findings.model.id}/heads-{stack.stack.name}.svg",
        f"Heatmaps of layers by heads, one for each statistic of the {count} heads.",
        f"The {count} heads, named {stack.head(0, 0)} to "
        f"{stack.head(len(stack.layers) - 1, stack.heads - 1)}: layers downwards, heads to the right. Each "
        "map has its own scale, written above it.",
        kind="head_grid",
        ink=True,
    )
    return {
        "name": stack.stack.name,
        "title": stack.stack.title,
        "about": _ABOUT[stack.stack.name],
        "figure": figure,
        "leaders": leaders(stack),
        "roles": role_rows(stack),
        "named": stack.named,
        "twin_asked": stack.control.asked,
        "twin_labelled": stack.control.labelled,
        "count": count,
    }


def _input(findings: Seq2SeqFindings, text: CuratedText) -> dict[str, object]:
    pair = findings.pairs[text.id]
    return {
        "text": text,
        "pair": pair,
        "target": readable(pair.target) if not pair.target.strip() else pair.target,
        "how": target_line(pair),
    }


def _architecture(
    findings: Seq2SeqFindings, stack: StackFindings, layer: Layer
) -> dict[str, object]:
    model = findings.model
    signal = next((one for one in findings.signal.layers if one.layer == layer.name), None)
    heads = [Link(head_address(model.id, layer.name, h), str(h)) for h in range(stack.heads)]
    return {"layer": layer, "link": layer_link(model, layer), "signal": signal, "heads": heads}
