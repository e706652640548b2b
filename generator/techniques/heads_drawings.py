"""All heads of a stack, drawn: each statistic as a map, and any two against each other."""

from __future__ import annotations

import numpy as np

from generator.figures.figure import Drawing, Figure
from generator.formatting import number
from generator.models.stacks import PATCHES
from generator.techniques.measured_stack import MeasuredStack
from generator.techniques.standings import best_heads


def grids_drawing(stack: MeasuredStack) -> Drawing:
    """All heads by each statistic."""
    # Under a causal mask no head sees the next token: a map of zeros would show nothing.
    varied = [statistic for statistic in stack.statistics if statistic.mean.max() > 0]
    means = np.stack([statistic.mean for statistic in varied])
    arguments = {
        "titles": tuple(statistic.name.replace("_", " ") for statistic in varied),
        "values": means,
        "most": tuple(float(mean.max()) for mean in means),
    }
    return Drawing("head_grids", arguments, (_path(stack, "heads"),))


def scatter_drawing(stack: MeasuredStack) -> Drawing:
    """All heads over the two statistics that tell most, coloured by role where there are roles."""
    x, y = (stack.statistic(name).mean for name in stack.telling_axes)
    unnamed = tuple(("",) * stack.heads for _ in stack.layers)
    arguments = {
        "names": tuple(name.replace("_", " ") for name in stack.telling_axes),
        "x": x,
        "y": y,
        "roles": tuple(tuple(role.role for role in row) for row in stack.roles) or unnamed,
        "order": tuple(rule.role for rule in stack.rules),
        "letter": stack.stack.letter,
    }
    return Drawing("head_scatter", arguments, (_path(stack, "atlas"),))


def _path(stack: MeasuredStack, what: str) -> str:
    return f"models/{stack.model.id}/{stack.stack.part(what)}.svg"


def scatter_figure(stack: MeasuredStack) -> Figure:
    """The scatter of the atlas, without a script."""
    x, y = stack.telling_axes
    values = stack.statistic(y).mean
    names = [name.replace("_", " ") for name in (x, y)]
    best = best_heads(values, 1)[0]
    coloured = ", coloured by its role" if stack.named else ""
    text = (
        f"Each dot is a head{coloured}: {names[0]} to the right, {names[1]} upwards. "
        f"Highest in {names[1]}: {stack.head(*best)} with {number(float(values.max()))}."
    )
    alt = f"Scatter plot of {values.size} heads. {text}"
    return Figure(scatter_drawing(stack), alt, text, kind="head_scatter", ink=True)


def grids_figure(stack: MeasuredStack) -> Figure:
    """All heads of a stack at a glance."""
    drawing, of, word = grids_drawing(stack), f"{stack.count} heads", stack.stack.word
    scale = "Each map has its own scale, written above it."
    seen = f"{word}s downwards, heads to the right"
    if stack.several:
        last = stack.head(len(stack.layers) - 1, stack.heads - 1)
        alt = f"Heatmaps of layers by heads, one for each statistic of the {of}."
        caption = f"The {of}, named {stack.head(0, 0)} to {last}: {seen}. {scale}"
        return Figure(drawing, alt, caption, kind="head_grid", ink=True)
    alt = f"Heatmaps of {word}s by heads, one for each statistic; {_extreme(stack)}."
    caption = f"All {of} at a glance: {seen}, the more a cell stands out, the higher. {scale}"
    return Figure(drawing, alt, caption, kind="head_grid", ink=True)


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
