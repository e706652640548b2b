"""Figures of attention: one head on one text, all heads of a layer, statistics of all heads."""

from __future__ import annotations

import numpy as np

from generator.articles.plan import Names, Numbers, Plan
from generator.articles.shown import Shown, head_of, layer_of, one_of
from generator.errors import UsageError
from generator.findings import TextFindings
from generator.inputs.texts import readable
from generator.pages.definitions import BY_COLUMN
from generator.pages.environment import number, percent
from generator.pages.heads import head_name
from generator.pages.standings import strong_links
from generator.probes.heads import Statistic
from generator.probes.roles import RULES

_NAMED = 8


def attention_map(shown: Shown, model: str, layer: int, head: int, text: str) -> Plan:
    """Where one head looks on one text."""
    network = shown.language(model)
    row, column = layer_of(network, layer).index, head_of(network, head)
    attention = shown.attention(model, text)
    tokens = tuple(readable(token) for token in attention.tokens)
    name, links = head_name(row, column), strong_links(attention, row, column)
    weights = attention.weights[row, column]
    strongest = (
        f"Past the first token the strongest link goes from ‘{links[0].query}’ to ‘{links[0].key}’ "
        f"({number(links[0].weight)})."
        if links
        else "All weight lies on the first token."
    )
    return Plan(
        "attention_map",
        {"tokens": tokens, "weights": weights, "causal": attention.causal},
        f"Attention map of {name} on {len(tokens)} tokens. {strongest}",
        f"Where {name} of {network.title} looks: rows look, columns are looked at, a row’s "
        "weights sum to 1. "
        f"{strongest}",
    )


def attention_heads(shown: Shown, model: str, layer: int, text: str, heads: Numbers = ()) -> Plan:
    """All heads of a layer, or some, on one text."""
    network = shown.language(model)
    row = layer_of(network, layer).index
    chosen = [head_of(network, head) for head in heads] or list(range(network.heads))
    attention = shown.attention(model, text)
    weights = attention.weights[row, chosen]
    names = [head_name(row, head) for head in chosen]
    sink = float(weights[:, 1:, 0].mean()) if weights.shape[-1] > 1 else float("nan")
    return Plan(
        "attention_grid",
        {"titles": tuple(names), "weights": weights, "causal": attention.causal},
        f"Attention maps of {len(chosen)} heads of layer {row} on {weights.shape[-1]} tokens; on "
        "average "
        f"{percent(sink)} of the weight lies on the first token.",
        f"Heads of layer {row} of {network.title} on one text of {weights.shape[-1]} tokens. "
        "Rows look, "
        f"columns are looked at. Mean weight on the first token: {percent(sink)}.",
    )


def head_scatter(shown: Shown, model: str, x: str = "", y: str = "", heads: Names = ()) -> Plan:
    """All heads over two statistics, those with a role in colour; some can be named (L18H6)."""
    findings = shown.about_texts(model)
    first, second = findings.telling_axes
    over, up = (statistic_of(findings, name) for name in (x or first, y or second))
    roles = tuple(role.role for row in findings.heads.roles for role in row)
    named = [place_of_head(findings, head) for head in heads] or _outermost(up.mean)
    best = named[0] if heads else highest(up.mean)
    said = f"{head_name(*best)} has {number(float(up.mean[best]))}"
    labels = tuple(BY_COLUMN[one.name].name.lower() for one in (over, up))
    return Plan(
        "head_scatter",
        {
            "labels": labels,
            "x": over.mean,
            "y": up.mean,
            "groups": roles,
            "order": tuple(rule.role for rule in RULES),
            "named": tuple(named),
        },
        f"Scatter plot of {up.mean.size} heads: {labels[0]} to the right, {labels[1]} upwards. "
        f"{said} in "
        f"{labels[1]}.",
        f"Each mark is one of the {up.mean.size} heads of {findings.model.title}: {labels[0]} to "
        "the right, "
        f"{labels[1]} upwards. A colour marks a role that the effect of silencing the head confirms.",
    )


def head_grid(shown: Shown, model: str, statistic: str, heads: Names = ()) -> Plan:
    """One statistic of all heads, layers downwards, heads to the right."""
    findings = shown.about_texts(model)
    found = statistic_of(findings, statistic)
    named = [place_of_head(findings, head) for head in heads]
    best, name = highest(found.mean), BY_COLUMN[statistic].name.lower()
    said = f"{head_name(*best)} is the highest with {number(float(found.mean[best]))}"
    return Plan(
        "head_grid",
        {"label": name, "values": found.mean, "named": tuple(named or [best])},
        f"Heatmap of {name} over {found.mean.shape[0]} layers and {found.mean.shape[1]} heads; {said}.",
        f"{BY_COLUMN[statistic].name} of all {found.mean.size} heads of {findings.model.title}: "
        f"{BY_COLUMN[statistic].formula} ({BY_COLUMN[statistic].source}). "
        f"{said[:1].upper()}{said[1:]}.",
    )


def statistic_of(findings: TextFindings, name: str) -> Statistic:
    """A statistic of all heads by its column in heads.csv."""
    known = {one.name: one for one in findings.statistics}
    return known[one_of("statistic", name, known, f"{findings.model.id} has no")]


def place_of_head(findings: TextFindings, name: str) -> tuple[int, int]:
    """Layer and head of a name such as L18H6."""
    layer, _, head = name.upper().removeprefix("L").partition("H")
    if not (layer.isdigit() and head.isdigit()):
        raise UsageError(f"'{name}' names no head; a head is written L5H1.")
    return layer_of(findings.model, layer).index, head_of(findings.model, int(head))


def highest(values: np.ndarray) -> tuple[int, int]:
    """Layer and head of the largest value, the first of equal ones."""
    layer, head = np.unravel_index(int(np.nanargmax(values)), values.shape)
    return int(layer), int(head)


def _outermost(values: np.ndarray) -> list[tuple[int, int]]:
    order = np.argsort(-values, axis=None, kind="stable")[:_NAMED]
    return [(int(place) // values.shape[1], int(place) % values.shape[1]) for place in order]
