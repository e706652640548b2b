"""All heads of a stack at a glance: as dots over two statistics, as maps, and as one table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from markupsafe import Markup

from generator.addresses import Link
from generator.figures.figure import Figure, on_page, published
from generator.formatting import number
from generator.models.stacks import PATCHES
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique
from generator.techniques.components import inline
from generator.techniques.heads import HEADS, measured, reason
from generator.techniques.measured_stack import MeasuredStack, StackHeads, stack_named
from generator.techniques.naming import Names
from generator.techniques.standings import Standing, best_heads, highest, standings
from generator.widget import Widget

DIGITS = 5
_NAMED = 8
_APART = (0.1, 0.055)  # of the width and the height of a scatter, for two names


@dataclass(frozen=True)
class Row:
    """One head: its page, its KV group, its role, and its statistics; `first` opens a KV group."""

    link: Link
    layer: int
    group: int
    first: bool
    role: str
    standings: tuple[Standing, ...]


@dataclass(frozen=True)
class View:
    """All heads of a stack; `figure` is for readers without a script, where there is a page for it."""

    stack: MeasuredStack
    rows: tuple[Row, ...]
    data: Markup
    figure: Figure | None
    grouped: bool

    @property
    def lead(self) -> str:
        """What there is, in a sentence for the head of the page."""
        every = "opens the head's page"
        if not all(row.link.target for row in self.rows):
            every = "of a head with a page opens it"
        return (
            f"All {len(self.rows)} attention heads: one picture over any two statistics, one table of all. "
            f"Every dot and every row {every}."
        )


def view(run: Run, of: StackHeads) -> View:
    """The scatter and the table of all heads of a stack."""
    stack = measured(run, of)
    rows = _rows(stack)
    grouped = stack.kv_groups < stack.heads
    path = f"{run.folder}/{of.stack.part('atlas')}.svg"
    still = on_page(head_scatter(run, stack=of.stack.name), path, "head_scatter", 860)
    return View(stack, rows, _data(stack, rows), still, grouped)


def widget(run: Run, stack: str = "") -> Widget:
    """All heads over any two statistics, and as a table to sort."""
    found = measured(run, stack_named(run.model, stack))
    rows = tuple(replace(row, link=Link("", row.link.text)) for row in _rows(found))
    shown = View(found, rows, _data(found, rows), None, found.kv_groups < found.heads)

    return Widget(
        "atlas",
        "atlas",
        f"All {len(rows)} {found.heads_words} of {run.model.title}, over any two statistics.",
        "Each mark is a head. What lies far out is worth a look; what lies close is not shown to be alike.",
        lambda _: shown,
        ("heads",),
        ("atlas",),
        wide=True,
    )


def _rows(stack: MeasuredStack) -> tuple[Row, ...]:
    share = stack.heads // stack.kv_groups
    return tuple(
        Row(
            link=stack.link(layer, head),
            layer=layer,
            group=stack.group(head),
            first=share > 1 and head % share == 0,
            role=stack.role(layer, head),
            standings=standings(stack, layer, head),
        )
        for layer, head in stack.places
    )


def _data(stack: MeasuredStack, rows: tuple[Row, ...]) -> Markup:
    """What the script draws: names of statistics, and their values head by head."""
    stated: dict[str, Any] = {
        "columns": [[one.definition.column, one.definition.name] for one in rows[0].standings],
        "axes": list(stack.telling_axes),
        "roles": [rule.role for rule in stack.rules],
        "values": [[_rounded(s.value) for s in row.standings] for row in rows],
    }
    return inline(stated)


def _rounded(value: float) -> float | None:
    """A value with few digits; None of a head on which the statistic was not measured."""
    return None if np.isnan(value) else float(f"{value:.{DIGITS}g}")


def head_scatter(run: Run, x: str = "", y: str = "", heads: Names = (), stack: str = "") -> Figure:
    """All heads over two statistics, those with a role in colour; some can be named (L18H6)."""
    found = measured(run, stack_named(run.model, stack))
    over, up = (
        found.statistic(name or usual)
        for name, usual in zip((x, y), found.telling_axes, strict=True)
    )
    named = [found.named_place(head) for head in heads] or _outermost(over.mean, up.mean)
    best = named[0] if heads else highest(up.mean)
    said = f"{found.head(*best)} has {number(float(up.mean[best]))}"
    labels = tuple(found.definitions[one.name].name.lower() for one in (over, up))
    roles = " A colour marks a role that the effect of silencing the head confirms."
    return published(
        "head_scatter",
        {
            "labels": labels,
            "x": over.mean,
            "y": up.mean,
            "groups": tuple(found.role(*at) for at in found.places),
            "order": tuple(rule.role for rule in found.rules),
            "named": tuple(named),
            "letter": found.stack.letter,
        },
        f"Scatter plot of {up.mean.size} heads: {labels[0]} to the right, {labels[1]} upwards. "
        f"{said} in {labels[1]}.",
        f"Each mark is one of the {up.mean.size} {found.heads_words} of {run.model.title}: "
        f"{labels[0]} to the right, {labels[1]} upwards.{roles if found.rules else ''}",
    )


def head_grid(run: Run, statistic: str, heads: Names = (), stack: str = "") -> Figure:
    """One statistic of all heads, layers downwards, heads to the right."""
    about = measured(run, stack_named(run.model, stack))
    found = about.statistic(statistic)
    named = [about.named_place(head) for head in heads]
    best, said_of = highest(found.mean), about.definitions[statistic]
    said = f"{about.head(*best)} is the highest with {number(float(found.mean[best]))}"
    return published(
        "head_grid",
        {
            "titles": (said_of.name.lower(),),
            "values": found.mean[None],
            "named": tuple(named or [best]),
            "letter": about.stack.letter,
        },
        f"Heatmap of {said_of.name.lower()} over {found.mean.shape[0]} layers and "
        f"{found.mean.shape[1]} heads; {said}.",
        f"{said_of.name} of all {found.mean.size} {about.heads_words} of {run.model.title}: "
        f"{said_of.formula} ({said_of.source}). {said[:1].upper()}{said[1:]}.",
    )


def _outermost(x: np.ndarray, y: np.ndarray) -> list[tuple[int, int]]:
    """The heads that stand furthest out in either statistic, where their names do not cover each other."""
    spread = [_shares(one) for one in (x, y)]
    found: list[tuple[int, int]] = []
    for place in np.argsort(-np.maximum(*spread).round(6), axis=None, kind="stable"):
        at = divmod(int(place), y.shape[1])
        apart = (tuple(abs(float(one[at] - one[other])) for one in spread) for other in found)
        if all(right > _APART[0] or up > _APART[1] for right, up in apart):
            found.append(at)
        if len(found) == _NAMED:
            break
    return found


def _shares(values: np.ndarray) -> np.ndarray:
    """Where each head stands between the lowest (0) and the highest (1); 0 where it was not measured."""
    low = np.nanmin(values)
    return np.nan_to_num((values - low) / ((np.nanmax(values) - low) or 1))


ATLAS = Technique(
    name="atlas",
    title="Statistics of all heads",
    search="scatter of heads",
    reads=(PICTURES, TEXTS, PAIRS),
    why_not=reason,
    measure=HEADS.asked_of,
    figures={"head_scatter": head_scatter, "head_grid": head_grid},
    widgets={"atlas": widget},
    sections=(Section("atlas", "map", "atlas.html", view),),
)


def grids_figure(stack: MeasuredStack) -> Figure:
    """All heads of a stack at a glance: a map for each statistic."""
    # Under a causal mask no head sees the next token: a map of zeros would show nothing.
    varied = [statistic for statistic in stack.statistics if statistic.measured.max() > 0]
    arguments = {
        "titles": tuple(statistic.name.replace("_", " ") for statistic in varied),
        "values": np.stack([statistic.mean for statistic in varied]),
    }
    alt, caption = _words(stack)
    path = f"models/{stack.model.id}/{stack.stack.part('heads')}.svg"
    return on_page(published("head_grid", arguments, alt, caption), path, "head_grid")


def _words(stack: MeasuredStack) -> tuple[str, str]:
    """Alt text and caption."""
    of, word = f"{stack.count} heads", stack.stack.word
    scale = "Each map has its own scale, beside it."
    seen = f"{word}s downwards, heads to the right"
    if stack.several:
        last = stack.head(len(stack.layers) - 1, stack.heads - 1)
        alt = f"Heatmaps of layers by heads, one for each statistic of the {of}."
        return alt, f"The {of}, named {stack.head(0, 0)} to {last}: {seen}. {scale}"
    alt = f"Heatmaps of {word}s by heads, one for each statistic; {_extreme(stack)}."
    return alt, f"All {of} at a glance: {seen}, the more a cell stands out, the higher. {scale}"


def _extreme(stack: MeasuredStack) -> str:
    """The head that stands out, with its value."""
    if stack.stack is PATCHES:
        distance = stack.statistic("mean_distance").mean
        local = best_heads(-distance, 1)[0]
        named = f"{stack.head(*local)} with a mean distance of {distance[local]:.3g} patches"
        return f"the most local head is {named}"
    axis = stack.telling_axes[0]
    best, told = stack.statistic(axis).mean, axis.replace("_", " ")
    highest = stack.head(*best_heads(best, 1)[0])
    return f"for the {told} the highest is {highest} with {number(float(best.max()))}"
