"""What changed of heads between two models: in sentences, in a map of all, and in the maps of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from generator.comparison import sides
from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.figures.panels import Panel
from generator.figures.patches import laid_over
from generator.formatting import amount, number
from generator.inputs.texts import readable
from generator.models.stacks import PATCHES
from generator.probes.change import FEWEST
from generator.run import Run
from generator.techniques.attention import ATTENTION
from generator.techniques.attention_drawings import coarse, grain_note, size_of
from generator.techniques.compared_measures import EFFECT
from generator.techniques.compared_stacks import ComparedStack
from generator.techniques.naming import listed, one_of
from generator.techniques.patch_figures import cut_of
from generator.techniques.patch_maps import PATCH_MAPS, grid_of
from generator.techniques.patch_views import over_patches, token_name
from generator.uncertainty import mean_of_known


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


def said_of(found: ComparedStack) -> Iterator[str]:
    """What changed most, what chance makes, and what is left out, in sentences."""
    yield from _said_of_changes(found)
    if found.left_out:
        names = listed([f"“{found.definitions[name].name}”" for name in found.left_out])
        yield (
            f"{names} {'is' if len(found.left_out) == 1 else 'are'} left out: each model was given random "
            "tokens of its own, as the tokenizers do not know the same ones."
        )
    if found.measure in EFFECT and EFFECT[found.measure] not in found.changes.names:
        yield "What silencing a head costs is not compared: heads were not silenced in both models."


def _said_of_changes(found: ComparedStack) -> Iterator[str]:
    changes, inputs = found.changes, found.things
    if not np.isfinite(changes.change).any():
        yield "Nothing of these heads can be compared: each model wrote, and so read, an answer of its own."
        return
    if not (changes.change > 0).any():
        yield "No head changed: whatever is measured of them is the same in both models."
        return
    if not (changes.highest > 0).any():
        yield f"One of the {inputs} is not enough to tell a change from what another one would have made."
        return
    first = int(changes.order[0])
    yield f"{found.name(first)} changed most for its noise: {_told(found, first)}."
    yield from _said_of_control(found)


def _said_of_control(found: ComparedStack) -> Iterator[str]:
    """What chance makes of the same measures, between two halves of the inputs."""
    changes, control = found.changes, found.control
    if control is None:
        yield (
            f"What chance makes cannot be told from two halves of the inputs: it takes {FEWEST} "
            "of them in either."
        )
        return
    same = [changes.names.index(name) for name in control.names]
    highest = control.highest[np.isfinite(control.highest)]
    if not len(highest):
        return
    most = float(highest.max())
    above = int((changes.ratio[same] > most).any(0).sum())
    by = (
        ""
        if len(same) == len(changes.names)
        else f"; measures with {FEWEST} inputs or more in either half"
    )
    yield (
        f"Held against itself, one half of the inputs against the other, no head of the model before differs "
        f"by more than {number(most)} times the noise (median {number(float(np.median(highest)))}{by}). "
        f"By the same measures {amount(above, 'head')} of {found.after.count} changed by more than that."
    )


def _told(found: ComparedStack, thing: int) -> str:
    """What changed most of a head, in words."""
    changes, leading = found.changes, int(found.changes.leading[thing])
    named = found.definitions[changes.names[leading]].name
    ratio = float(changes.ratio[leading, thing])
    far = (
        f"{number(ratio)} times as far as other inputs would have moved it"
        if np.isfinite(ratio)
        else "though it is the same on all inputs"
    )
    before, after = (float(one[leading, thing]) for one in (changes.before, changes.after))
    if not np.isfinite(before):
        return f"“{named}” is another, {far}"
    return f"“{named}” went from {number(before)} to {number(after)}, {far}"


def map_figure(run: Run, found: ComparedStack) -> Figure:
    """How far every head changed, how far its maps lie apart, and how far what it writes moved."""
    layers, heads = len(found.after.layers), found.after.heads
    highest = found.changes.highest
    finite = highest[np.isfinite(highest)]
    most = float(finite.max()) if len(finite) else 1.0
    maps = {
        "change over noise": np.where(np.isinf(highest), most, highest),
        "maps apart": mean_of_known(found.apart),
        "what is written moved": found.moved,
    }
    shown = {name: values for name, values in maps.items() if np.isfinite(values).any()}
    values = np.stack(list(shown.values())).reshape(len(shown), layers, heads)
    named = [found.at(thing) for thing in found.changes.order[:1]]
    said = " ".join(said_of(found))
    word = found.stack.word
    return published(
        "head_grid",
        {"titles": tuple(shown), "values": values, "named": named, "letter": found.stack.letter},
        f"Heatmaps of {word}s by heads of how far each changed. {said}",
        f"All {found.after.count} heads: {word}s downwards, heads to the right; the more a cell stands out, "
        f"the further the head changed from {' to '.join(one.title for one in sides(run))}.",
    )
