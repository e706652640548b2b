"""The maps of one head in two models on the same input, and their difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from generator.comparison import sides
from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.figures.panels import Panel
from generator.figures.patches import laid_over
from generator.formatting import number
from generator.inputs.texts import readable
from generator.models.stacks import PATCHES
from generator.run import Run
from generator.techniques.attention import ATTENTION
from generator.techniques.attention_drawings import coarse, grain_note, size_of
from generator.techniques.compared_stacks import ComparedStack
from generator.techniques.naming import one_of
from generator.techniques.patch_figures import cut_of
from generator.techniques.patch_maps import PATCH_MAPS, grid_of
from generator.techniques.patch_views import over_patches, token_name


def maps_figure(run: Run, found: ComparedStack, thing: int, name: str) -> Figure:
    """A head's map in both models on one input, by its name, and how far each weight moved."""
    known = {one: place for place, one in enumerate(found.inputs)}
    place = known[one_of("input", name, known, f"{run.id} has no")]
    draw = _on_picture if found.stack is PATCHES else _on_text
    return draw(run, found, thing, place)


def place_of(found: Sequence[ComparedStack], name: str) -> tuple[ComparedStack, int]:
    """The stack and number of a head such as L18H6. Raises UsageError where there is none."""
    letter = name[:1].upper()
    for one in found:
        if one.stack.letter == letter:
            layer, head = one.after.named_place(name)
            return one, layer * one.after.heads + head
    first = found[0].name(0)
    raise UsageError(f"'{name}' names no head here; a head is written as {first} is.")


def _on_text(run: Run, found: ComparedStack, thing: int, place: int) -> Figure:
    before, after = (one[ATTENTION][found.stack.name].attentions[place] for one in sides(run))
    at, name = found.at(thing), found.name(thing)
    one, other = before.weights[at], after.weights[at]
    weights = coarse(np.stack([one, other, np.abs(other - one)])[None])[0]
    says, where = _says(found, thing, place), size_of(after)
    whole = weights.shape[1:] == one.shape
    return published(
        "attention_grid",
        {
            "titles": (*_titles(run), "difference"),
            "weights": weights,
            "causal": after.causal,
            "columns": 3,
            "tokens": tuple(readable(token) for token in after.tokens) if whole else (),
        },
        f"Attention maps of {name} in both models on {where}, and their difference. {says}",
        f"{name} on the text ‘{found.inputs[place]}’ in both models, and how far each weight moved. Rows "
        f"look, columns are looked at. {says}{grain_note(after)}",
    )


def _on_picture(run: Run, found: ComparedStack, thing: int, place: int) -> Figure:
    before, after = sides(run)
    grid, image = grid_of(after), found.inputs[place]
    at, name = found.at(thing), found.name(thing)
    rows = [over_patches(one[PATCH_MAPS][image].looks[at][0], grid) for one in (before, after)]
    picture, seen, cut = after.image(image), after.seen[image], cut_of(grid, 1)
    keys = grid.patches + len(grid.special)
    row = [Panel(seen, picture.label)]
    for title, over in zip(
        (*_titles(run), "difference"), (*rows, abs(rows[1] - rows[0])), strict=True
    ):
        row.append(Panel(laid_over(seen, over, cut, keys, None), title))
    says, reader = _says(found, thing, place), token_name(grid.readers[0])
    return published(
        "panels",
        {"rows": (tuple(row),), "widest": 240.0},
        f"The picture of {picture.label}, where {name} looks in both models, and the difference. {says}",
        f"Where the {reader} looks by {name} in the picture of {picture.label} in both models, and how far "
        f"each weight moved. {says}",
    )


def _titles(run: Run) -> tuple[str, str]:
    before, after = sides(run)
    if before.title == after.title:
        return "before", "after"
    return before.title, after.title


def _says(found: ComparedStack, thing: int, place: int) -> str:
    apart = float(found.apart[place, thing])
    if not np.isfinite(apart):
        return "The two do not read the same here."
    if not apart:
        return "Both look alike here."
    return f"On average {number(apart)} of a row’s weight lies on other keys."
