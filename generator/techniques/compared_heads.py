"""Which heads of two models changed most: in what they do, where they look and what they write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from generator.addresses import Link, beside_address, head_address
from generator.comparison import sides
from generator.errors import UsageError
from generator.figures.figure import Figure, on_page, published
from generator.formatting import amount, number
from generator.models.stacks import PATCHES
from generator.probes.head_statistic import HeadStatistic
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique
from generator.table import Table
from generator.techniques.compared_maps import maps_figure, place_of
from generator.techniques.compared_measures import APART, MOVED
from generator.techniques.compared_stacks import ASKS, ComparedStack, measure
from generator.techniques.measured_stack import StackHeads, heads_of, stack_named

ROWS, MAPS = 12, 3  # heads in the table, and those of a model whose maps are drawn
HEADER = (
    "stack", "layer", "head", "measure", "inputs", "before", "after", "change", "low", "high", "noise",
    "ratio", "leads", "rank", "rank_low", "rank_high", "maps_apart", "writes_moved",
    "copying_before", "copying_after",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A head that changed: the measure that leads, how far that went, and where the head stands.

    `beside` is a link to its pages in both models, or to the one that there is.
    """

    beside: Link
    measure: str
    before: float
    after: float
    low: float
    high: float
    ratio: str
    rank: str
    apart: float
    moved: float


@dataclass(frozen=True)
class StackView:
    """The heads of one stack. `title` is its name where there are several."""

    title: str
    said: tuple[str, ...]
    rows: tuple[Row, ...]
    figure: Figure | None
    maps: tuple[Figure, ...]
    definitions: tuple[HeadStatistic, ...]
    count: int
    inputs: str


@dataclass(frozen=True)
class View:
    """Every stack; `reason` says why heads are not compared."""

    stacks: tuple[StackView, ...] = ()
    reason: str = ""

    @property
    def says(self) -> str:
        """What a card says: the first sentence of each stack."""
        return " ".join(one.said[0] for one in self.stacks)


def compared_stacks(run: Run) -> Sequence[ComparedStack]:
    """The stacks of two models. Raises UsageError, with the reason, where they cannot be compared."""
    found = run[COMPARED_HEADS]
    if isinstance(found, str):
        raise UsageError(f"{run.id}: heads are not compared: {found}")
    return found


def view(run: Run) -> View | None:
    """The section on the page of two models; None where neither has heads."""
    found = run[COMPARED_HEADS]
    if isinstance(found, str):
        return View(reason=found) if any(heads_of(one.model) for one in sides(run)) else None
    return View(tuple(_stack(run, one) for one in found))


def _stack(run: Run, found: ComparedStack) -> StackView:
    changed = [thing for thing in found.changes.order[:ROWS] if found.changes.highest[thing] > 0]
    several = found.after.several
    apart = [thing for thing in changed if np.nanmax(found.apart[:, thing], initial=0) > 0]
    drawn = apart[: 1 if several else MAPS]
    return StackView(
        title=f"{found.stack.title} heads" if several else "",
        said=tuple(_said(found)),
        rows=tuple(_row(run, found, thing) for thing in changed),
        figure=_on_page(run, map_figure(run, found), f"{found.stack.part('heads')}.svg")
        if changed
        else None,
        maps=tuple(
            _on_page(
                run,
                maps_figure(run, found, thing, found.farthest(thing)),
                f"{found.stack.part('maps')}-{found.name(thing).lower()}.{_ending(found)}",
            )
            for thing in drawn
        ),
        definitions=tuple(found.definitions[name] for name in (*found.changes.names, *_BESIDE)),
        count=found.after.count,
        inputs="pictures" if found.stack is PATCHES else "texts",
    )


_BESIDE = (APART.column, MOVED.column)


def _ending(found: ComparedStack) -> str:
    return "webp" if found.stack is PATCHES else "svg"


def _on_page(run: Run, figure: Figure, name: str) -> Figure:
    return on_page(figure, f"{run.folder}/{name}", "compared_heads")


def _said(found: ComparedStack) -> Iterator[str]:
    """What changed most, and what chance makes, in sentences."""
    changes, inputs = found.changes, "pictures" if found.stack is PATCHES else "texts"
    if not (changes.change > 0).any():
        yield "No head changed: whatever is measured of them is the same in both models."
        return
    if not (changes.highest > 0).any():
        yield f"One of the {inputs} is not enough to tell a change from what another one would have made."
        return
    first = int(changes.order[0])
    yield f"{found.name(first)} changed most: {_told(found, first)}."
    highest = found.control.highest[np.isfinite(found.control.highest)]
    if not len(highest):
        return
    most = float(highest.max())
    above = int((changes.highest > most).sum())
    yield (
        f"Between two halves of the same {inputs} the heads of the model before differ by {number(most)} "
        f"times the noise at most, half of them by {number(float(np.median(highest)))} or more. "
        f"{amount(above, 'head')} of {found.after.count} changed by more than the most."
    )


