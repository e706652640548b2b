"""Which heads of two models changed most: in what they do, where they look and what they write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from generator.comparison import found_in, sides
from generator.figures.figure import Figure
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique
from generator.table import Table
from generator.techniques.compared_head_views import StackView, stack_view
from generator.techniques.compared_head_words import map_figure
from generator.techniques.compared_maps import maps_figure, place_of
from generator.techniques.compared_stacks import ASKS, ComparedStack, measure
from generator.techniques.measured_stack import heads_of, stack_named
from generator.uncertainty import mean_of_known

HEADER = (
    "stack", "layer", "head", "measure", "inputs", "before", "after", "change", "low", "high", "noise",
    "ratio", "leads", "rank", "rank_low", "rank_high", "maps_apart", "writes_moved",
    "copying_before", "copying_after",
)  # fmt: skip


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
        yield Table("compared_heads.csv", lambda: (HEADER, list(_rows(found))))


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
