"""What a head would do with a word alone: OV and QK circuits, read off its weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.inputs.texts import readable
from generator.probes.circuits import TOP, Circuits, curated_words, measure_circuits
from generator.run import TEXTS, Run, Section, Technique
from generator.table import Content, Table
from generator.techniques.measured_stack import StackHeads, stack_named

WORDS, TOKENS = 6, 5


WrittenRow = tuple[str, tuple[str, ...], int]
"""One word, the tokens that a head raises most on seeing it, and the word's own rank among all."""


@dataclass(frozen=True)
class CircuitView:
    """OV rows and QK pairs (query, key, score above the query's mean) of one head."""

    rows: tuple[WrittenRow, ...]
    pairs: tuple[tuple[str, str, float], ...]
    found: Circuits


def view(run: Run, _: StackHeads, layer: int, head: int) -> CircuitView:
    """The circuits of one head; of the OV circuit the words on which it does most."""
    found = run[CIRCUITS]
    rows: list[WrittenRow] = []
    pairs: list[tuple[str, str, float]] = []
    words = [readable(word) for word in found.words]
    if not found.reason:
        for word in _loudest(found.raised[layer, head]):
            tokens = [readable(found.names[int(i)]) for i in found.written[layer, head, word]]
            own = int(found.own_rank[layer, head, word])
            rows.append((words[word], tuple(tokens[:TOKENS]), own))
    if not found.why_no_pairs:
        matched = zip(found.pairs[layer, head], found.match[layer, head], strict=True)
        pairs = [(words[query], words[key], float(score)) for (query, key), score in matched]
    return CircuitView(tuple(rows), tuple(pairs), found)


def _loudest(raised: np.ndarray) -> Sequence[int]:
    """The words whose strongest effect is largest, in order of appearance."""
    order = np.argsort(-raised[:, 0].round(5), kind="stable")[:WORDS]
    return sorted(int(place) for place in order)


def measure(run: Run) -> Circuits:
    """What each head writes on seeing a word, and which words it lets meet."""
    model = run.language
    words = curated_words(run.encodings, run.budget.words)
    found = measure_circuits(model, words, run.store)
    run.step(f"{model.id}: circuits")
    return found


def figure(run: Run, layer: int, head: int, words: int = 10) -> Figure:
    """What a head writes when it looks at a word, read off its weights."""
    heads = stack_named(run.model)
    row, column = heads.layer_named(layer), heads.head_numbered(head)
    found, name = run[CIRCUITS], heads.head(row, column)
    if found.reason:
        raise UsageError(f"{run.model.id} has no circuits: {found.reason}")
    ranks = found.own_rank[row, column]
    chosen = range(min(words, len(found.words)))
    written = found.written[row, column]
    copies = int((ranks[: len(chosen)] <= 5).sum())
    return published(
        "words",
        {
            "header": ("looks at", "makes more likely, strongest first", "its own rank"),
            "rows": tuple(
                (
                    readable(found.words[word]),
                    tuple(readable(found.names[int(i)]) for i in written[word]),
                    f"{int(ranks[word]):,}",
                )
                for word in chosen
            ),
        },
        f"A table of {len(chosen)} words and the tokens that {name} makes more likely when it "
        "looks at each; "
        f"{copies} of the words are among the five strongest themselves.",
        f"The OV circuit of {name}: which tokens it makes more likely when it looks at a word "
        "(direct path only), "
        f"and the rank of the word itself. {copies} of {len(chosen)} words are among their own five.",
    )


def tables(run: Run) -> Iterator[Table]:
    """What heads write on each word, and the pairs of words that match best."""
    found = run[CIRCUITS]
    if not found.reason:
        yield Table("written.csv", lambda: _written(found))
    if not found.why_no_pairs:
        yield Table("pairs.csv", lambda: _pairs(found))


def _written(circuits: Circuits) -> Content:
    rows = []
    for layer, head, word in np.ndindex(circuits.own_rank.shape):
        tokens = [readable(circuits.names[int(i)]) for i in circuits.written[layer, head, word]]
        raised = circuits.raised[layer, head, word].tolist()
        own = int(circuits.own_rank[layer, head, word])
        rows.append((layer, head, readable(circuits.words[word]), own, *tokens, *raised))
    tops = range(1, 1 + min(TOP, circuits.written.shape[-1]))
    header = ("layer", "head", "word", "own_rank", *(f"token_{i}" for i in tops))
    return (*header, *(f"raised_{i}" for i in tops)), rows


def _pairs(circuits: Circuits) -> Content:
    words = [readable(word) for word in circuits.words]
    rows = []
    for (layer, head, place), match in np.ndenumerate(circuits.match):
        query, key = circuits.pairs[layer, head, place].tolist()
        rows.append((layer, head, place + 1, words[query], words[key], match))
    return ("layer", "head", "place", "query", "key", "match"), rows


CIRCUITS = Technique(
    name="circuits",
    title="Circuits",
    search="OV QK copying circuit",
    reads=TEXTS,
    measure=measure,
    figures={"circuits": figure},
    tables=tables,
    sections=(Section("head", "circuits", "circuits.html", view),),
)