def _told(found: ComparedStack, thing: int) -> str:
    """What changed most of a head, in words."""
    changes, leading = found.changes, int(found.changes.leading[thing])
    named = found.definitions[changes.names[leading]].name
    ratio = float(changes.ratio[leading, thing])
    inputs = "pictures" if found.stack is PATCHES else "texts"
    far = (
        f"{number(ratio)} times as far as other {inputs} would have moved it"
        if np.isfinite(ratio)
        else f"though it is the same on all {inputs}"
    )
    before, after = (float(one[leading, thing]) for one in (changes.before, changes.after))
    if not np.isfinite(before):
        return f"“{named}” is another, {far}"
    return f"“{named}” went from {number(before)} to {number(after)}, {far}"


def _row(run: Run, found: ComparedStack, thing: int) -> Row:
    changes, leading = found.changes, int(found.changes.leading[thing])
    at = (leading, thing)
    ratio = float(changes.ratio[at])
    return Row(
        beside=beside(run, found.before, found.after, *found.at(thing)),
        measure=found.definitions[changes.names[leading]].name,
        before=float(changes.before[at]),
        after=float(changes.after[at]),
        low=float(changes.low[at]),
        high=float(changes.high[at]),
        ratio=number(ratio) if np.isfinite(ratio) else "∞",
        rank=_ranks(int(changes.rank_low[thing]), int(changes.rank_high[thing])),
        apart=_mean(found.apart[:, thing]),
        moved=float(found.moved[thing]),
    )


def _ranks(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def beside(run: Run, own: StackHeads, other: StackHeads, layer: int, head: int) -> Link:
    """A link to a head's pages beside each other, to the one that there is, or to none."""
    before, after = sides(run)
    names = [stack.layers[layer].name for stack in (own, other)]
    paged = [one.paged and stack.paged(layer) for one, stack in ((before, own), (after, other))]
    text = other.head(layer, head)
    if all(paged) and names[0] == names[1]:
        return Link(beside_address(run.id, f"layers/{names[0]}/heads/{head}/"), text)
    if paged[1]:
        return Link(head_address(after.model.id, names[1], head), text)
    return Link(head_address(before.model.id, names[0], head) if paged[0] else "", text)


def figure(run: Run, stack: str = "") -> Figure:
    """How far every head changed over its noise; in an encoder-decoder those of one `stack`."""
    every = compared_stacks(run)
    wanted = stack_named(run.model, stack).stack
    return map_figure(run, next(one for one in every if one.stack is wanted))


def map_figure(run: Run, found: ComparedStack) -> Figure:
    """How far every head changed, how far its maps lie apart, and how far what it writes moved."""
    layers, heads = len(found.after.layers), found.after.heads
    highest = found.changes.highest
    finite = highest[np.isfinite(highest)]
    most = float(finite.max()) if len(finite) else 1.0
    maps = {
        "change over noise": np.where(np.isinf(highest), most, highest),
        "maps apart": np.array([_mean(one) for one in found.apart.T]),
        "what is written moved": found.moved,
    }
    shown = {name: values for name, values in maps.items() if np.isfinite(values).any()}
    values = np.stack(list(shown.values())).reshape(len(shown), layers, heads)
    named = [found.at(thing) for thing in found.changes.order[:1]]
    said = " ".join(_said(found))
    word = found.stack.word
    return published(
        "head_grid",
        {"titles": tuple(shown), "values": values, "named": named, "letter": found.stack.letter},
        f"Heatmaps of {word}s by heads of how far each changed. {said}",
        f"All {found.after.count} heads: {word}s downwards, heads to the right; the more a cell stands out, "
        f"the further the head changed from {' to '.join(one.title for one in sides(run))}.",
    )


def maps(run: Run, head: str = "", text: str = "") -> Figure:
    """The maps of a head, such as L18H6, in both models on one text or picture.

    Left out, the head is the one that changed most, and the input that on which its maps lie farthest apart.
    """
    every = compared_stacks(run)
    found, thing = place_of(every, head) if head else (every[0], int(every[0].changes.order[0]))
    return maps_figure(run, found, thing, text or found.farthest(thing))


def tables(run: Run) -> Iterator[Table]:
    """Every measure of every head in both models."""
    found = run[COMPARED_HEADS]
    if not isinstance(found, str):
        yield Table("compared_heads.csv", lambda: (HEADER, list(_rows(found))))


def _rows(every: Sequence[ComparedStack]) -> Iterator[Sequence[Any]]:
    for found in every:
        changes = found.changes
        for thing in range(found.after.count):
            layer, head = found.at(thing)
            start = (found.stack.name, found.after.layers[layer].name, head)
            ranks = (changes.rank[thing], changes.rank_low[thing], changes.rank_high[thing])
            end = (_mean(found.apart[:, thing]), found.moved[thing], *found.copying[:, thing])
            for place, name in enumerate(changes.names):
                numbers = (
                    changes.inputs, changes.before, changes.after, changes.change, changes.low,
                    changes.high, changes.noise, changes.ratio,
                )  # fmt: skip
                leads = int(changes.leading[thing] == place)
                yield (*start, name, *(one[place, thing] for one in numbers), leads, *ranks, *end)


COMPARED_HEADS = Technique(
    name="compared_heads",
    title="Heads that changed",
    search="heads changed attention maps induction difference before after",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
    figures={"compared_heads": figure, "compared_maps": maps},
    tables=tables,
    sections=(Section("comparison", "heads", "compared_heads.html", view),),
    compares=True,
    asks=ASKS,
)
