"""Exemplars: the pictures of the pool that excite each unit most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.figures.panels import Panel, in_rows
from generator.formatting import number
from generator.models.layer import Layer
from generator.probes.exemplars import Exemplars, LayerExemplars, find_exemplars
from generator.run import PICTURES, Run, Technique
from generator.table import Table
from generator.techniques.naming import Numbers, layer_of, listed, one_of, unit_of
from generator.techniques.neuron_choice import chosen_neurons, paged_units
from generator.techniques.pictures import pool_square
from generator.techniques.ties import Row, neurons

PATCH = 224  # pixels of a patch in a figure
_FEW, _ALL = 5, 9


def needs_pool(run: Run) -> str:
    """Why what is searched in a pool does not apply; "" where there is one."""
    return "" if run.inputs.pool else "the exhibit names no pool of pictures."


def measure(run: Run) -> Exemplars:
    """The strongest pictures of every unit of the layers that have unit pages."""
    chosen = {name: one.units for name, one in chosen_neurons(run).items()}
    return find_exemplars(run.vision, run.pool_images, run.store, run.step, chosen)


def exemplars_of(run: Run, layer: str) -> LayerExemplars | None:
    """The exemplars of one layer's units, where the pool was searched for them."""
    return None if needs_pool(run) else run[EXEMPLARS].of(layer)


def searched(run: Run, layer: str) -> tuple[Layer, LayerExemplars]:
    """A layer whose units' exemplars were searched. Raises UsageError for any other."""
    chosen = layer_of(run.model, layer)
    known = {} if needs_pool(run) else {one.layer: one for one in run[EXEMPLARS].layers}
    if not known:
        raise UsageError(f"{run.model.id} has no exemplars: the exhibit names no pool for it.")
    return chosen, known[one_of("layer", chosen.name, known, "no exemplars were searched in the")]


def labels_of(run: Run, exemplars: LayerExemplars, unit: int) -> list[str]:
    """What a unit's exemplars show, strongest first."""
    return [run.inputs.pool[int(one)].label for one in exemplars.neuron[unit] if one >= 0]


def one_a_thing(exemplars: LayerExemplars) -> str:
    """What is added to a number of pictures where several show one thing."""
    several = exemplars.things < exemplars.pictures
    return f" (one of each of {exemplars.things} things)" if several else ""


def some_labels(run: Run, exemplars: LayerExemplars, unit: int) -> list[str]:
    """The same. Raises UsageError where no picture excites the unit more than others."""
    labels = labels_of(run, exemplars, unit)
    if not labels:
        raise UsageError(
            f"{exemplars.undecided[unit]} pictures tie for unit {unit} of {exemplars.layer}: none excites it "
            "more."
        )
    return labels


def patches(
    run: Run, layer: Layer, exemplars: LayerExemplars, unit: int, count: int, side: int = PATCH
) -> list[np.ndarray]:
    """The best patches of a unit, each (side, side, 3), strongest first."""
    numbers = {int(one) for one in exemplars.neuron[unit, :count] if one >= 0}
    seen = {one: pool_square(run, one) for one in numbers}
    return [patch(layer, exemplars, unit, rank, seen, side) for rank in range(count)]


def patch(
    layer: Layer,
    exemplars: LayerExemplars,
    unit: int,
    rank: int,
    seen: Sequence[Image.Image] | Mapping[int, Image.Image],
    side: int,
) -> np.ndarray:
    """What a unit's neuron sees of its picture of some rank, (side, side, 3); grey without one.

    A neuron of an MLP sees all: its patch is shown, and those around it.
    """
    chosen = int(exemplars.neuron[unit, rank])
    if chosen < 0:
        return np.full((side, side, 3), 128, dtype=np.uint8)
    picture = seen[chosen]
    left, top, width, height = layer.box(int(exemplars.place[unit, rank]), picture.width)
    box = (left, top, left + width, top + height)
    if layer.grid:
        box = (left - width, top - height, left + 2 * width, top + 2 * height)
        box = _inside(box, picture.width)
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX, box=box))


def _inside(box: tuple[int, int, int, int], size: int) -> tuple[int, int, int, int]:
    """A box that reaches out of a picture, moved into it."""
    left, top, right, bottom = box
    across = max(0, -left) - max(0, right - size)
    down = max(0, -top) - max(0, bottom - size)
    return left + across, top + down, right + across, bottom + down


