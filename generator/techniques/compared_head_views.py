"""The section of a comparison on the heads of one stack: what changed most, and where they look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link
from generator.comparison import sides
from generator.figures.figure import Figure, on_page
from generator.formatting import number
from generator.models.stacks import PATCHES
from generator.probes.change import FEWEST, can_lead
from generator.probes.head_statistic import HeadStatistic
from generator.run import Run
from generator.techniques.compared_head_words import map_figure, said_of
from generator.techniques.compared_maps import maps_figure
from generator.techniques.compared_measures import APART, EFFECT, MOVED
from generator.techniques.compared_stacks import ComparedStack
from generator.techniques.links import beside_link
from generator.techniques.measured_stack import StackHeads
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
    fewest: int
    few: tuple[str, ...]
    silenced: bool

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
                f"{found.stack.part('maps')}-{found.name(thing).lower()}.{_ending(found)}",
            )
            for thing in drawn
        ),
        definitions=tuple(found.definitions[name] for name in (*found.changes.names, *_BESIDE)),
        count=found.after.count,
        inputs=found.things,
        fewest=FEWEST,
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


def _ending(found: ComparedStack) -> str:
    return "webp" if found.stack is PATCHES else "svg"


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
