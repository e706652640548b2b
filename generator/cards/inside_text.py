"""What the inside of a model that reads texts looks like: the signal, its heads, and their roles."""

from collections.abc import Iterator

import numpy as np

from generator.cards.tree import Block, CardFigure, Line, Paragraph, Section, Table, in_a_row
from generator.formatting import amount, number, percent
from generator.models.stacks import CROSS
from generator.probes.head_statistics import BY_COLUMN
from generator.run import Run
from generator.techniques.atlas import grids_figure
from generator.techniques.heads import HEADS
from generator.techniques.links import layer_link
from generator.techniques.measured_stack import MeasuredStack, heads_of
from generator.techniques.roles import role_rows
from generator.techniques.signal import SIGNAL, text_figure
from generator.techniques.standings import best_heads

LEADING = 3


def inside_text(run: Run) -> tuple[Section, ...]:
    """The signal, and of each stack the heads that lead and those with a role."""
    heads = (part for stack in run[HEADS] for part in (_heads(stack), _roles(stack)))
    return (_stream(run), *heads)


def _stream(run: Run) -> Section:
    signal, known = run[SIGNAL], {layer.name: layer for layer in run.model.layers}
    if not signal.layers:
        return Section("signal", "The signal")
    near = [float(layer.near_zero.mean()) for layer in signal.layers]
    sizes = signal.stream.mean(1)
    low, high = (
        layer_link(run.model, known[signal.layers[int(place)].layer])
        for place in (np.argmin(near), np.argmax(near))
    )
    said = Paragraph(
        (
            f"Between {percent(min(near))} (",
            low,
            f") and {percent(max(near))} (",
            high,
            ") of the MLPs’ activations are near zero, at most 1 % of their scale. What a layer hands on has "
            f"a size (root mean square) of {number(float(sizes[0]))} after the first layer and "
            f"{number(float(sizes[-1]))} after the last.",
        )
    )
    stacks = (stack for stack in heads_of(run.model) if stack.stack is not CROSS)
    charts = (CardFigure(text_figure(run, stack)) for stack in stacks)
    return Section("signal", "The signal", (said, *charts))


def _key(stack: MeasuredStack, key: str, title: str) -> tuple[str, str]:
    """Key and title of a section, those of a stack where there are several."""
    if not stack.several:
        return key, title
    return stack.stack.part(key), f"{stack.stack.title}: {title[:1].lower()}{title[1:]}"


def _heads(stack: MeasuredStack) -> Section:
    """The heads that lead in each statistic, beside an even spread of attention and the random twin."""
    rows: list[tuple[Line, ...]] = []
    for statistic in stack.statistics:
        mean = statistic.mean
        if not statistic.measured.max() > 0:  # under a causal mask no head sees the next token
            continue
        leaders = in_a_row(
            (stack.link(*at), f" {number(float(mean[at]))}") for at in best_heads(mean, LEADING)
        )
        rows.append(
            (
                (BY_COLUMN[statistic.name].name,),
                leaders,
                (number(statistic.uniform),),
                (number(stack.control.highest(statistic.name)),),
            )
        )
    table = Table(
        ("Statistic", "Highest heads", "Even spread", "Random weights, highest"),
        tuple(rows),
        numbers=2,
    )
    shown = (CardFigure(grids_figure(stack)), table)
    return Section(*_key(stack, "heads", "Attention heads"), shown)


def _roles(stack: MeasuredStack) -> Section:
    key, reason = _key(stack, "roles", "Roles of heads"), stack.ablation.reason
    if reason:
        return Section(*key, (Paragraph((reason,)),))
    labelled = sum(row.count for row in role_rows(stack))
    text = (
        f"A role is named only where a head’s attention and the effect of silencing it agree. Of "
        f"{amount(stack.count, 'head')} {labelled} {'has' if labelled == 1 else 'have'} one on these probes; "
        "the others stay unlabelled."
        f"{' ' if stack.chosen_words else ''}{stack.chosen_words}"
    )
    blocks: list[Block] = [Paragraph((text,))]
    rows = tuple(_role_rows(stack))
    if rows:
        blocks.append(
            Table(("Role", "Highest heads: statistic / effect", "Heads"), rows, numbers=2)
        )
    return Section(*key, tuple(blocks))


def _role_rows(stack: MeasuredStack) -> Iterator[tuple[Line, ...]]:
    for row in role_rows(stack):
        if not row.count:
            continue
        leaders = in_a_row(
            (link, f" {number(value, 2)} / {number(effect, 2)}")
            for link, value, effect in row.leaders[:LEADING]
        )
        yield (row.role.capitalize(),), leaders, (str(row.count),)
