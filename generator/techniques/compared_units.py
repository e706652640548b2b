"""Units of two models side by side: which answer to other inputs, or otherwise to the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from generator.comparison import found_in, other_kind, sides
from generator.figures.figure import PAGE, Figure, on_page, published
from generator.formatting import amount, number, percent, thousands
from generator.models.token_units import token_neurons
from generator.probes.unit_change import UnitChanges, compared
from generator.probes.unit_order import MATCHED
from generator.probes.unit_responses import Responses, picture_responses
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique, why_not
from generator.table import Table
from generator.techniques.compared_unit_rows import (
    UnitRow,
    every_layer,
    every_unit,
    middle,
    rows_of,
)
from generator.techniques.exemplars import EXEMPLARS
from generator.techniques.measured_stack import heads_of
from generator.techniques.naming import listed
from generator.techniques.neuron_responses import NEURON_RESPONSES, neuron_responses
from generator.techniques.token_units import passages_of, text_model

ROWS = 8  # units that the page shows; the table has all


@dataclass(frozen=True)
class View:
    """The units that changed most first. Where they cannot be compared, only `reason` is said.

    `orders` says what is known of the order that units stand in, `places` what is compared by number alone.
    """

    reason: str = ""
    says: str = ""
    rest: str = ""
    orders: str = ""
    places: str = ""
    figure: Figure | None = None
    rows: tuple[UnitRow, ...] = ()
    units: int = 0
    inputs: str = ""
    reads: str = ""
    random: tuple[float, float, float] = (0.0, 0.0, 0.0)


def measure(run: Run) -> UnitChanges | str:
    """What changed of every unit; or why the units of the two cannot be compared."""
    before, after = sides(run)
    if other_kind(run):
        return other_kind(run)
    searches = EXEMPLARS if run.reads == PICTURES else NEURON_RESPONSES
    for side in (before, after):
        reason = why_not(searches, side)
        if reason:
            return f"{side.title}: {reason}"
    seen = [_inputs(side) for side in (before, after)]
    if seen[0] != seen[1]:
        return f"the two were not shown the same {'pictures' if run.reads == PICTURES else 'passages'}."
    layers = [_layers(side) for side in (before, after)]
    if not set(layers[0]) & set(layers[1]):
        return "no layer of the one has the name, and as many units, as one of the other."
    for side in (before, after):
        side[searches]  # the search, which several processes share
    key = {"before": before.model.key, "after": after.model.key, "layers": layers, "inputs": seen}
    makes = partial(_responses, before), partial(_responses, after)
    return compared(makes, key, run.seed, run.store)


def _inputs(run: Run) -> list[object]:
    """The pool that a model is shown: digests of pictures and what they show, or passages."""
    if run.reads == PICTURES:
        return [[image.key, image.thing] for image in run.pool_images]
    return [[passage.id, passage.text] for passage in passages_of(run)]


def _layers(run: Run) -> list[tuple[str, int]]:
    """The layers whose units were searched for, and how many these are."""
    if run.reads == PICTURES:
        return [(one.layer, len(one.neuron)) for one in run[EXEMPLARS].layers]
    return [(one.name, one.units) for one in token_neurons(text_model(run))]


def _responses(run: Run) -> tuple[Responses, ...]:
    if run.reads == PICTURES:
        return picture_responses(run.vision, run.pool_images, run[EXEMPLARS], run.store)
    return neuron_responses(run)


def view(run: Run) -> View:
    """The section on the page of a comparison."""
    found = run[COMPARED_UNITS]
    if isinstance(found, str):
        return View(reason=found)
    thing = "pictures" if run.reads == PICTURES else "passages"
    random = (found.shared_random, found.correlation_random, found.ratio_random)
    return View(
        "",
        *_sentences(found),
        _orders(found),
        _places(run, found),
        on_page(figure(run), f"{run.folder}/units.svg", "compared_units", PAGE),
        rows_of(
            run, found, [unit for unit in found.order[:ROWS].tolist() if found.ratio[unit] > 0]
        ),
        len(found.unit),
        f"{thousands(found.inputs)} {thing}",
        thing,
        (middle(random[0]), middle(random[1]), middle(random[2])),
    )


def _sentences(found: UnitChanges) -> tuple[str, str]:
    """Which unit changed most; and what became of the rest, beside random pairs."""
    if (found.ratio == 0).all():
        other = int((found.mean_before != found.mean_after).sum())
        means = f"another one in {amount(other, 'unit')}" if other else "the same"
        return (
            "The largest response of every unit to every input is the same in both. The mean response, over "
            f"all positions, is {means}.",
            "",
        )
    first = int(found.order[0])
    name = f"{found.layers[found.place[first]].layer}/{found.unit[first]}"
    low, high = int(found.rank_low[first]), int(found.rank_high[first])
    ranks = (
        "first in at least 95 % of the draws of inputs"
        if high == 1
        else f"its rank lies from {low} to {high}"
    )
    dead = int(np.isnan(found.correlation).sum())
    silent = f" To {amount(dead, 'unit')} all inputs are alike, in one or in both." if dead else ""
    return (
        f"Most changed is unit {name}: its largest response to an input differs by "
        f"{number(found.ratio[first])} times its spread over inputs ({ranks}); of the median "
        f"unit it is {number(middle(found.ratio))}, of a random pair {number(middle(found.ratio_random))}.",
        f"The median unit keeps {percent(middle(found.shared), 0)} of its exemplars (a random pair has "
        f"{percent(middle(found.shared_random), 0)} in common), and the rank correlation of its responses "
        f"is {number(middle(found.correlation))} (a random pair: "
        f"{number(middle(found.correlation_random))}).{silent}",
    )


def _orders(found: UnitChanges) -> str:
    """Whether units stand in another order, in words with the numbers that say so."""
    other = [one for one in found.layers if one.reordered]
    if not other:
        known = [one for one in found.layers if not np.isnan(one.own)]
        share = sum(one.own * one.units for one in known) / max(1, sum(one.units for one in known))
        return (
            "Units are compared by their numbers. Matched one to one by their responses, "
            f"{percent(share, 0)} of them go to the unit of their own number, and in no layer are they "
            "nearly the same in another order."
            if known
            else ""
        )
    names = listed([one.layer for one in other])
    place, matched, floor = (
        number(float(np.mean([getattr(one, what) for one in other])))
        for what in ("in_place", "matched", "floor")
    )
    return (
        f"Units stand in another order in {len(other)} of {amount(len(found.layers), 'layer')} ({names}): "
        f"the mean correlation of responses is {place} by number and {matched} where units are matched one "
        f"to one ({floor} with the inputs shuffled). There the counterpart of a unit is the one that it was "
        "matched to, and what is the same in another order counts as the same."
    )


def _places(run: Run, found: UnitChanges) -> str:
    """What another order would hide from: heads, and the units of large layers."""
    large = [one.layer for one in found.layers if one.units > MATCHED]
    alone = ["Heads"] if heads_of(run.model) else []
    alone += [f"{'units' if alone else 'Units'} of {listed(large)}"] if large else []
    if not alone:
        return ""
    return f"{listed(alone)} are compared by their numbers alone: in another order they would seem changed."


def figure(run: Run) -> Figure:
    """The share of exemplars in common and the rank correlation of responses, layer by layer."""
    found, (before, after) = found_in(run, COMPARED_UNITS, "units"), sides(run)
    pairs = (
        (found.shared, found.shared_random),
        (found.correlation, found.correlation_random),
    )
    rows = [found.of(place) for place in range(len(found.layers))]
    own, random = (
        np.array([[middle(pair[which][row]) for row in rows] for pair in pairs])
        for which in range(2)
    )
    arguments = {
        "layers": tuple(one.layer for one in found.layers),
        "titles": ("exemplars in common", "rank correlation of responses"),
        "values": own,
        "random": random,
    }
    text = (
        f"Units of {before.title} and {after.title} on {thousands(found.inputs)} inputs, the median of each "
        f"layer: the share of exemplars in common, and the rank correlation of responses. Dotted: pairs of "
        "units drawn at random within a layer."
    )
    return published("unit_courses", arguments, f"Two charts. {text}", text)


def tables(run: Run) -> Iterator[Table]:
    """Every unit, and every layer."""
    found = run[COMPARED_UNITS]
    if not isinstance(found, str):
        yield Table("compared_units.csv", lambda: every_unit(run, found))
        yield Table("compared_unit_layers.csv", lambda: every_layer(found))


COMPARED_UNITS = Technique(
    name="compared_units",
    title="Units side by side",
    search="channels neurons exemplars rank correlation matching permuted compare",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
    compares=True,
    asks=(EXEMPLARS, NEURON_RESPONSES),
    figures={"compared_units": figure},
    tables=tables,
    sections=(Section("comparison", "units", "compared_units.html", view),),
)
