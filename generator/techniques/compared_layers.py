"""Layers of two models side by side: how alike they are in what they make of the same inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link, layer_address
from generator.comparison import found_in, other_kind, sides
from generator.figures.figure import PAGE, Figure, on_page, published
from generator.formatting import number
from generator.probes.cka import DIGITS, LEAST, Alignment, align
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique
from generator.table import Table
from generator.techniques.links import beside_link, layer_title, paged_layers
from generator.techniques.representations import REPRESENTATIONS

ROWS = 10  # layers that the page lists; the table has all


@dataclass(frozen=True)
class View:
    """The layers that are least alike first, as links with their places in what was `found`.

    Where they cannot be compared, only `reason` is said.
    """

    reason: str = ""
    says: str = ""
    figure: Figure | None = None
    rows: tuple[tuple[Link, int], ...] = ()
    found: Alignment | None = None
    inputs: str = ""
    encoder: bool = False


def measure(run: Run) -> Alignment | str:
    """CKA of all layers with all, and its controls; or why the two cannot be compared."""
    before, after = sides(run)
    if other_kind(run):
        return other_kind(run)
    one, other = before[REPRESENTATIONS], after[REPRESENTATIONS]
    if one.row != other.row:
        seen = run.reads == PICTURES
        return f"the two {'see other pictures' if seen else 'do not read the same tokens'}."
    if len(one.row) < LEAST:
        return f"it takes {LEAST} inputs, and there are {len(one.row)}."
    twins = before.control[REPRESENTATIONS], after.control[REPRESENTATIONS]
    return align(one, other, twins, run.seed)


def view(run: Run) -> View:
    """The section on the page of a comparison."""
    found, (before, after) = run[COMPARED_LAYERS], sides(run)
    if isinstance(found, str):
        return View(reason=found)
    drawn = on_page(figure(run), f"{run.folder}/layers.svg", "compared_layers", PAGE)
    thing = "pictures" if run.reads == PICTURES else "tokens"
    order = np.argsort(np.nan_to_num(found.same, nan=2.0), kind="stable")
    return View(
        "",
        _sentence(found, before, after),
        drawn,
        tuple((_link(run, found.layers[place]), place) for place in order[:ROWS].tolist()),
        found,
        f"{found.rows} {thing}",
        run.reads == PAIRS,
    )


def _sentence(found: Alignment, before: Run, after: Run) -> str:
    """How alike the layers are, in words, with the floor that this stands on."""
    known = np.flatnonzero(np.isfinite(found.same))
    if not len(known):
        return f"No layer of {before.title} has one of the same name in {after.title}."
    if (found.same[known] == 1).all():
        return f"Every layer is as alike in both as can be told ({1 - 10**-DIGITS} of 1 or more)."
    least = int(known[found.same[known].argmin()])
    layers = {layer.name: layer for layer in before.model.layers}
    name = layer_title(before.model, layers[found.layers[least]])
    middle = float(np.median(found.same[known]))
    return (
        f"Least alike is {name}, at {number(found.same[least])} of 1 (inputs shuffled: "
        f"{number(found.curves[3, least])}); the median over layers is {number(middle)}."
    )


def _link(run: Run, layer: str) -> Link:
    """A layer's pages beside each other, or the one that there is."""
    known = {one.name: one for one in sides(run)[0].model.layers}
    before, after = (
        layer_address(one.model.id, layer)
        if one.paged and layer in {each.name for each in paged_layers(one.model)}
        else ""
        for one in sides(run)
    )
    return beside_link(run, (before, after), layer_title(run.model, known[layer]))


def figure(run: Run) -> Figure:
    """CKA of every layer of one model with every layer of the other, and of layers of one name."""
    found, (before, after) = found_in(run, COMPARED_LAYERS, "layers"), sides(run)
    names = (before.title, after.title)
    arguments = {"every": found.every, "curves": found.curves, "names": names}
    known = found.same[np.isfinite(found.same)]
    least = (
        f"the least alike are at {number(float(known.min()))} of 1"
        if len(known)
        else "there are none"
    )
    text = (
        f"How alike the layers of {before.title} and {after.title} are in what they make of {found.rows} "
        f"inputs (linear CKA); of layers of one name {least}."
    )
    return published("alignment", arguments, f"A map and curves. {text}", text)


def tables(run: Run) -> Iterator[Table]:
    """Every layer that both have."""
    found = run[COMPARED_LAYERS]
    if not isinstance(found, str):
        yield Table("compared_layers.csv", lambda: (_HEADER, _rows(found)))


_HEADER = (
    "layer",
    "cka",
    "cka_first_half",
    "cka_second_half",
    "cka_shuffled",
    "cka_random_before",
    "cka_random_after",
    "most_like",
)


def _rows(found: Alignment) -> Iterator[Sequence[object]]:
    for place, name in enumerate(found.layers):
        yield (name, *found.curves[:, place], found.nearest[place])


COMPARED_LAYERS = Technique(
    name="compared_layers",
    title="Layers side by side",
    search="CKA similarity of representations compare",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
    compares=True,
    asks=(REPRESENTATIONS,),
    figures={"compared_layers": figure},
    tables=tables,
    sections=(Section("comparison", "layers", "compared_layers.html", view),),
)
