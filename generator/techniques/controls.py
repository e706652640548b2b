"""Controls: exemplars and evidence for classes beside those of the same network with random weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link, unit_address
from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.figures.overlay import heated
from generator.figures.panels import Panel
from generator.formatting import number
from generator.probes.controls import Controls, MapPair, measure_controls
from generator.run import PICTURES, Run, Section, Technique
from generator.table import Table
from generator.techniques.exemplars import EXEMPLARS, needs_pool
from generator.techniques.links import layer_page
from generator.techniques.naming import Names, layer_of, one_of
from generator.techniques.pictures import over_picture
from generator.techniques.unit_exemplars import Crop, crops

_WEIGHTS = ("trained", "random")


@dataclass(frozen=True)
class Why:
    """How the network with random weights was made; `pictures` are those of the pool."""

    controls: Controls
    pictures: int
    description: str


UnitPair = tuple[Link, tuple[Crop, ...], tuple[Crop, ...]]
"""One unit's exemplars with trained and with random weights."""


@dataclass(frozen=True)
class UnitsView:
    """How pure exemplars are, and those of some units.

    `size` is a picture's side in pixels, `ungrouped` the number of pictures without a group.
    """

    controls: Controls
    link: Link | None
    size: int
    layer_units: int
    pictures: int
    ungrouped: int
    units: tuple[UnitPair, ...]


@dataclass(frozen=True)
class MapItem:
    """Evidence for one class in one picture, by both networks."""

    label: str
    pair: MapPair
    trained: Figure
    random: Figure


@dataclass(frozen=True)
class MapsView:
    """Evidence for the first class of every picture; `agreement` is the mean over them.

    `from_images` are the ids of the pictures.
    """

    controls: Controls
    items: tuple[MapItem, ...]
    agreement: float
    from_images: tuple[str, ...]


def measure(run: Run) -> Controls | None:
    """Exemplars of one layer and maps of evidence, trained and random; None without unit pages."""
    pool = run.inputs.pool
    groups, things = [one.group for one in pool], [one.subject for one in pool]
    return measure_controls(
        run.vision,
        run.pool_images,
        groups,
        run[EXEMPLARS],
        run.pixels,
        things,
        seed=run.seed,
        random=lambda: run.control.run.vision,
        store=run.store,
        step=run.step,
    )


def figure(run: Run, image: Names = ()) -> Figure:
    """Evidence for the same class with trained and with random weights."""
    controls, model = run[CONTROLS], run.model.id
    if controls is None or not controls.maps:
        raise UsageError(f"{model} has no controls: they need a pool and layers with unit pages.")
    known = {pair.picture: pair for pair in controls.maps}
    names = [one_of("picture", name, known, f"{model} has no control on the") for name in image]
    rows, agreements = [], []
    for pair in [known[name] for name in names] or list(controls.maps)[:1]:
        label, picture = run.image(pair.picture).label, run.seen[pair.picture]
        trained, random = (heated(picture, each, float(each.max())) for each in _evidence(pair))
        agreement = f"rank correlation {number(pair.agreement, 2)}"
        rows.append(
            (
                Panel(picture, label),
                Panel(trained, "trained weights", f"evidence for {pair.label}"),
                Panel(random, "random weights", agreement),
            )
        )
        agreements.append(f"{label}: rank correlation of both maps {number(pair.agreement, 2)}")
    return published(
        "panels",
        {"rows": tuple(rows)},
        "Evidence maps for one class with trained and with random weights. "
        f"{'; '.join(agreements)}.",
        "The same method on trained and on random weights (Adebayo et al. 2018), each map up to its own "
        "maximum. What looks the same on both says nothing of what was learned.",
    )


def _evidence(pair: MapPair) -> tuple[np.ndarray, np.ndarray]:
    """What speaks for the class, with trained and with random weights: they have no common unit."""
    return np.clip(pair.trained, 0, None), np.clip(pair.random, 0, None)


def why_view(run: Run) -> Why | None:
    """The section that says what is compared."""
    controls = run[CONTROLS]
    if controls is None:
        return None
    description = (
        f"Exemplars and evidence maps of {controls.layer} in {run.model.title} beside those of the same "
        "network with random weights."
    )
    return Why(controls, len(run.inputs.pool), description)


def units_view(run: Run) -> UnitsView | None:
    """The section on exemplars."""
    controls = run[CONTROLS]
    if controls is None:
        return None
    model, layer = run.vision, layer_of(run.vision, controls.layer)
    trained = run[EXEMPLARS].of(layer.name)
    assert trained is not None  # else there was nothing to compare
    pairs = (
        (
            Link(unit_address(model.id, layer.name, unit), f"unit {unit}"),
            crops(run, layer, trained, unit),
            crops(run, layer, controls.random, unit),
        )
        for unit in controls.units
    )
    return UnitsView(
        controls,
        layer_page(model, layer),
        model.preprocessing.size,
        layer.units,
        len(run.inputs.pool),
        sum(not one.group for one in run.inputs.pool),
        tuple(pairs),
    )


def maps_view(run: Run) -> MapsView | None:
    """The section on evidence for a class."""
    controls = run[CONTROLS]
    if controls is None or not controls.maps:
        return None
    agreements = [pair.agreement for pair in controls.maps]
    items = tuple(_item(run, pair) for pair in controls.maps)
    names = tuple(pair.picture for pair in controls.maps)
    return MapsView(controls, items, sum(agreements) / len(agreements), names)


def _item(run: Run, pair: MapPair) -> MapItem:
    label = next(one.label for one in run.inputs.images if one.id == pair.picture)
    paths = [f"{run.folder}/controls/{pair.picture}-{word}.webp" for word in _WEIGHTS]
    said = f"Evidence for {pair.label} in the picture of {label}"
    alts = (f"{said}, {word} weights." for word in _WEIGHTS)
    seen = run.seen[pair.picture]
    trained, random = over_picture(seen, _evidence(pair), paths, alts, "control")
    return MapItem(label, pair, trained, random)


def tables(run: Run) -> Iterator[Table]:
    """The purity of exemplars, and how well maps of evidence agree."""
    controls = run[CONTROLS]
    if controls is not None:
        yield Table("controls.csv", lambda: (_HEADER, _rows(controls)))


_SPREADS = (
    *("shuffled", "shuffled_low", "shuffled_high"),
    *("trained_sd", "trained_interval", "trained_units"),
    *("random_sd", "random_interval", "random_units"),
)
_HEADER = ("what", "picture", "class", "trained", "random", "chance", *_SPREADS)


def _rows(controls: Controls) -> Iterator[Sequence[object]]:
    trained, random = controls.trained_purity, controls.random_purity
    spreads = [
        value for one in (trained, random) for value in (one.deviation, one.interval, one.units)
    ]
    values = (trained.mean, random.mean, controls.chance, *controls.floor, *spreads)
    yield "purity", "", "", *values
    gaps = ("",) * len(_SPREADS)
    for pair in controls.maps:
        yield "agreement", pair.picture, pair.label, 1, pair.agreement, "", *gaps


CONTROLS = Technique(
    name="controls",
    title="Controls",
    search="random weights sanity check",
    reads=PICTURES,
    measure=measure,
    why_not=needs_pool,
    figures={"control": figure},
    tables=tables,
    sections=(
        Section("controls", "why", "controls.html", why_view),
        Section("controls", "exemplars", "controls_exemplars.html", units_view),
        Section("controls", "maps", "controls_maps.html", maps_view),
    ),
)
