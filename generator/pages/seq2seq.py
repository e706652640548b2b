"""The pages of an encoder-decoder: its overview, and all heads of each of its three stacks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from generator.addresses import Link, head_address, model_address, part_address
from generator.figures.figure import Figure
from generator.findings.seq2seq import Seq2SeqFindings, StackFindings
from generator.formatting import number, percent
from generator.inputs.texts import CuratedText, readable
from generator.models.layer import Layer
from generator.models.stacks import CROSS, DECODER, ENCODER
from generator.models.tokens import context_text
from generator.pages.all_heads import AllHeads, attention_page
from generator.pages.atlas import Mapped, atlas_page
from generator.pages.context import Place, home, layer_link, model_link, size_text
from generator.pages.definitions import TARGET, definitions_of
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.roles import rows_of
from generator.pages.sections import sections_of
from generator.pages.seq2seq_layers import (
    all_heads_address,
    head_link,
    layer_pages,
    layer_strips,
    pair_view,
    target_line,
)
from generator.pages.seq2seq_tables import seq2seq_table_names
from generator.pages.standings import leader

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
    model = findings.model
    yield _overview(findings, pages)
    for stack in findings.stacks:
        name = stack.stack.name
        place = Place((home(), model_link(model)), layer_strips(findings, None), model_link(model))
        yield attention_page(
            model,
            AllHeads(
                all_heads_address(model.id, name),
                f"All {_adjective(stack)} heads",
                stack.layers,
                stack.heads,
                _NOTES[name],
            ),
            findings.texts,
            stack.attentions,
            place,
            pages,
            neurons=[found.text for found in stack.queries],
            targets={text.id: pair_view(findings, text.id) for text in findings.texts},
        )
        yield atlas_page(model, _mapped(findings, stack), place, pages)
    for stack in findings.stacks:
        yield from layer_pages(findings, stack, pages)


def seq2seq_ways(findings: Seq2SeqFindings) -> list[tuple[Link, str]]:
    """The pages of a model beside its layers and heads, each with what stands there."""
    found = []
    for one in findings.stacks:
        address = all_heads_address(findings.model.id, one.stack.name)
        found.append((Link(address, f"All {_adjective(one)} heads"), _ABOUT[one.stack.name]))
    for one in findings.stacks:
        atlas = Link(_atlas_address(findings, one), f"Atlas of {_adjective(one)} heads")
        found.append((atlas, "any two statistics, sorted, filtered"))
    return found


def _atlas_address(findings: Seq2SeqFindings, stack: StackFindings) -> str:
    return part_address(findings.model.id, f"atlas/{stack.stack.name}")


def _mapped(findings: Seq2SeqFindings, stack: StackFindings) -> Mapped:
    """The heads of one stack for their atlas."""
    return Mapped(
        address=_atlas_address(findings, stack),
        title=f"Atlas of {_adjective(stack)} heads",
        picture=f"models/{findings.model.id}/atlas-{stack.stack.name}.svg",
        groups=stack.heads,
        statistics=stack.statistics,
        twin=stack.control,
        roles=stack.roles,
        rules=stack.rules,
        axes=stack.telling_axes,
        words=definitions_of(TARGET),
        link=partial(head_link, findings, stack),
    )


def _adjective(stack: StackFindings) -> str:
    return {CROSS.name: "cross-attention"}.get(stack.stack.name, stack.stack.name)


def _overview(findings: Seq2SeqFindings, pages: Pages) -> Page:
    model = findings.model
    heads = sum(len(stack.layers) * stack.heads for stack in findings.stacks)
    return pages.page(
        "model_seq2seq.html",
        model_address(model.id),
        model.title,
        f"{model.title} opened: an encoder-decoder with {heads} attention heads in three stacks, "
        f"{size_text(model.parameters)} parameters, measured on {len(findings.texts)} texts.",
        model=model,
        place=Place(
            (home(),), layer_strips(findings, None), None, layer_link(model, model.layers[0])
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
    def link(layer: int, head: int) -> Link:
        return head_link(findings, stack, layer, head)

    count = len(stack.layers) * stack.heads
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
        "leaders": [
            leader(one, stack.control, link, definitions_of(TARGET)) for one in stack.statistics
        ],
        "roles": rows_of(stack.roles, stack.rules, link, predicts=True),
        "named": stack.named,
        "twin_asked": stack.twin_asked,
        "twin_labelled": stack.twin_labelled,
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
