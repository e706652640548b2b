"""The tables on heads, the same for every kind of model: a row a head, its links, roles and effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from generator.models.stacks import PATCHES
from generator.probes.ablation import Ablation
from generator.probes.head_statistic import MEASURED
from generator.probes.head_statistics import HEAD_STATISTICS
from generator.table import Content, Table
from generator.techniques.measured_stack import MeasuredStack
from generator.techniques.standings import strong_links

Stacks = Sequence[MeasuredStack]
Records = Iterator[dict[str, Any]]


def stack_tables(stacks: Stacks) -> Iterator[Table]:
    """The tables that there are on the heads of a model."""
    first = stacks[0]
    known: Mapping[str, tuple[Callable[[Stacks], Content], bool]] = {
        "heads.csv": (partial(_content, _heads), True),
        f"heads_by_{_input(first)}.csv": (partial(_content, _by_input), True),
        "statistics.csv": (partial(_content, _statistics), True),
        "links.csv": (_links, bool(first.attentions)),
        "roles.csv": (_roles, first.named is not None),
        "alike.csv": (_alike, first.likeness is not None),
        "ablation.csv": (partial(_content, _ablation), not first.ablation.reason),
    }
    for name, (content, there) in known.items():
        if there:
            yield Table(name, partial(content, stacks))


def _input(stack: MeasuredStack) -> str:
    """What a stack is run on."""
    return "picture" if stack.stack is PATCHES else "text"


def _columns(stacks: Stacks) -> list[str]:
    """All statistics that any stack has, in the order of their definitions."""
    there = {statistic.name for stack in stacks for statistic in stack.statistics}
    return list(dict.fromkeys(one.column for one in HEAD_STATISTICS if one.column in there))


def _where(stack: MeasuredStack, layer: int, head: int) -> dict[str, Any]:
    """A head in a table: layer and head, and the number of a block whose name does not have it."""
    number = {"block": layer} if stack.stack is PATCHES else {}
    return {"layer": stack.layers[layer].name, **number, "head": head}


def _content(make: Callable[[Stacks], Records], stacks: Stacks) -> Content:
    """Header and rows of records that all have the same names."""
    every = list(make(stacks))
    return tuple(every[0]), [tuple(one.values()) for one in every]


def _heads(stacks: Stacks) -> Records:
    """One row a head; a statistic that its stack does not have is left empty."""
    columns = _columns(stacks)
    for stack in stacks:
        known = stack.known
        means = {name: one.mean for name, one in known.items()}
        spreads = {name: one.spread for name, one in known.items()}
        for at in stack.places:
            row = {**_where(stack, *at), "kv_group": stack.group(at[1])}
            if stack.several:
                row |= {"stack": stack.stack.name, "name": stack.head(*at)}
            role = stack.roles[at[0]][at[1]] if stack.named else None
            if role:
                row |= {"role": role.role, "near_role": role.near}
            for one in columns:
                there = one in known
                row[one] = means[one][at] if there else ""
                row[f"{one}_sd"] = spreads[one][at] if there else ""
                measured = there and known[one].was_asked(at)
                row[f"{one}_rank"] = int(stack.ranks[one][at]) if measured else ""
                row[f"{one}_percentile"] = stack.percentiles[one][at] if there else ""
            if role:
                row["patterns"] = "; ".join(role.patterns)
            yield row


def _by_input(stacks: Stacks) -> Records:
    definitions = {name: one for stack in stacks for name, one in stack.definitions.items()}
    columns = [name for name in _columns(stacks) if definitions[name].each_input]
    for stack in stacks:
        known = {statistic.name: statistic.values for statistic in stack.statistics}
        for number, name in enumerate(stack.inputs):
            for at in stack.places:
                values = {one: known[one][number, *at] if one in known else "" for one in columns}
                yield {**_where(stack, *at), _input(stack): name, **values}


def _statistics(stacks: Stacks) -> Records:
    """What each column of heads.csv means, and its controls: an even spread, and random weights."""
    for stack in stacks:
        for one in stack.statistics:
            yield {
                **({"stack": stack.stack.name} if stack.several else {}),
                "statistic": one.name,
                "definition": stack.definitions[one.name].formula,
                "source": stack.definitions[one.name].source,
                "probe": stack.definitions[one.name].probe,
                "probes": one.probes,
                "uniform_attention": one.uniform,
                "random_twin_mean": stack.control.mean(one.name),
                "random_twin_highest": stack.control.highest(one.name),
            }


def _links(stacks: Stacks) -> Content:
    """The largest weights of each head on each text."""
    rows = [
        (
            stack.layers[layer].name, head, attention.text, link.query_place, link.query,
            link.key_place, link.key, link.weight,
        )
        for stack in stacks
        for attention in stack.attentions
        for layer, head in stack.places
        for link in strong_links(attention, layer, head)
    ]  # fmt: skip
    header = ("layer", "head", "text", "query", "query_token", "key", "key_token", "weight")
    return header, rows


def _roles(stacks: Stacks) -> Content:
    """The evidence of every rule on every head."""
    rows = [
        (
            stack.layers[role.layer].name, role.head, role.role, one.rule.role, one.rule.statistic,
            one.value, one.threshold, int(one.looks), one.probe, one.effect.mean, one.effect.error,
            one.effect.bar, int(one.acts), one.value_low, one.effect.low, one.effect.high,
            one.effect.inputs, one.effect.p_value, one.adjusted,
        )
        for stack in stacks
        for row in stack.roles
        for role in row
        for one in role.evidence
    ]  # fmt: skip
    header = (
        "layer", "head", "role", "rule", "statistic", "value", "threshold", "looks", "probe",
        "effect", "standard_error", "median_effect", "acts", "value_low", "low", "high", "n", "p_value",
        "p_holm",
    )  # fmt: skip
    return header, rows


def _alike(stacks: Stacks) -> Content:
    """The heads whose maps resemble each head's most."""
    rows = []
    for stack in stacks:
        assert stack.likeness is not None
        for (layer, head, place), value in np.ndenumerate(stack.likeness.correlation):
            other, other_head = stack.likeness.others[layer, head, place].tolist()
            where = _where(stack, layer, head).values()
            rows.append((*where, place + 1, stack.layers[other].name, other_head, value))
    return (*_where(stacks[0], 0, 0), "place", "other_layer", "other_head", "correlation"), rows


