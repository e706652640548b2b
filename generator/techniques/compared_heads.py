"""Which heads of two models changed most: in what they do, where they look and what they write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from generator.addresses import Link
from generator.comparison import found_in, sides
from generator.figures.figure import Figure, on_page
from generator.formatting import number
from generator.models.stacks import PATCHES
from generator.probes.change import FEWEST, can_lead
from generator.probes.head_statistic import HeadStatistic
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique
from generator.table import Table
from generator.techniques.compared_maps import map_figure, maps_figure, place_of, said_of
from generator.techniques.compared_measures import APART, EFFECT, MOVED
from generator.techniques.compared_stacks import ASKS, ComparedStack, measure
from generator.techniques.links import beside_link
from generator.techniques.measured_stack import StackHeads, heads_of, stack_named
from generator.uncertainty import mean_of_known

ROWS, MAPS = 12, 3  # heads in the table, and those of a model whose maps are drawn


@dataclass(frozen=True)
class Row:
    """A head that changed: the measure that leads, on how many inputs, how far that went, and its rank.

    `beside` is a link to its pages in both models, or to the one that there is, `effect` what silencing it
    changes in both.
    """

    beside: Link
    measure: str
    inputs: int
    before: float
    after: float
    low: float
    high: float
    ratio: str
    rank: str
    effect: tuple[float, float]
    apart: float
    moved: float


@dataclass(frozen=True)
class StackView:
    """The heads of one stack. `title` is its name where there are several.

    What was measured on fewer than `fewest` inputs, as `few` may have been, leads in no row.
    """

    title: str
    said: tuple[str, ...]
    rows: tuple[Row, ...]
    figure: Figure | None
    maps: tuple[Figure, ...]
    definitions: tuple[HeadStatistic, ...]
    count: int
    inputs: str
    few: tuple[str, ...]
    silenced: bool
    fewest: int = FEWEST

    @property
    def apart(self) -> bool:
        """Whether maps and writes of any head could be held against each other."""
        return any(np.isfinite([row.apart, row.moved]).any() for row in self.rows)


def stack_view(run: Run, found: ComparedStack) -> StackView:
    """The heads of one stack."""
    changed = [thing for thing in found.changes.order[:ROWS] if found.changes.highest[thing] > 0]
    several = found.after.several
    apart = [thing for thing in changed if np.nanmax(found.apart[:, thing], initial=0) > 0]
    drawn = apart[: 1 if several else MAPS]
    ending = "webp" if found.stack is PATCHES else "svg"
    return StackView(
        title=f"{found.stack.title} heads" if several else "",
        said=tuple(said_of(found)),
        rows=tuple(_row(run, found, thing) for thing in changed),
        figure=_on_page(run, map_figure(run, found), f"{found.stack.part('heads')}.svg")
        if changed
        else None,
        maps=tuple(
            _on_page(
                run,
                maps_figure(run, found, thing, found.farthest(thing)),
                f"{found.stack.part('maps')}-{found.name(thing).lower()}.{ending}",
            )
            for thing in drawn
        ),
        definitions=tuple(found.definitions[name] for name in (*found.changes.names, *_BESIDE)),
        count=found.after.count,
        inputs=found.things,
        few=tuple(_few(found)),
        silenced=EFFECT.get(found.measure) in found.changes.names,
    )


def _few(found: ComparedStack) -> Iterator[str]:
    """The measures that lead nowhere, as most were made on more inputs."""
    leads = np.asarray(can_lead(found.changes.inputs).any(1))
    for name, can in zip(found.changes.names, leads, strict=True):
        if not can:
            yield found.definitions[name].name


def _effect(found: ComparedStack, thing: int) -> tuple[float, float]:
    """What silencing a head changes in both models; NaN where that was not measured."""
    changes, name = found.changes, EFFECT.get(found.measure, "")
    if name not in changes.names:
        return float("nan"), float("nan")
    place = changes.names.index(name)
    return float(changes.before[place, thing]), float(changes.after[place, thing])


_BESIDE = (APART.column, MOVED.column)


def _on_page(run: Run, figure: Figure, name: str) -> Figure:
    return on_page(figure, f"{run.folder}/{name}", "compared_heads")


def _row(run: Run, found: ComparedStack, thing: int) -> Row:
    changes, leading = found.changes, int(found.changes.leading[thing])
    at = (leading, thing)
    ratio = float(changes.ratio[at])
    return Row(
        beside=beside(run, found.before, found.after, *found.at(thing)),
        measure=found.definitions[changes.names[leading]].name,
        inputs=int(changes.inputs[at]),
        before=float(changes.before[at]),
        after=float(changes.after[at]),
        low=float(changes.low[at]),
        high=float(changes.high[at]),
        ratio=number(ratio) if np.isfinite(ratio) else "∞",
        rank=_ranks(changes.rank_low[thing], changes.rank_high[thing]),
        effect=_effect(found, thing),
        apart=float(mean_of_known(found.apart[:, thing])),
        moved=float(found.moved[thing]),
    )


def _ranks(low: float, high: float) -> str:
    if np.isnan(low):
        return "–"
    return f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"


def beside(run: Run, own: StackHeads, other: StackHeads, layer: int, head: int) -> Link:
    """A link to a head's pages beside each other, to the one that there is, or to none."""
    before, after = (
        stack.link(layer, head).target if one.paged else ""
        for one, stack in zip(sides(run), (own, other), strict=True)
    )
    return beside_link(run, (before, after), other.head(layer, head))


