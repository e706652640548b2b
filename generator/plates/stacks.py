"""Drawings of all heads of a stack: by each statistic, and over two of them."""

from __future__ import annotations

import numpy as np

from generator.figures.figure import Drawing
from generator.findings import StackFindings


def grids_drawing(stack: StackFindings) -> Drawing:
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


def scatter_drawing(stack: StackFindings) -> Drawing:
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


def _path(stack: StackFindings, what: str) -> str:
    return f"models/{stack.model.id}/{stack.stack.part(what)}.svg"
