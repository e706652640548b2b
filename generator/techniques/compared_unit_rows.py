"""The units of two models side by side: the rows of those that changed most, and the tables of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link, unit_address
from generator.comparison import sides
from generator.formatting import number
from generator.models.layer import Layer
from generator.probes.change import Measured, changes
from generator.probes.unit_change import UnitChanges
from generator.run import PICTURES, Run, why_not
from generator.table import Content
from generator.techniques.effects import EFFECTS, effects_of
from generator.techniques.exemplars import exemplars_of
from generator.techniques.links import beside_link
from generator.techniques.neuron_choice import paged_units
from generator.techniques.neuron_responses import ranking_of
from generator.techniques.neurons import NEURONS, chosen_of
from generator.techniques.token_unit_list import strongest
from generator.techniques.unit_exemplars import Crop, crops

SHOWN = 3  # pictures, or passages, of each unit in each model
IN_FULL = 5  # units that are shown with them
Passage = tuple[
    tuple[str, str, str], float
]  # a token between what stands around it, and the value there


@dataclass(frozen=True)
class Effect:
    """What hangs on a unit, in words and as a cell of a table, both empty where it was not measured.

    It is measured of models that have pages: silencing units takes longer than all else that is compared.
    """

    says: str = ""
    cell: str = ""


@dataclass(frozen=True)
class OneSide:
    """A unit in one of the two models: its link, what excites it, its mean response, what hangs on it."""

    title: str
    link: Link
    size: int
    crops: tuple[Crop, ...]
    passages: tuple[Passage, ...]
    mean: float
    effect: Effect


@dataclass(frozen=True)
class UnitRow:
    """A unit that changed; `beside` leads to the pages of both beside each other, or to the one there is.

    `both` says what excites it in either, of the first few; `partner` names the counterpart elsewhere.
    """

    beside: Link
    partner: str
    ratio: float
    rank: tuple[int, int]
    shared: float
    correlation: float
    mean: tuple[float, float, float]
    both: tuple[OneSide, OneSide] | None


def rows_of(run: Run, found: UnitChanges, units: Sequence[int]) -> tuple[UnitRow, ...]:
    """The rows of some units, numbered as in what was `found`; the first are shown in both models."""
    return tuple(_row(run, found, unit, number < IN_FULL) for number, unit in enumerate(units))


def _row(run: Run, found: UnitChanges, row: int, in_full: bool) -> UnitRow:
    before, after = sides(run)
    layer = found.layers[found.place[row]].layer
    unit, partner = int(found.unit[row]), int(found.partner[row])
    name = f"{layer}/{unit}"
    # One that was matched to another has no page of the same name after.
    pages = [_page(side, _layer(side, layer), unit) for side in (before, after)]
    link = beside_link(run, (pages[0], pages[1] if unit == partner else ""), name)
    shift = float(found.mean_after[row] - found.mean_before[row])
    both = (
        _side(run, before, layer, unit, float(found.mean_before[row])),
        _side(run, after, layer, partner, float(found.mean_after[row])),
    )
    return UnitRow(
        link,
        f"{layer}/{partner}" if unit != partner else "",
        float(found.ratio[row]),
        (int(found.rank_low[row]), int(found.rank_high[row])),
        float(found.shared[row]),
        float(found.correlation[row]),
        (shift, float(found.mean_low[row]), float(found.mean_high[row])),
        both if in_full else None,
    )


def _layer(side: Run, name: str) -> Layer:
    return next(one for one in side.model.layers if one.name == name)


def _side(run: Run, side: Run, layer: str, unit: int, mean: float) -> OneSide:
    of_layer = _layer(side, layer)
    pictures = side.reads == PICTURES
    link = Link(_page(side, of_layer, unit), f"{layer}/{unit}")
    return OneSide(
        side.title,
        link,
        side.vision.preprocessing.size if pictures else 0,
        _crops(run, side, of_layer, unit) if pictures else (),
        () if pictures else _passages(side, layer, unit),
        mean,
        unit_effect(side, layer, unit),
    )


def _page(side: Run, layer: Layer, unit: int) -> str:
    """Where a unit has its page; "" where it has none."""
    if not side.paged:
        return ""
    paged = paged_units(side, layer) if side.reads == PICTURES else chosen_of(side, layer).units
    return unit_address(side.model.id, layer.name, unit) if unit in paged else ""


def _crops(run: Run, side: Run, layer: Layer, unit: int) -> tuple[Crop, ...]:
    """What excites a unit most, cut to what it sees. Pictures that both see alike are those of one model."""
    exemplars = exemplars_of(side, layer.name)
    assert exemplars is not None  # it was searched
    before, after = sides(run)
    alike = before.vision.preprocessing == after.vision.preprocessing
    shown = after if after.paged else before
    return crops(shown if alike else side, layer, exemplars, unit)[:SHOWN]


def _passages(side: Run, layer: str, unit: int) -> tuple[Passage, ...]:
    """The tokens that excite a neuron most, each in its passage, and the value there."""
    ranking = ranking_of(side, layer)
    return tuple(zip(strongest(side, ranking, unit, SHOWN), ranking.value[unit].tolist()))  # noqa: B905


def unit_effect(side: Run, layer: str, unit: int) -> Effect:
    """What hangs on a unit: the class that it raises most, or what its ablation changes on passages."""
    if side.reads == PICTURES:
        return _on_classes(side, layer, unit)
    measure, values = side.once("effects of neurons", lambda: _silenced(side))
    mean = values.get((layer, unit))
    if mean is None:
        return Effect()
    what = "nats a token" if measure == "loss" else "of the final states"
    return Effect(f"silenced: {number(mean)} {what}", f"{mean:.4g}")


def _silenced(side: Run) -> tuple[str, dict[tuple[str, int], float]]:
    """What silencing each neuron that was chosen changes on average, on passages drawn at random."""
    measure, values = _each_silenced(side)
    known = {key: each[np.isfinite(each)] for key, each in values.items()}
    return measure, {key: float(each.mean()) for key, each in known.items() if len(each)}


def _each_silenced(side: Run) -> tuple[str, dict[tuple[str, int], np.ndarray]]:
    """The same on each of these passages; they are the same in both models."""
    if not side.paged:  # nothing was silenced in it
        return "", {}
    found = side[NEURONS]
    ablation = found.ablation
    if ablation is None or ablation.reason:
        return "", {}
    parts = zip(found.pool.layers, found.chosen, ablation.others, strict=True)
    return ablation.measure, {
        (layer.layer, unit): values
        for layer, chosen, others in parts
        for unit, values in zip(chosen.units, others, strict=True)
    }


def effect_ratios(run: Run) -> dict[tuple[str, int], float]:
    """How far the effect of silencing a neuron moved over its noise, of those silenced in both models.

    Classes are measured on the one picture that excites a unit most: what they move by has no noise.
    """
    if run.reads == PICTURES:
        return {}
    before, after = (_each_silenced(side)[1] for side in sides(run))
    both = [key for key in before if key in after]
    if not both:
        return {}
    own, other = (np.stack([each[key] for key in both], 1) for each in (before, after))
    ratios = changes([Measured("effect", own, other)], run.seed).ratio[0]
    return dict(zip(both, ratios.tolist(), strict=True))


def _on_classes(side: Run, layer: str, unit: int) -> Effect:
    if not side.paged or why_not(EFFECTS, side):
        return Effect()
    effects = effects_of(side, _layer(side, layer), unit)
    if effects is None or not effects.up:
        return Effect()
    name, value = effects.up[0]
    return Effect(f"raises “{name}” by {number(value)}", f"{name} {value:.4g}")


_RANKS = ("rank", "rank_low", "rank_high")
_COLUMNS = (
    "ratio", "ratio_random", "shared", "shared_random",
    "correlation", "correlation_random", "mean_before", "mean_after", "mean_low", "mean_high",
    "mean_ratio",
)  # fmt: skip
_HEADER = (
    "layer",
    "unit",
    "counterpart",
    *_RANKS,
    *_COLUMNS,
    "effect_before",
    "effect_after",
    "effect_ratio",
)
_LAYERS = (
    "layer", "units", "inputs", "correlation_in_place", "correlation_matched", "matched_shuffled",
    "matched_to_itself", "another_order", "shared", "shared_random", "correlation",
    "correlation_random",
)  # fmt: skip


def every_unit(run: Run, found: UnitChanges) -> Content:
    """A row a unit: its counterpart, ranks, what changed, and what hangs on it in both."""
    return _HEADER, _rows(run, found)


def every_layer(found: UnitChanges) -> Content:
    """A row a layer: how its units were matched, and medians over them."""
    return _LAYERS, _layer_rows(found)


def middle(values: np.ndarray) -> float:
    """The median of what is defined."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _rows(run: Run, found: UnitChanges) -> Iterator[Sequence[object]]:
    hanging = effect_ratios(run)
    ranks, columns = ([getattr(found, one) for one in names] for names in (_RANKS, _COLUMNS))
    for row, (place, unit, partner) in enumerate(
        zip(found.place.tolist(), found.unit.tolist(), found.partner.tolist(), strict=True)
    ):
        layer = found.layers[place].layer
        effects = (
            unit_effect(side, layer, one).cell
            for side, one in zip(sides(run), (unit, partner), strict=True)
        )
        standing = (int(column[row]) for column in ranks)
        numbers = (_short(column[row]) for column in columns)
        moved = _short(hanging.get((layer, unit), np.nan)) if unit == partner else ""
        yield (layer, unit, partner, *standing, *numbers, *effects, moved)


def _short(value: float) -> str:
    """Four digits: this table has a row for every unit of a network."""
    return "" if np.isnan(value) else f"{float(value):.4g}"


def _layer_rows(found: UnitChanges) -> Iterator[Sequence[object]]:
    for place, one in enumerate(found.layers):
        rows = found.of(place)
        known = (one.in_place, one.matched, one.floor, one.own)
        columns = (
            found.shared, found.shared_random, found.correlation, found.correlation_random,
        )  # fmt: skip
        medians = (_short(middle(column[rows])) for column in columns)
        yield (
            one.layer,
            one.units,
            int(found.read[place]),
            *(_short(value) for value in known),
            int(one.reordered),
            *medians,
        )