@dataclass(frozen=True)
class View:
    """Every stack; `reason` says why heads are not compared."""

    stacks: tuple[StackView, ...] = ()
    reason: str = ""

    @property
    def says(self) -> str:
        """What a card says: the first sentence of each stack."""
        return " ".join(one.said[0] for one in self.stacks)


def view(run: Run) -> View | None:
    """The section on the page of two models; None where neither has heads."""
    found = run[COMPARED_HEADS]
    if isinstance(found, str):
        return View(reason=found) if any(heads_of(one.model) for one in sides(run)) else None
    return View(tuple(stack_view(run, one) for one in found))


def figure(run: Run, stack: str = "") -> Figure:
    """How far every head changed over its noise; in an encoder-decoder those of one `stack`."""
    every = found_in(run, COMPARED_HEADS, "heads")
    wanted = stack_named(run.model, stack).stack
    return map_figure(run, next(one for one in every if one.stack is wanted))


def maps(run: Run, head: str = "", text: str = "") -> Figure:
    """The maps of a head, such as L18H6, in both models on one text or picture.

    Left out, the head is the one that changed most, and the input that on which its maps lie farthest apart.
    """
    every = found_in(run, COMPARED_HEADS, "heads")
    found, thing = place_of(every, head) if head else (every[0], int(every[0].changes.order[0]))
    return maps_figure(run, found, thing, text or found.farthest(thing))


def tables(run: Run) -> Iterator[Table]:
    """Every measure of every head in both models."""
    found = run[COMPARED_HEADS]
    if not isinstance(found, str):
        yield Table("compared_heads.csv", lambda: (_HEADER, list(_rows(found))))


_HEADER = (
    "stack", "layer", "head", "measure", "inputs", "before", "after", "change", "low", "high", "noise",
    "ratio", "leads", "rank", "rank_low", "rank_high", "maps_apart", "writes_moved",
    "copying_before", "copying_after",
)  # fmt: skip


def _rows(every: Sequence[ComparedStack]) -> Iterator[Sequence[Any]]:
    for found in every:
        changes = found.changes
        for thing in range(found.after.count):
            layer, head = found.at(thing)
            start = (found.stack.name, found.after.layers[layer].name, head)
            ranks = (changes.rank[thing], changes.rank_low[thing], changes.rank_high[thing])
            end = (
                float(mean_of_known(found.apart[:, thing])),
                found.moved[thing],
                *found.copying[:, thing],
            )
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
