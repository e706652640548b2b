"""Attention over tokens: where each head looks, on every text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from generator.addresses import Link
from generator.figures.figure import Figure
from generator.models.stacks import CROSS, DECODER, ENCODER, ONLY, PAIR
from generator.probes.attention import Attention, measure_attention
from generator.probes.queries import Queries, measure_queries
from generator.probes.seq2seq import measure_pair_attention, measure_pair_queries
from generator.run import PAIRS, TEXTS, Run, Section, Technique
from generator.techniques.answers import Quote, pairs_of, quotes_of
from generator.techniques.attention_drawings import attention_heads, attention_map, sheets
from generator.techniques.components import (
    Component,
    attention_files,
    component,
    vector_files,
)
from generator.techniques.links import layer_link
from generator.techniques.measured_stack import StackHeads

# Vectors weigh ten times as much as weights, and a page that follows a head has a table for each token:
# both are made of the first text alone that is short enough.
WITH_VECTORS, LONGEST_WITH_VECTORS = 1, 96


@dataclass(frozen=True, eq=False)
class TextAttention:
    """The weights of all heads of a stack on each text, and the vectors of the first."""

    attentions: tuple[Attention, ...]
    queries: tuple[Queries, ...]

    @property
    def causal(self) -> bool:
        """Whether a token sees only what came before it."""
        return self.attentions[0].causal

    def has_vectors(self, text: str) -> bool:
        """Whether queries and keys on a text are published."""
        return any(one.text == text for one in self.queries)


def measure(run: Run) -> Mapping[str, TextAttention]:
    """Weights and vectors of each stack, by its name."""
    if run.reads == PAIRS:
        return _of_pairs(run)
    texts, model = run.inputs.texts, run.language
    attentions = []
    for text in texts:
        attentions.append(measure_attention(model, text, run.store))
        run.step(f"{model.id}: {text.id}")
    short = [text for text in texts if len(run.encodings[text.id].ids) <= LONGEST_WITH_VECTORS]
    queries = [measure_queries(model, text, run.store) for text in short[:WITH_VECTORS]]
    run.step(f"{model.id}: queries and keys")
    shown = tuple(found for found in queries if not found.reason)
    return {ONLY.name: TextAttention(tuple(attentions), shown)}


def _of_pairs(run: Run) -> Mapping[str, TextAttention]:
    model, pairs = run.pair, pairs_of(run)
    attentions = []
    for pair in pairs:
        attentions.append(measure_pair_attention(model, pair, run.store))
        run.step(f"{model.id}: {pair.text}")
    queries = [measure_pair_queries(model, pair, run.store).stacks for pair in pairs[:WITH_VECTORS]]
    run.step(f"{model.id}: queries and keys")
    return {
        stack.name: TextAttention(
            tuple(one.of(stack) for one in attentions),
            tuple(found[place] for found in queries if found),
        )
        for place, stack in enumerate(PAIR)
    }


ModelText = tuple[Quote, Component, tuple[tuple[Figure, Link], ...]]
"""All heads of a stack on one text; last the sheets that are drawn, for readers without a script."""


@dataclass(frozen=True)
class ModelView:
    """All heads of a stack on every text, with what is particular about them."""

    texts: tuple[ModelText, ...]
    note: str
    stack: str


_NOTES = {
    ENCODER.name: "Rows and columns are the tokens of the source.",
    DECODER.name: "Rows and columns are the tokens that the decoder reads: the target, one token behind.",
    CROSS.name: "Rows are the tokens that the decoder reads, columns those of the source.",
}


def model_view(run: Run, stack: StackHeads) -> ModelView:
    """All heads of a stack on each text."""
    found = run[ATTENTION][stack.stack.name]
    texts = (
        (
            quotes_of(run)[one.text],
            component(run.model.id, one, neurons=found.has_vectors(one.text)),
            tuple(_still(run, stack, one, place) for place in range(len(stack.layers))),
        )
        for one in found.attentions
    )
    return ModelView(tuple(texts), _NOTES.get(stack.stack.name, ""), stack.stack.name)


def _still(run: Run, stack: StackHeads, attention: Attention, layer: int) -> tuple[Figure, Link]:
    """The drawn sheet of a layer, with a link to its page."""
    one = stack.layers[layer]
    alt = f"Attention maps of the heads of layer {one.name} on this text"
    figure = Figure(sheets(run, stack, attention), alt, number=layer, ink=True, pixelated=True)
    return figure, layer_link(run.model, one)


def scripts(run: Run) -> Iterator[tuple[str, str]]:
    """The weights and vectors that components load."""
    for found in run[ATTENTION].values():
        for attention in found.attentions:
            yield from attention_files(run.model.id, attention)
        for queries in found.queries:
            yield from vector_files(run.model.id, queries)


ATTENTION = Technique(
    name="attention",
    title="Attention maps",
    search="BertViz model view attention maps",
    reads=(TEXTS, PAIRS),
    measure=measure,
    figures={"attention_map": attention_map, "attention_heads": attention_heads},
    sections=(Section("attention", "heads", "attention_view.html", model_view),),
    scripts=scripts,
)
