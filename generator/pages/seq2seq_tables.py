"""Every number on the pages of an encoder-decoder, as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from generator.findings.seq2seq import Seq2SeqFindings
from generator.inputs.texts import readable
from generator.pages.definitions import DEFINITIONS, MEASURED, TARGET, definitions_of
from generator.pages.role_table import role_table
from generator.pages.standings import order_heads, strong_links
from generator.probes import heads as head_probe
from generator.probes.seq2seq import LONGEST
from generator.table import Content, Table

LAYERS = "layers.csv"
_ON_RANDOM = {"duplicate_token", "induction"}
_ON_FEW = {"positional", "ablation_delta_loss"}  # one value for all texts, or not for each


def seq2seq_table_names(found: Seq2SeqFindings) -> tuple[str, ...]:
    """The tables that there are."""
    return (LAYERS, *(table.name for table in seq2seq_tables(found)))


def seq2seq_tables(found: Seq2SeqFindings) -> Iterator[Table]:
    """The tables but that of layers."""
    known: Mapping[str, Callable[[Seq2SeqFindings], Content]] = {
        "heads.csv": _heads,
        "heads_by_text.csv": _by_text,
        "statistics.csv": _statistics,
        "links.csv": _links,
        "roles.csv": _roles,
        "alike.csv": _alike,
        "answers.csv": _answers,
    }
    for name, content in known.items():
        yield Table(name, partial(content, found))
    if not found.stacks[0].ablation.reason:
        yield Table("ablation.csv", partial(_ablation, found))


def _columns(found: Seq2SeqFindings) -> list[str]:
    """All statistics that any stack has, in the order of their definitions."""
    there = {statistic.name for stack in found.stacks for statistic in stack.statistics}
    return [one.column for one in DEFINITIONS if one.column in there]


def _heads(found: Seq2SeqFindings) -> Content:
    """One row a head; a statistic that its stack does not have is left empty."""
    columns = _columns(found)
    header = ["layer", "head", "kv_group", "stack", "name", "role", "near_role"]
    for column in columns:
        header += [f"{column}{end}" for end in ("", "_sd", "_rank", "_percentile")]
    header.append("patterns")
    rows = []
    for stack in found.stacks:
        order = order_heads(stack.statistics)
        known = {statistic.name: statistic for statistic in stack.statistics}
        for layer, head in np.ndindex(len(stack.layers), stack.heads):
            role = stack.roles[layer][head]
            row: list[Any] = [
                stack.layers[layer].name,
                head,
                head,
                stack.stack.name,
                stack.head(layer, head),
                role.role,
                role.near,
            ]
            for column in columns:
                if column not in known:
                    row += ["", "", "", ""]
                    continue
                row += [known[column].mean[layer, head], known[column].spread[layer, head]]
                row.append(int(order.ranks[column][layer, head]))
                row.append(order.percentiles[column][layer, head])
            rows.append([*row, "; ".join(role.patterns)])
    return header, rows


def _by_text(found: Seq2SeqFindings) -> Content:
    columns = [one for one in _columns(found) if one not in _ON_RANDOM | _ON_FEW]
    rows = []
    for stack in found.stacks:
        known = {statistic.name: statistic.values for statistic in stack.statistics}
        for number, text in enumerate(found.texts):
            for layer, head in np.ndindex(len(stack.layers), stack.heads):
                values = [
                    known[one][number, layer, head] if one in known else "" for one in columns
                ]
                rows.append((stack.layers[layer].name, head, text.id, *values))
    return ("layer", "head", "text", *columns), rows


def _statistics(found: Seq2SeqFindings) -> Content:
    rows, words = [], definitions_of(TARGET)
    for stack in found.stacks:
        for statistic in stack.statistics:
            said, twin = words[statistic.name], stack.control.get(statistic.name)
            control = ("", "") if twin is None else (twin.mean(), twin.max())
            rows.append(
                (
                    stack.stack.name, statistic.name, said.formula, said.source, said.probe,
                    statistic.probes, statistic.uniform, *control,
                )
            )  # fmt: skip
    header = (
        "stack", "statistic", "definition", "source", "probe", "probes", "uniform_attention",
        "random_twin_mean", "random_twin_highest",
    )  # fmt: skip
    return header, rows


def _links(found: Seq2SeqFindings) -> Content:
    rows = [
        (
            stack.layers[layer].name, head, attention.text, link.query_place, link.query,
            link.key_place, link.key, link.weight,
        )
        for stack in found.stacks
        for attention in stack.attentions
        for layer, head in np.ndindex(len(stack.layers), stack.heads)
        for link in strong_links(attention, layer, head)
    ]  # fmt: skip
    header = ("layer", "head", "text", "query", "query_token", "key", "key_token", "weight")
    return header, rows


def _roles(found: Seq2SeqFindings) -> Content:
    return role_table(
        (stack.layers[role.layer].name, role)
        for stack in found.stacks
        for row in stack.roles
        for role in row
    )


def _alike(found: Seq2SeqFindings) -> Content:
    rows = []
    for stack in found.stacks:
        names = [layer.name for layer in stack.layers]
        for (layer, head, place), value in np.ndenumerate(stack.likeness.correlation):
            other, other_head = stack.likeness.others[layer, head, place].tolist()
            rows.append((names[layer], head, place + 1, names[other], other_head, value))
    return ("layer", "head", "place", "other_layer", "other_head", "correlation"), rows


def _answers(found: Seq2SeqFindings) -> Content:
    """What the decoder read and was to write, token by token."""
    rows = []
    for text, pair in found.pairs.items():
        how = "answer" if pair.generated else "given"
        tokens = zip(pair.read.tokens, pair.written.tokens, strict=True)
        for place, (read, written) in enumerate(tokens):
            rows.append((text, how, place, readable(read), readable(written), pair.loss))
    return ("text", "target", "place", "read", "written", "loss_nats"), rows


def _ablation(found: Seq2SeqFindings) -> Content:
    rows: list[tuple[Any, ...]] = []
    unit = MEASURED[TARGET]
    for stack in found.stacks:
        made = stack.ablation
        for name, (layer, head) in (
            (name, at)
            for name in range(len(made.inputs))
            for at in np.ndindex(*made.delta.shape[2:])
        ):
            where = (made.inputs[name], stack.layers[layer].name, head)
            rows.append((*where, made.base[0, name], made.delta[0, name, layer, head], unit))
    return ("text", "layer", "head", "loss", "delta", "measure"), rows


def seq2seq_inputs(found: Seq2SeqFindings) -> dict[str, Any]:
    """What manifest.json says of the texts and of what was done with them."""
    return {
        "inputs": [
            {
                "id": text.id,
                "text": text.text,
                "tokens": len(found.pairs[text.id].source.ids),
                "target": found.pairs[text.id].target,
                "target_is_own_answer": found.pairs[text.id].generated,
            }
            for text in found.texts
        ],
        "longest_answer": LONGEST,
        "repeated_sequences": head_probe.SEQUENCES,
        "silenced_on": {"texts": list(found.stacks[0].ablation.inputs)},
        "random_twin_seed": found.twin_seed,
    }