def _ablation(stacks: Stacks) -> Records:
    """The effect of silencing heads on each input and span: all in the sweep, some on held-out inputs."""
    for stack in stacks:
        yield from _ablation_of(stack)


def _ablation_of(stack: MeasuredStack) -> Records:
    for probe, made in _silenced(stack).items():
        for span, number in np.ndindex(made.base.shape):
            for at, delta in np.ndenumerate(made.delta[span, number]):
                swept = probe in ("text", "repeats") and stack.sweep.silenced(
                    (int(at[0]), int(at[1]))
                )
                if np.isnan(delta) and not swept:
                    continue  # was not asked
                name = made.inputs[number]
                spans = {"probe": probe, "input": name, "span": made.spans[span]}
                yield {
                    **({_input(stack): name} if len(_silenced(stack)) == 1 else spans),
                    **_where(stack, int(at[0]), int(at[1])),
                    "untouched" if stack.stack is PATCHES else "loss": made.base[span, number],
                    "delta": delta,
                    "measure": MEASURED[stack.measure],
                }


def _silenced(stack: MeasuredStack) -> dict[str, Ablation]:
    """What was run with silent heads, by name: one sweep, or that and what else there is of one stack."""
    if stack.several or stack.named is None:
        return {"text": stack.ablation}
    held_out = stack.named.held_out
    every = {
        "text": stack.ablation,
        "repeats": stack.repeats,
        "held-out text": held_out.texts,
        "held-out repeats": held_out.repeats,
        "held-out text, random push": held_out.turned_texts,
        "held-out repeats, random push": held_out.turned_repeats,
    }
    return {name: one for name, one in every.items() if one is not None}
