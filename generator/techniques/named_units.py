"""Units that tell a group of the pool's pictures from the rest, on pictures that did not choose the group."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from generator.addresses import Link, unit_address
from generator.models.layer import Layer
from generator.probes.exemplar_peaks import peaks_over
from generator.probes.exemplars import searched_units
from generator.probes.unit_names import Labels, Names, halves, name_units, one_hot
from generator.run import PICTURES, Run, Section, Technique
from generator.table import Content, Table
from generator.techniques.exemplars import needs_pool
from generator.techniques.neuron_choice import paged_units
from generator.techniques.unit_names import NamesView, classes, names_in

VERSION = 1


def why_not(run: Run) -> str:
    """Whether there is a pool whose pictures are in groups, and units that are searched."""
    if needs_pool(run) or not searched_units(run.vision):
        return needs_pool(run) or "it has no units that are searched for in the pool."
    groups = {one.group for one in run.inputs.pool} - {""}
    return "" if len(groups) > 1 else "the pictures of its pool are in no groups."


def measure(run: Run) -> Names:
    """Test the units of all layers whose exemplars are searched."""
    model, pool, store = run.vision, run.inputs.pool, run.store

    def make() -> Names:
        peaks, pictures = peaks_over(model, run.pool_images, store, run.step)
        groups = [pool[picture].group for picture in pictures]
        names, of = one_hot(groups)
        labels = Labels(names, of, halves(groups), np.zeros(len(groups), dtype=np.int64))
        return name_units(peaks, labels, run.seed)

    parts = {
        "model": model.key,
        "layers": [units.name for units in searched_units(model)],
        "pool": [[one.sha256, one.group, one.subject] for one in pool],
        "seed": run.seed,
    }
    return store.result("named_units", VERSION, parts, Names, make)


def _place(run: Run, layer: Layer) -> int | None:
    names = [units.layer.name for units in searched_units(run.vision)]
    return names.index(layer.name) if layer.name in names else None


def _link(run: Run, layer: Layer, unit: int) -> Link:
    there = unit in paged_units(run, layer)
    return Link(unit_address(run.model.id, layer.name, unit) if there else "", f"unit {unit}")


def view(run: Run, layer: Layer) -> NamesView | None:
    """The section on the page of a layer."""
    place = _place(run, layer)
    names = run[NAMED_UNITS]
    if place is None or names.reason:
        return None
    named = names_in([names], place)
    return NamesView(
        word="unit",
        inputs="things in the pool",
        units=len(names.tested[place]),
        named=classes(named, partial(_link, run, layer)),
        having=len(named),
        random=len(names_in([run.control[NAMED_UNITS]], place)),
        tests=(("groups", names),),
    )


def names_of(run: Run, layer: Layer) -> dict[int, tuple[str, float]]:
    """The group and the AUROC of the units of a layer that have a name, by unit."""
    place = None if why_not(run) else _place(run, layer)
    if place is None:
        return {}
    return run.once(("named units", layer.name), lambda: names_in([run[NAMED_UNITS]], place))


def named(run: Run) -> Iterator[tuple[str, int, str, float]]:
    """Layer, unit, group and AUROC of all units that have a name and a page."""
    if why_not(run):
        return
    for place, units in enumerate(searched_units(run.vision)):
        for unit, (name, area) in names_in([run[NAMED_UNITS]], place).items():
            if unit in paged_units(run, units.layer):
                yield units.layer.name, unit, name, area


def tables(run: Run) -> Iterator[Table]:
    """Units with a name, and how many have one in each layer, trained and random."""
    yield Table("named_units.csv", lambda: (("layer", "unit", "group", "auroc"), list(named(run))))
    yield Table("named_layers.csv", lambda: _layers(run))


def _layers(run: Run) -> Content:
    own, random = run[NAMED_UNITS], run.control[NAMED_UNITS]
    rows = [
        (
            units.layer.name,
            units.units,
            len(names_in([own], place)),
            len(names_in([random], place)),
            own.bar,
            random.bar,
        )
        for place, units in enumerate(searched_units(run.vision))
    ]
    return ("layer", "units", "named", "named_random", "bar", "bar_random"), rows


NAMED_UNITS = Technique(
    name="named_units",
    title="Units with a name",
    search="named units selectivity AUROC groups",
    reads=PICTURES,
    measure=measure,
    why_not=why_not,
    controlled=True,
    tables=tables,
    sections=(Section("layer", "names", "unit_names.html", view),),
)
