"""Attention over tokens to play with: one head, the heads of a layer or of a model, and a head's vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from generator.errors import UsageError
from generator.probes.attention import Attention
from generator.run import PAIRS, Run
from generator.techniques.answers import ANSWERS
from generator.techniques.attention import ATTENTION
from generator.techniques.attention_drawings import attention_on, size_of
from generator.techniques.components import (
    Component,
    attention_files,
    component,
    layer_file,
    vector_files,
)
from generator.techniques.measured_stack import StackHeads, stack_named
from generator.widget import Files, Widget

_SCRIPTS = (
    *("attention", "attention-component", "attention-lines", "attention-map"),
    *("attention-neurons", "attention-grid"),
)
_HOW = (
    "A line goes from the token that looks (left) to the one that it looks at (right): the stronger, the "
    "more of its attention. A row of the map is a token that looks; its weights sum to 1."
)


@dataclass(frozen=True)
class Shown:
    """A component, and the text or the two texts that it is about."""

    component: Component
    text: str
    target: str


def head_view(run: Run, layer: int | str, head: int, text: str, stack: str = "") -> Widget:
    """Where one head looks on one text: lines, or a map."""
    known, attention, row, column = _head(run, layer, head, text, stack)
    alt = f"Where {known.head(row, column)} of {run.model.title} looks on {size_of(attention)}."
    return _widget(run, "head_view", alt, _HOW, attention, row, column)


def neuron_view(run: Run, layer: int | str, head: int, text: str, stack: str = "") -> Widget:
    """How one head comes to its weights on one text: query, key, products, score."""
    known, attention, row, column = _head(run, layer, head, text, stack)
    if not run[ATTENTION][known.stack.name].has_vectors(text):
        there = ", ".join(one.text for one in run[ATTENTION][known.stack.name].queries)
        raise UsageError(
            f"{run.model.id} has no queries and keys of the text '{text}'. It has them on: {there or 'none'}."
        )
    name = f"{known.head(row, column)} of {run.model.title}"
    alt = f"Query, keys and weights of {name} on {size_of(attention)}."
    said = (
        "The query of the token that looks, times the keys of all that it can see, element by element; the "
        "sum makes the score, and a softmax of the scores the weights. Blue is above zero, orange below."
    )
    return _widget(run, "neuron_view", alt, said, attention, row, column, opens="neurons")


def layer_view(run: Run, layer: int | str, text: str, stack: str = "") -> Widget:
    """Where the heads of a layer look on one text."""
    known = stack_named(run.model, stack)
    row, attention = known.layer_named(layer), attention_on(run, text, known.stack)
    alt = (
        f"Where the {known.heads} heads of {known.layer_words} {row} of {run.model.title} look on "
        f"{size_of(attention)}."
    )
    return _widget(run, "layer_view", alt, f"{_HOW} Each head has a colour.", attention, row)


def model_view(run: Run, text: str, stack: str = "") -> Widget:
    """Where every head of a model looks on one text."""
    known = stack_named(run.model, stack)
    attention = attention_on(run, text, known.stack)
    alt = f"Where the {known.count} {known.heads_words} of {run.model.title} look on {size_of(attention)}."
    said = "The colour shows the square root of the weight, on one scale for all heads."
    return _widget(run, "model_view", alt, said, attention)


def _head(
    run: Run, layer: int | str, head: int, text: str, stack: str
) -> tuple[StackHeads, Attention, int, int]:
    known = stack_named(run.model, stack)
    row, column = known.layer_named(layer), known.head_numbered(head)
    return known, attention_on(run, text, known.stack), row, column


def _widget(
    run: Run,
    kind: str,
    alt: str,
    caption: str,
    attention: Attention,
    layer: int | None = None,
    head: int | None = None,
    *,
    opens: str = "",
) -> Widget:
    """The component of a head, a layer or a model; what `opens` on vectors loads those of its layer."""
    vectors = run[ATTENTION][attention.stack].has_vectors(attention.text)
    made = component(run.model.id, attention, layer, head, neurons=vectors)
    if opens:
        made = replace(made, opens=opens, neurons=made.neurons.replace("{layer}", str(layer)))
    target = run[ANSWERS][attention.text].target if run.reads == PAIRS else ""
    shown = Shown(made, run.text(attention.text).text, target)
    return Widget(
        kind,
        "attention",
        alt,
        caption,
        lambda _: shown,
        ("attention",),
        _SCRIPTS,
        files=partial(_files, run, made, attention),
        wide=made.kind != "head",
    )


def _files(run: Run, component: Component, attention: Attention) -> Files:
    """The scripts that a component loads: of a layer its own heads alone, and vectors if it opens there."""
    model = run.model.id
    if not component.data:
        yield from _weights(model, component, attention)
    if component.opens:
        every = (one for found in run[ATTENTION].values() for one in found.queries)
        yield from (
            file
            for found in every
            for file in vector_files(model, found)
            if file[0] == component.neurons
        )


def _weights(model: str, component: Component, attention: Attention) -> Iterator[tuple[str, str]]:
    if component.layer is None:
        yield from attention_files(model, attention)
    elif not component.alone:
        yield layer_file(model, attention, component.layer)
    else:
        heads = range(attention.weights.shape[1]) if component.head is None else (component.head,)
        named = component.alone.replace("{layer}", str(component.layer))
        own = {named.replace("{head}", str(head)) for head in heads}
        yield from (file for file in attention_files(model, attention) if file[0] in own)
