"""All heads of a stack, drawn: each statistic as a map."""

from __future__ import annotations

import numpy as np

from generator.figures.figure import Figure, on_page, published
from generator.formatting import number
from generator.models.stacks import PATCHES
from generator.techniques.measured_stack import MeasuredStack
from generator.techniques.standings import best_heads


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
