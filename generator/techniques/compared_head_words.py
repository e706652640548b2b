"""What changed of heads between two models, in sentences and in a map of all of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from generator.comparison import sides
from generator.figures.figure import Figure, published
from generator.formatting import amount, number
from generator.probes.change import FEWEST
from generator.run import Run
from generator.techniques.compared_measures import EFFECT
from generator.techniques.compared_stacks import ComparedStack
from generator.techniques.naming import listed
from generator.uncertainty import mean_of_known


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