def figure(run: Run, layer: str, unit: Numbers, count: int = _ALL) -> Figure:
    """The patches of the pool that excite one unit or several most, strongest first."""
    of_layer, exemplars = searched(run, layer)
    units = [unit_of(of_layer, one) for one in unit]
    rows: list[tuple[Panel, ...]] = []
    named, ranked = [], False
    for one in units:
        row = neurons(of_layer, exemplars, one)
        labels = some_labels(run, exemplars, one)[:count]
        pixels = patches(run, of_layer, exemplars, one, len(labels))
        panels = [Panel(tile, _response(row, rank)) for rank, tile in enumerate(pixels)]
        ranked = ranked or bool(row.at_limit[: len(labels)].any())
        # One unit may have two rows; of several each has its own.
        across = len(panels) if len(units) > 1 or len(panels) <= _FEW else -(-len(panels) // 2)
        rows += in_rows(panels, across)
        named.append(f"unit {one}: {listed(labels)}")
    names = tuple(f"unit {one}" for one in units) if len(units) > 1 else ()
    about = f"unit {listed([str(one) for one in units])} of {of_layer.name}"
    words = f"Patches for {about}" if ranked else f"The patches that excite {about} most"
    enters = f"what enters {of_layer.activation}, by which they are ranked"
    searched_in = f"{exemplars.pictures} pictures{one_a_thing(exemplars)}"
    by_input = f"; where responses tie, in brackets {enters}"
    cut = "the patch and those around it" if of_layer.grid else "what the neuron can see"
    return published(
        "panels",
        {"rows": tuple(rows), "names": names, "widest": 150.0, "gap": 8.0},
        f"{words}, out of {searched_in.rstrip(',')}. {'; '.join(named)}.",
        f"The strongest of {searched_in} for {about}, cut to {cut}, with its response above "
        f"each{by_input if ranked else ''}.",
    )


def _response(row: Row, rank: int) -> str:
    entering = row.entering(rank)
    response = number(float(row.value[rank]), 2)
    return response if entering is None else f"{response} ({number(entering, 2)})"


def tables(run: Run) -> Iterator[Table]:
    """Every exemplar, and the pictures that units are shown with."""
    yield Table("exemplars.csv", lambda: (_HEADER, _rows(run)))
    yield Table("pool.csv", lambda: (_POOL, _pool(run)))


_HEADER = (
    *("layer", "unit", "variant", "place", "picture", "row", "column", "response"),
    *("response_pre", "tied"),
)
_POOL = ("picture", "label", "group", "licence", "origin", "sha256", "thing")


def _rows(run: Run) -> Iterator[Sequence[Any]]:
    """The picture, the position of the neuron, the response, and what it ties with.

    `response_pre` is the pre-activation that ranks pictures of one response, `tied` how many things that the
    pool shows have that response, each by its strongest picture.
    """
    for one in run[EXEMPLARS].layers:
        layer = layer_of(run.model, one.layer)
        width = layer.grid.columns if layer.grid else layer.shape[-1]
        paged = np.zeros((layer.units, 1), dtype=bool)  # of neurons the table would be too long
        paged[list(paged_units(run, layer))] = True
        for variant in ("neuron", "channel"):
            ends = ("", "_value", "_pre", "_tied")
            columns = [getattr(one, f"{variant}{end}") for end in ends]
            for unit, rank in np.argwhere((columns[0] >= 0) & paged).tolist():
                picture, value, pre, tied = (column[unit, rank] for column in columns)
                place: Sequence[Any] = ("", "")
                if variant == "neuron":
                    place = divmod(int(one.place[unit, rank]), width)
                shown = run.inputs.pool[int(picture)].id
                start = (one.layer, unit, variant, rank + 1)
                yield (*start, shown, *place, value, known(pre), int(tied))


def known(value: Any) -> Any:
    """An empty cell for what a layer does not have."""
    return value if np.isfinite(value) else ""


def _pool(run: Run) -> Iterator[Sequence[Any]]:
    """What each picture is, whose it is, under which licence, and with which others it shows one thing."""
    for one in run.inputs.pool:
        yield (one.id, one.label, one.group, one.licence, one.origin, one.sha256, one.subject)


EXEMPLARS = Technique(
    name="exemplars",
    title="Exemplars and responses",
    search="maximally activating images top pictures units",
    reads=PICTURES,
    measure=measure,
    why_not=needs_pool,
    figures={"exemplars": figure},
    tables=tables,
)
