"""The tables of what weights and further runs tell of heads: circuits, stability, decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from generator.findings import TextFindings
from generator.inputs.texts import readable
from generator.pages.stack_tables import stack_tables
from generator.probes.circuits import TOP
from generator.table import Content, Table


def head_table_names(found: TextFindings) -> tuple[str, ...]:
    """The tables that there are for a model."""
    return tuple(table.name for table in head_tables(found))


def head_tables(found: TextFindings) -> Iterator[Table]:
    """The tables that there are for a model, those on its stack first."""
    yield from stack_tables(found.stacks)
    heads = found.heads
    known: Mapping[str, tuple[Callable[[TextFindings], Content], bool]] = {
        "written.csv": (_written, not heads.circuits.reason),
        "pairs.csv": (_pairs, not heads.circuits.why_no_pairs),
        "stability.csv": (_stability, heads.stability is not None),
        "recipes.csv": (_recipes, bool(heads.recipes.recipes)),
        "lens.csv": (_lens, any(not lens.reason for lens, _ in found.decoded)),
        "logit_shares.csv": (_shares, any(one.shares is not None for _, one in found.decoded)),
    }
    for name, (content, there) in known.items():
        if there:
            yield Table(name, partial(content, found))


def _written(found: TextFindings) -> Content:
    circuits = found.heads.circuits
    rows = []
    for layer, head, word in np.ndindex(circuits.own_rank.shape):
        tokens = [readable(circuits.names[int(i)]) for i in circuits.written[layer, head, word]]
        raised = circuits.raised[layer, head, word].tolist()
        own = int(circuits.own_rank[layer, head, word])
        rows.append((layer, head, readable(circuits.words[word]), own, *tokens, *raised))
    tops = range(1, 1 + min(TOP, circuits.written.shape[-1]))
    header = ("layer", "head", "word", "own_rank", *(f"token_{i}" for i in tops))
    return (*header, *(f"raised_{i}" for i in tops)), rows


def _pairs(found: TextFindings) -> Content:
    circuits = found.heads.circuits
    words = [readable(word) for word in circuits.words]
    rows = []
    for (layer, head, place), match in np.ndenumerate(circuits.match):
        query, key = circuits.pairs[layer, head, place].tolist()
        rows.append((layer, head, place + 1, words[query], words[key], match))
    return ("layer", "head", "place", "query", "key", "match"), rows


def _stability(found: TextFindings) -> Content:
    stability = found.heads.stability
    assert stability is not None
    parts = (stability.induction, stability.previous_token, stability.duplicate_token)
    rows = [
        (stability.seeds[run], layer, head, *(part[run, layer, head] for part in parts))
        for run, layer, head in np.ndindex(stability.induction.shape)
    ]
    return ("seed", "layer", "head", "induction", "previous_token", "duplicate_token"), rows


def _recipes(found: TextFindings) -> Content:
    """The induction score of every head under each recipe, with its 95 % interval over fresh draws."""
    recipes = found.heads.recipes
    mean, reach = recipes.mean, recipes.reach
    rows = [
        (one.length, one.gap, int(one.framed), layer, head, value, value - width, value + width)
        for at, one in enumerate(recipes.recipes)
        for (layer, head), value in np.ndenumerate(mean[at])
        for width in (reach[at, layer, head],)
    ]
    header = ("copy", "gap", "framed", "layer", "head", "induction", "low", "high")
    return header, rows


def _lens(found: TextFindings) -> Content:
    """The likeliest next token behind each layer at each position; layer -1 is the embedding."""
    rows: list[tuple[Any, ...]] = []
    for lens, _ in found.decoded:
        for row, place in np.ndindex(lens.final_rank.shape):
            rows.append(
                (
                    lens.text, row - 1, place, readable(lens.tokens[row][place][0]),
                    lens.probabilities[row, place, 0], int(lens.final_rank[row, place]),
                    lens.final_probability[row, place], lens.divergence[row, place],
                )
            )  # fmt: skip
    header = (
        "text", "layer", "position", "token", "probability", "final_token_rank",
        "final_token_probability", "divergence_nats",
    )  # fmt: skip
    return header, rows


def _shares(found: TextFindings) -> Content:
    """The parts of the predicted token's logit; each text's `share` sum to its logit."""
    rows: list[tuple[Any, ...]] = []
    for _, one in found.decoded:
        if one.shares is None or one.above_mean is None:
            continue
        where, both = (one.text, readable(one.token)), (one.shares, one.above_mean)
        rows.append((*where, "embedding", "", "", *(s.embedding for s in both)))
        for (layer, head), _ in np.ndenumerate(one.shares.heads):
            rows.append((*where, "head", layer, head, *(s.heads[layer, head] for s in both)))
        for layer in range(len(one.shares.mlps)):
            rows.append((*where, "mlp", layer, "", *(s.mlps[layer] for s in both)))
            bias = (s.attention_bias[layer] for s in both)
            rows.append((*where, "attention bias", layer, "", *bias))
        rows.append((*where, "bias", "", "", *(s.bias for s in both)))
    return ("text", "token", "part", "layer", "head", "share", "share_above_mean"), rows
